//! From fields to a record: the one place where text becomes addresses, numbers and targets.

use super::field::Field;
use super::record::Record;
use super::text::{last_entry, part, split_client, split_request};
use super::time::{DateCache, decimal, digits, epoch};
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;
use tidegate_behavior::{Method, Outcome};
use tidegate_limiter::Timestamp;

const TIME: &str = "a date like 18/Jul/2023:13:44:16 +0000, an RFC 3339 time or epoch seconds";
const STATUS: &str = "a status code from 0 to 999, or -";
const SIZE: &str = "a number of bytes, or -";
const DURATION: &str = "a duration, or -";
/// What a credential looks like in logs of Caddy and Traefik that hide it: the same for everyone,
/// so it names nobody.
const HIDDEN: &str = "REDACTED";

/// A record in the making.
#[derive(Default)]
pub(crate) struct Builder<'a> {
    time: Option<Timestamp>,
    addr: Option<IpAddr>,
    client: Cow<'a, str>,
    user: Option<Cow<'a, str>>,
    credential: Option<Cow<'a, str>>,
    method: Option<Method>,
    path: Option<Cow<'a, str>>,
    line: Option<(Method, Cow<'a, str>)>,
    query: Option<Cow<'a, str>>,
    referer: Cow<'a, str>,
    user_agent: Cow<'a, str>,
    payload: u64,
    responded: bool,
    outcome: Outcome,
    forwarded_for: Option<Cow<'a, str>>,
    ja4: Option<Cow<'a, str>>,
}

impl<'a> Builder<'a> {
    /// Takes a field's text, unescaped. `-` and the empty text stand for absence.
    ///
    /// # Errors
    /// What was expected instead.
    #[inline]
    pub(crate) fn text(
        &mut self,
        field: Field,
        text: Cow<'a, str>,
        dates: &mut DateCache,
    ) -> Result<(), &'static str> {
        let absent = matches!(&*text, "" | "-");
        match field {
            Field::Time => self.time = Some(dates.parse(&text).ok_or(TIME)?),
            Field::RequestLine => self.line = Some(split_request(text)),
            Field::AbsoluteRequestLine => {
                let (method, target) = split_request(text);
                self.line = Some((method, part(target, relative)));
            }
            _ if absent => {}
            Field::Client => {
                self.addr = split_client(&text).0;
                self.client = part(text, |text| split_client(text).1);
            }
            Field::User => self.user = Some(text),
            Field::Credential => self.credential = Some(text).filter(|text| text != HIDDEN),
            Field::Method => self.method = Some(Method::parse(text.as_bytes())),
            Field::Path => self.path = Some(text),
            Field::Query => self.query = Some(text),
            Field::Status => self.status(digits(text.as_bytes()))?,
            Field::Bytes => {
                self.outcome.bytes = digits(text.as_bytes()).ok_or(SIZE)?;
                self.responded = true;
            }
            Field::Referer => self.referer = text,
            Field::UserAgent => self.user_agent = text,
            // Load balancers write -1 for times that they did not measure.
            Field::Duration(_) | Field::SecondsOrMillis | Field::DurationShare
                if text.starts_with('-') => {}
            Field::Duration(unit) => self.duration(decimal(&text).ok_or(DURATION)?, unit),
            Field::SecondsOrMillis => {
                let unit = if text.contains('.') { 1_000_000_000 } else { 1_000_000 };
                self.duration(decimal(&text).ok_or(DURATION)?, unit);
            }
            Field::DurationShare => {
                let before = self.outcome.duration.unwrap_or_default();
                self.duration(decimal(&text).ok_or(DURATION)?, 1_000_000_000);
                let share = self.outcome.duration.unwrap_or_default();
                self.outcome.duration = Some(before.saturating_add(share));
            }
            Field::Payload => self.payload = digits(text.as_bytes()).ok_or(SIZE)?,
            Field::ForwardedFor => self.forwarded_for = Some(text),
            Field::Ja4 => self.ja4 = Some(text),
        }
        Ok(())
    }

    /// Takes a whole number of a JSON log.
    ///
    /// # Errors
    /// What was expected instead.
    pub(crate) fn whole(&mut self, field: Field, number: u64) -> Result<(), &'static str> {
        let nanos = u128::from(number) * 1_000_000_000;
        match field {
            Field::Time => self.time = Some(epoch(nanos).ok_or(TIME)?),
            Field::Status => self.status(Some(number))?,
            Field::Bytes => {
                self.outcome.bytes = number;
                self.responded = true;
            }
            Field::Payload => self.payload = number,
            Field::Duration(unit) => self.duration(nanos, unit),
            Field::SecondsOrMillis => self.duration(nanos, 1_000_000),
            _ => self.text(field, Cow::Owned(number.to_string()), &mut DateCache::default())?,
        }
        Ok(())
    }

    /// Takes a number with a fraction of a JSON log; negative sizes and durations are absent.
    ///
    /// # Errors
    /// What was expected instead.
    pub(crate) fn fraction(&mut self, field: Field, number: f64) -> Result<(), &'static str> {
        // Times since the epoch fill the mantissa of a double up to the microsecond.
        let nanos = (number >= 0.0).then(|| ((number * 1e6).round() as u128).saturating_mul(1_000));
        match (field, nanos) {
            (Field::Time, _) => self.time = Some(nanos.and_then(epoch).ok_or(TIME)?),
            (_, None) => {}
            (Field::Duration(unit), Some(_)) => {
                self.duration((number * 1e9).round() as u128, unit);
            }
            (Field::SecondsOrMillis, Some(_)) => {
                self.duration((number * 1e9).round() as u128, 1_000_000_000);
            }
            (Field::Status | Field::Bytes | Field::Payload, Some(_)) => {
                self.whole(field, number as u64)?;
            }
            _ => self.text(field, Cow::Owned(number.to_string()), &mut DateCache::default())?,
        }
        Ok(())
    }

    fn status(&mut self, number: Option<u64>) -> Result<(), &'static str> {
        let status = number.filter(|number| *number < 1000).ok_or(STATUS)?;
        self.outcome.status = u16::try_from(status).map_err(|_| STATUS)?;
        self.responded = true;
        Ok(())
    }

    /// `nanos` as if the number were in seconds; `unit` is what it is in, in nanoseconds.
    fn duration(&mut self, nanos: u128, unit: u64) {
        let nanos = nanos.saturating_mul(u128::from(unit)) / 1_000_000_000;
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        self.outcome.duration = Some(Duration::from_nanos(nanos));
        self.responded = true;
    }

    /// Whether anything says who the client is.
    pub(crate) fn names_client(&self) -> bool {
        !self.client.is_empty() || self.credential.is_some() || self.forwarded_for.is_some()
    }

    /// The record; `None` without a time.
    pub(crate) fn finish(mut self) -> Option<Record<'a>> {
        let time = self.time?;
        if self.client.is_empty()
            && let Some(hops) = &self.forwarded_for
        {
            // The last hop is the one that the logging proxy saw itself.
            let last = part(hops.clone(), last_entry);
            self.addr = split_client(&last).0;
            self.client = part(last, |text| split_client(text).1);
        }
        let (method, target) = self.line.unwrap_or((Method::Other, Cow::Borrowed("")));
        let mut path = self.path.unwrap_or(target);
        if let Some(query) = self.query {
            path = Cow::Owned(format!("{path}?{query}"));
        }
        Some(Record {
            time,
            addr: self.addr,
            client: self.client,
            user: self.user,
            credential: self.credential,
            method: self.method.unwrap_or(method),
            path,
            referer: self.referer,
            user_agent: self.user_agent,
            payload: self.payload,
            outcome: self.responded.then_some(self.outcome),
            forwarded_for: self.forwarded_for,
            ja4: self.ja4,
        })
    }
}

/// The path and query of an absolute URL; other targets as they are.
fn relative(target: &str) -> &str {
    let Some((_, rest)) = target.split_once("://") else { return target };
    // `http://host:80-` is how AWS writes a request that it could not read.
    rest.find('/').and_then(|start| rest.get(start..)).unwrap_or("/")
}
