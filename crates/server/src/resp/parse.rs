//! Commands out of bytes: arrays of bulk strings as clients send them, and lines as people type them.
//!
//! The protocol is RESP (<https://redis.io/docs/latest/develop/reference/protocol-spec/>), of which a
//! server reads little. Nothing is copied, and whatever the bytes are, what is said of them does not
//! depend on the pieces they come in.

use smallvec::SmallVec;
use std::ops::Range;

/// Longest argument, in bytes.
pub(super) const MOST_BULK: usize = 64 << 10;
/// Most arguments, the command's name among them.
pub(super) const MOST_ARGS: usize = 16;
/// Longest command, in bytes: more is never waited for.
pub(super) const MOST_COMMAND: usize = 128 << 10;
/// Longest line that is typed.
const MOST_LINE: usize = 4 << 10;
/// Longest line that says how many there are of something.
const MOST_HEAD: usize = 32;

/// A command and its arguments; none at all for an empty line.
pub(super) type Args<'a> = SmallVec<[&'a [u8]; 8]>;

/// Bytes that are no command. What follows them can't be read either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("invalid multibulk length: a command has at most {MOST_ARGS} arguments")]
    Args,
    #[error("expected '$': each argument is a bulk string")]
    NoBulk,
    #[error("invalid bulk length: an argument has 0 to {MOST_BULK} bytes")]
    Bulk,
    #[error("a bulk string is longer or shorter than it says, or its line does not end in CR LF")]
    End,
    #[error("a command has at most {MOST_COMMAND} bytes")]
    Long,
    #[error("too big inline request: send more than {MOST_LINE} bytes as an array")]
    Line,
    #[error("quotes are not read in inline requests: send an array of bulk strings")]
    Quotes,
}

/// The first command of these bytes and how many of them it takes; `None` until it is whole.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Args<'_>, usize)>, Malformed> {
    match bytes.first() {
        None => Ok(None),
        Some(b'*') => array(bytes),
        Some(_) => line(bytes),
    }
}

fn array(bytes: &[u8]) -> Result<Option<(Args<'_>, usize)>, Malformed> {
    let Some((count, mut at)) = head(bytes, 0, Malformed::Args)? else { return Ok(None) };
    // Redis takes a null array for an empty one.
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    if count > MOST_ARGS {
        return Err(Malformed::Args);
    }
    let mut args = Args::new();
    for _ in 0..count {
        let Some((range, next)) = bulk(bytes, at)? else { return Ok(None) };
        args.push(bytes.get(range).unwrap_or_default());
        at = next;
    }
    Ok(Some((args, at)))
}

/// Where the bulk string that begins at `at` has its bytes, and where it ends.
fn bulk(bytes: &[u8], at: usize) -> Result<Option<(Range<usize>, usize)>, Malformed> {
    match bytes.get(at) {
        None => return Ok(None),
        Some(b'$') => {}
        Some(_) => return Err(Malformed::NoBulk),
    }
    let Some((length, start)) = head(bytes, at, Malformed::Bulk)? else { return Ok(None) };
    let length = usize::try_from(length).ok().filter(|length| *length <= MOST_BULK);
    let end = start + length.ok_or(Malformed::Bulk)?;
    if end + 2 > MOST_COMMAND {
        return Err(Malformed::Long);
    }
    match bytes.get(end..).unwrap_or_default() {
        [] => Ok(None),
        [b'\r', b'\n', ..] => Ok(Some((start..end, end + 2))),
        [b'\r'] => Ok(None),
        _ => Err(Malformed::End),
    }
}

/// The number behind the byte at `at`, and where its line ends.
fn head(bytes: &[u8], at: usize, wrong: Malformed) -> Result<Option<(i64, usize)>, Malformed> {
    let line = bytes.get(at + 1..).unwrap_or_default();
    let line = line.get(..MOST_HEAD).unwrap_or(line);
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        return if line.len() < MOST_HEAD { Ok(None) } else { Err(wrong) };
    };
    let digits = line.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Malformed::End)?;
    let plain = digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
    let number = std::str::from_utf8(digits).ok().filter(|_| plain);
    let number = number.and_then(|digits| digits.parse().ok()).ok_or(wrong)?;
    Ok(Some((number, at + 1 + end + 1)))
}

fn line(bytes: &[u8]) -> Result<Option<(Args<'_>, usize)>, Malformed> {
    let line = bytes.get(..MOST_LINE).unwrap_or(bytes);
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        return if line.len() < MOST_LINE { Ok(None) } else { Err(Malformed::Line) };
    };
    let mut args = Args::new();
    let line = line.get(..end).unwrap_or_default();
    if line.iter().any(|byte| matches!(byte, b'"' | b'\'')) {
        return Err(Malformed::Quotes);
    }
    for arg in line.split(u8::is_ascii_whitespace).filter(|arg| !arg.is_empty()) {
        if args.len() == MOST_ARGS {
            return Err(Malformed::Args);
        }
        args.push(arg);
    }
    Ok(Some((args, end + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Option<(Vec<String>, usize)>, Malformed> {
        let text_of = |arg: &&[u8]| String::from_utf8_lossy(arg).into_owned();
        Ok(parse(text.as_bytes())?.map(|(args, used)| (args.iter().map(text_of).collect(), used)))
    }

    #[test]
    fn commands_are_read_and_the_rest_is_left() {
        for (text, args, used) in [
            ("*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\nrest", &["ECHO", "\r\n"][..], 22),
            ("*1\r\n$0\r\n\r\n", &[""], 10),
            ("*0\r\nrest", &[], 4),
            ("*-1\r\n", &[], 5),
            ("\r\nrest", &[], 2),
            ("PING\r\nrest", &["PING"], 6),
            ("  cl.throttle\tk 1  2 3\n", &["cl.throttle", "k", "1", "2", "3"], 23),
        ] {
            let args = args.iter().map(ToString::to_string).collect();
            assert_eq!(read(text), Ok(Some((args, used))), "{text:?}");
        }
        for part in ["", "*", "*1", "*1\r", "*1\r\n", "*1\r\n$1\r\na", "*1\r\n$1\r\na\r", "PING"] {
            assert_eq!(read(part), Ok(None), "{part:?}");
        }
    }

    #[test]
    fn what_is_no_command_says_why() {
        let long_line = "a".repeat(MOST_LINE);
        let long =
            format!("*3\r\n{}", format!("$65536\r\n{}\r\n", "a".repeat(MOST_BULK)).repeat(2));
        for (text, why) in [
            ("*17\r\n", Malformed::Args),
            ("*99999999999999999999\r\n", Malformed::Args),
            ("*many\r\n", Malformed::Args),
            ("*+1\r\n", Malformed::Args),
            ("*1\n", Malformed::End),
            ("*1\r\n:1\r\n", Malformed::NoBulk),
            ("*1\r\n$65537\r\n", Malformed::Bulk),
            ("*1\r\n$-1\r\n", Malformed::Bulk),
            ("*1\r\n$00000000000000000000000000000001", Malformed::Bulk),
            ("*1\r\n$1\r\nab\r\n", Malformed::End),
            (long.as_str(), Malformed::Long),
            ("ECHO 'a b'\r\n", Malformed::Quotes),
            ("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n", Malformed::Args),
            (long_line.as_str(), Malformed::Line),
        ] {
            assert_eq!(read(text), Err(why), "{:?}", text.get(..40));
        }
    }

    fn commands(bytes: &[u8]) -> (Vec<Vec<Vec<u8>>>, usize, Option<Malformed>) {
        let (mut all, mut at) = (Vec::new(), 0);
        loop {
            match parse(&bytes[at..]) {
                Ok(None) => return (all, at, None),
                Ok(Some((args, used))) => {
                    all.push(args.iter().map(|arg| arg.to_vec()).collect());
                    at += used;
                }
                Err(why) => return (all, at, Some(why)),
            }
        }
    }

    /// Pieces that are likely to be near a command.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            Just(b"*1\r\n".to_vec()),
            Just(b"*2\r\n$4\r\nPING\r\n$1\r\na\r\n".to_vec()),
            Just(b"$3\r\nabc\r\n".to_vec()),
            Just(b"PING\r\n".to_vec()),
            Just(b"\r\n".to_vec()),
            (-2i64..20).prop_map(|n| format!("*{n}\r\n").into_bytes()),
            (-2i64..9).prop_map(|n| format!("${n}\r\n").into_bytes()),
            vec(any::<u8>(), 0..8),
        ];
        vec(word, 0..12).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(bytes in bytes(), cut in 0usize..100) {
            let whole = commands(&bytes);
            let cut = cut.min(bytes.len());
            let (mut all, at, why) = commands(&bytes[..cut]);
            if why.is_some() {
                prop_assert_eq!((all, at, why), whole);
            } else {
                let (more, further, why) = commands(&bytes[at..]);
                all.extend(more);
                prop_assert_eq!((all, at + further, why), whole);
            }
        }

        #[test]
        fn what_is_written_is_read(args in vec(vec(any::<u8>(), 0..300), 1..=MOST_ARGS)) {
            let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
            for arg in &args {
                bytes.extend(format!("${}\r\n", arg.len()).bytes());
                bytes.extend(arg);
                bytes.extend(b"\r\n");
            }
            let length = bytes.len();
            prop_assert_eq!(commands(&bytes), (vec![args], length, None));
        }
    }
}
