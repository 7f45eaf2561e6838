//! What each command does: `CL.THROTTLE` as redis-cell has it, and what clients send beside it.
//!
//! The command and its reply are those of <https://github.com/brandur/redis-cell>.

use super::parse::Args;
use super::reply::{Reply, shown};
use crate::shared::Shared;
use std::ops::RangeInclusive;
use std::time::Duration;
use tidegate_limiter::{Admission, Cost, Quota, Timestamp};

/// What clients take the features of the protocol from.
const SPEAKS: &str = "7.0.0";
/// Longest name that a client may give its connection, in bytes.
const MOST_NAME: usize = 256;
const USAGE: &str = "ERR wrong number of arguments: write CL.THROTTLE key max_burst count_per_period period [quantity]";
const NO_PASSWORD: &str = "ERR AUTH called without any password configured: connect without one, who may \
     ask is told by address";

/// What is known of one connection.
pub(super) struct Session {
    /// A number that no other connection has.
    pub id: i64,
    /// Whether it speaks RESP3.
    pub resp3: bool,
    name: Box<[u8]>,
}

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// A key was charged.
    Allowed,
    /// A key has nothing left.
    Limited,
    /// A command that charges nothing.
    Other,
    /// It was answered by an error.
    Refused,
    /// It was the last one.
    Quit,
}

impl Done {
    /// The word for the metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Limited => "limited",
            Self::Other | Self::Quit => "other",
            Self::Refused => "refused",
        }
    }
}

impl Session {
    pub(super) fn new(id: i64) -> Self {
        Self { id, resp3: false, name: Box::default() }
    }

    /// Does what a command says and appends its reply; an empty one has none.
    pub(super) fn run(
        &mut self,
        shared: &Shared,
        now: Timestamp,
        args: &Args<'_>,
        out: &mut Vec<u8>,
    ) -> Done {
        let mut reply = Reply { out, resp3: self.resp3 };
        let Some((command, args)) = args.split_first() else { return Done::Other };
        let done = if command.eq_ignore_ascii_case(b"CL.THROTTLE") {
            throttle(shared, now, args).map(|admission| {
                answer(&admission, &mut reply);
                if admission.admitted { Done::Allowed } else { Done::Limited }
            })
        } else {
            self.other(command, args, &mut reply)
        };
        done.unwrap_or_else(|text| {
            reply.error(text);
            Done::Refused
        })
    }

    /// What clients send at their start, at their end, and to see whether anybody is there.
    fn other(
        &mut self,
        command: &[u8],
        args: &[&[u8]],
        reply: &mut Reply<'_>,
    ) -> Result<Done, String> {
        match (command.to_ascii_uppercase().as_slice(), args) {
            (b"PING", []) => reply.simple("PONG"),
            (b"PING" | b"ECHO", [text]) => reply.bulk(text),
            (b"HELLO", args) => self.hello(args, reply)?,
            (b"CLIENT", [what, args @ ..]) => self.client(what, args, reply)?,
            (b"SELECT", [b"0"]) => reply.simple("OK"),
            (b"SELECT", [_]) => return Err("ERR DB index is out of range: there is only 0".into()),
            (b"COMMAND", [what, ..]) if what.eq_ignore_ascii_case(b"docs") => reply.map(0),
            (b"COMMAND", [what, ..]) if what.eq_ignore_ascii_case(b"count") => reply.integer(0),
            (b"COMMAND", _) => reply.array(0),
            (b"INFO", _) => reply.bulk(info().as_bytes()),
            (b"AUTH", _) => return Err(NO_PASSWORD.into()),
            (b"RESET", []) => {
                *self = Self::new(self.id);
                reply.simple("RESET");
            }
            (b"QUIT", _) => {
                reply.simple("OK");
                return Ok(Done::Quit);
            }
            // A browser that somebody's page told to speak to us (cross-protocol scripting).
            (b"POST" | b"HOST:", _) => {
                reply.error("ERR this is not HTTP");
                return Ok(Done::Quit);
            }
            (b"PING" | b"ECHO" | b"CLIENT" | b"SELECT" | b"RESET", _) => {
                return Err(wrong_number(command));
            }
            _ => {
                return Err(format!(
                    "ERR unknown command '{}': there is CL.THROTTLE key max_burst count_per_period \
                     period [quantity], and what clients send at their start",
                    shown(command)
                ));
            }
        }
        Ok(Done::Other)
    }

    /// `HELLO [2|3 [AUTH user password] [SETNAME name]]`: which version of the protocol is spoken.
    fn hello(&mut self, args: &[&[u8]], reply: &mut Reply<'_>) -> Result<(), String> {
        let (resp3, mut rest) = match args.split_first() {
            None => (self.resp3, args),
            Some((&b"2", rest)) => (false, rest),
            Some((&b"3", rest)) => (true, rest),
            Some(_) => return Err("NOPROTO unsupported protocol version: write 2 or 3".into()),
        };
        let mut name = None;
        while let Some((option, values)) = rest.split_first() {
            if option.eq_ignore_ascii_case(b"auth") {
                return Err(NO_PASSWORD.into());
            }
            match values.split_first() {
                Some((value, more)) if option.eq_ignore_ascii_case(b"setname") => {
                    name = Some(named(value)?);
                    rest = more;
                }
                _ => return Err(format!("ERR syntax error in HELLO option '{}'", shown(option))),
            }
        }
        self.name = name.unwrap_or_else(|| std::mem::take(&mut self.name));
        self.resp3 = resp3;
        reply.resp3 = resp3;
        reply.map(7);
        let texts = [
            ("server", "tidegate"),
            ("version", SPEAKS),
            ("mode", "standalone"),
            ("role", "master"),
        ];
        for (field, text) in texts {
            reply.bulk(field.as_bytes());
            reply.bulk(text.as_bytes());
        }
        reply.bulk(b"proto");
        reply.integer(if resp3 { 3 } else { 2 });
        reply.bulk(b"id");
        reply.integer(self.id);
        reply.bulk(b"modules");
        reply.array(0);
        Ok(())
    }

    fn client(&mut self, what: &[u8], args: &[&[u8]], reply: &mut Reply<'_>) -> Result<(), String> {
        match (what.to_ascii_uppercase().as_slice(), args) {
            (b"SETNAME", [name]) => {
                self.name = named(name)?;
                reply.simple("OK");
            }
            (b"SETINFO", [_, _]) => reply.simple("OK"),
            (b"GETNAME", []) if self.name.is_empty() => reply.null(),
            (b"GETNAME", []) => reply.bulk(&self.name),
            (b"ID", []) => reply.integer(self.id),
            (b"SETNAME" | b"SETINFO" | b"GETNAME" | b"ID", _) => return Err(wrong_number(what)),
            _ => return Err(format!("ERR unknown subcommand '{}' of CLIENT", shown(what))),
        }
        Ok(())
    }
}

fn wrong_number(command: &[u8]) -> String {
    format!("ERR wrong number of arguments for '{}' command", shown(command).to_lowercase())
}

fn info() -> String {
    let (ours, process) = (env!("CARGO_PKG_VERSION"), std::process::id());
    format!(
        "# Server\r\nredis_version:{SPEAKS}\r\nredis_mode:standalone\r\n\
         tidegate_version:{ours}\r\nprocess_id:{process}\r\n"
    )
}

fn named(name: &[u8]) -> Result<Box<[u8]>, String> {
    if name.len() <= MOST_NAME && name.iter().all(u8::is_ascii_graphic) {
        return Ok(name.into());
    }
    Err(format!(
        "ERR a client's name is at most {MOST_NAME} letters, digits and signs without spaces"
    ))
}

/// `key max_burst count_per_period period [quantity]`; the error is what to answer.
fn throttle(shared: &Shared, now: Timestamp, args: &[&[u8]]) -> Result<Admission, String> {
    let (key, numbers, quantity) = match args {
        [key, burst, count, period] => (key, [burst, count, period], None),
        [key, burst, count, period, quantity] => (key, [burst, count, period], Some(quantity)),
        _ => return Err(USAGE.into()),
    };
    let [burst, count, period] = numbers;
    // The limit is one more than the burst, and is to be a number as well.
    let burst = number("max_burst", burst, 0..=u32::MAX - 1)?;
    let count = number("count_per_period", count, 1..=u32::MAX)?;
    let period = number("period", period, 1..=u32::MAX)?;
    let quantity = quantity.map_or(Ok(1), |text| number("quantity", text, 0..=u32::MAX))?;
    let quota = Quota::new(count, Duration::from_secs(period.into()), burst.saturating_add(1))
        .map_err(|e| format!("ERR {e}"))?;
    let charged = shared.charge(key, quota, Cost::cells(quantity), now);
    charged.ok_or_else(|| "ERR the key can't be charged now: try again".into())
}

fn number(name: &str, text: &[u8], range: RangeInclusive<u32>) -> Result<u32, String> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        let (from, to) = range.into_inner();
        let unit = if name == "period" { " of seconds" } else { "" };
        format!("ERR {name} is '{}': write a whole number{unit} from {from} to {to}", shown(text))
    })
}

/// Limited or not, limit, remaining, seconds until a retry, seconds until all is there again.
fn answer(admission: &Admission, reply: &mut Reply<'_>) {
    // Whoever comes back after so many seconds must not come too early.
    let seconds = |time: Duration| {
        let up = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
        i64::try_from(up).unwrap_or(i64::MAX)
    };
    // More at once than ever fits has no time at which it will.
    let never = admission.admitted || admission.retry_after == Duration::MAX;
    reply.array(5);
    reply.integer(i64::from(!admission.admitted));
    reply.integer(admission.limit.into());
    reply.integer(admission.remaining.into());
    reply.integer(if never { -1 } else { seconds(admission.retry_after) });
    reply.integer(seconds(admission.reset_after));
}
