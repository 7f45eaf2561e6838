//! The fields of a record by name: the keys of mappings, nginx's variables, the keys of JSON logs.

use super::error::FormatError;
use std::str::FromStr;

/// What a piece of a line stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Time,
    Client,
    User,
    Credential,
    Method,
    Path,
    /// Method, target and protocol in one.
    RequestLine,
    /// As above, with an absolute URL for the target.
    AbsoluteRequestLine,
    /// A query without its `?`, to be put behind the path.
    Query,
    Status,
    Bytes,
    Referer,
    UserAgent,
    /// A duration in units of so many nanoseconds.
    Duration(u64),
    /// A duration in JSON whose unit shows in its form: Caddy writes seconds with a fraction,
    /// Envoy whole milliseconds.
    SecondsOrMillis,
    /// A share of the duration, in seconds; the shares are summed.
    DurationShare,
    Payload,
    ForwardedFor,
    Ja4,
}

impl Field {
    /// Fields with the same slot say the same thing, and only one of them is read.
    pub(crate) const fn slot(self) -> usize {
        match self {
            Self::Time => 0,
            Self::Client => 1,
            Self::User => 2,
            Self::Credential => 3,
            Self::Method => 4,
            Self::Path => 5,
            Self::RequestLine | Self::AbsoluteRequestLine => 6,
            Self::Query => 7,
            Self::Status => 8,
            Self::Bytes => 9,
            Self::Referer => 10,
            Self::UserAgent => 11,
            Self::Duration(_) | Self::SecondsOrMillis | Self::DurationShare => 12,
            Self::Payload => 13,
            Self::ForwardedFor => 14,
            Self::Ja4 => 15,
        }
    }

    /// How many slots there are.
    pub(crate) const SLOTS: usize = 16;
}

const NANO: u64 = 1;
const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// The keys of mappings, and of JSON logs written for Tidegate.
pub(crate) const KEYS: [(&str, Field); 19] = [
    ("time", Field::Time),
    ("client_ip", Field::Client),
    ("user", Field::User),
    ("credential", Field::Credential),
    ("method", Field::Method),
    ("path", Field::Path),
    ("request", Field::RequestLine),
    ("query", Field::Query),
    ("status", Field::Status),
    ("bytes", Field::Bytes),
    ("referer", Field::Referer),
    ("user_agent", Field::UserAgent),
    ("duration_s", Field::Duration(SECOND)),
    ("duration_ms", Field::Duration(MILLI)),
    ("duration_us", Field::Duration(MICRO)),
    ("duration_ns", Field::Duration(NANO)),
    ("payload", Field::Payload),
    ("forwarded_for", Field::ForwardedFor),
    ("ja4", Field::Ja4),
];

/// The variables of text formats, by preference: of two with one slot the earlier is read.
/// Those after nginx's own are names for the fields of Envoy's and AWS's formats.
pub(crate) const VARIABLES: [(&str, Field); 32] = [
    ("msec", Field::Time),
    ("time_iso8601", Field::Time),
    ("time_local", Field::Time),
    ("remote_addr", Field::Client),
    ("remote_user", Field::User),
    ("http_x_api_key", Field::Credential),
    ("http_authorization", Field::Credential),
    ("request_method", Field::Method),
    ("request_uri", Field::Path),
    ("request", Field::RequestLine),
    ("uri", Field::Path),
    ("document_uri", Field::Path),
    ("args", Field::Query),
    ("query_string", Field::Query),
    ("status", Field::Status),
    ("body_bytes_sent", Field::Bytes),
    ("bytes_sent", Field::Bytes),
    ("http_referer", Field::Referer),
    ("http_user_agent", Field::UserAgent),
    ("request_time", Field::Duration(SECOND)),
    ("request_length", Field::Payload),
    ("http_x_forwarded_for", Field::ForwardedFor),
    ("ssl_ja4", Field::Ja4),
    ("http_x_ja4", Field::Ja4),
    ("http_ja4", Field::Ja4),
    ("duration_ms", Field::Duration(MILLI)),
    ("bytes_received", Field::Payload),
    ("client", Field::Client),
    ("request_processing_time", Field::DurationShare),
    ("target_processing_time", Field::DurationShare),
    ("response_processing_time", Field::DurationShare),
    ("absolute_request", Field::AbsoluteRequestLine),
];

/// The keys of well known JSON logs beside [`KEYS`], by preference. A dot leads into an object.
pub(crate) const JSON_ALIASES: [(&str, Field); 67] = [
    // Traefik; before `time`, which is when Traefik wrote the line.
    ("StartUTC", Field::Time),
    ("ClientHost", Field::Client),
    ("ClientAddr", Field::Client),
    ("ClientUsername", Field::User),
    ("RequestMethod", Field::Method),
    ("RequestPath", Field::Path),
    ("DownstreamStatus", Field::Status),
    ("DownstreamContentSize", Field::Bytes),
    ("Duration", Field::Duration(NANO)),
    ("RequestContentSize", Field::Payload),
    ("request_User-Agent", Field::UserAgent),
    ("request_Referer", Field::Referer),
    ("request_X-Forwarded-For", Field::ForwardedFor),
    ("request_X-Api-Key", Field::Credential),
    ("request_Authorization", Field::Credential),
    // Caddy; `client_ip` is the one behind its trusted proxies.
    ("ts", Field::Time),
    ("request.client_ip", Field::Client),
    ("request.remote_ip", Field::Client),
    ("request.remote_addr", Field::Client),
    ("user_id", Field::User),
    ("request.method", Field::Method),
    ("request.uri", Field::Path),
    ("size", Field::Bytes),
    ("bytes_read", Field::Payload),
    ("request.headers.User-Agent", Field::UserAgent),
    ("request.headers.Referer", Field::Referer),
    ("request.headers.X-Forwarded-For", Field::ForwardedFor),
    ("request.headers.X-Api-Key", Field::Credential),
    ("request.headers.Authorization", Field::Credential),
    ("request.headers.X-Ja4", Field::Ja4),
    // Envoy
    ("start_time", Field::Time),
    ("downstream_remote_address", Field::Client),
    ("x_forwarded_for", Field::ForwardedFor),
    ("x-forwarded-for", Field::ForwardedFor),
    ("response_code", Field::Status),
    ("bytes_received", Field::Payload),
    ("duration", Field::SecondsOrMillis),
    ("user-agent", Field::UserAgent),
    // nginx, by the names of its variables
    ("msec", Field::Time),
    ("time_iso8601", Field::Time),
    ("time_local", Field::Time),
    ("remote_addr", Field::Client),
    ("remote_user", Field::User),
    ("http_x_api_key", Field::Credential),
    ("http_authorization", Field::Credential),
    ("request_method", Field::Method),
    ("request_uri", Field::Path),
    ("body_bytes_sent", Field::Bytes),
    ("bytes_sent", Field::Bytes),
    ("http_referer", Field::Referer),
    ("http_user_agent", Field::UserAgent),
    ("request_time", Field::Duration(SECOND)),
    ("request_length", Field::Payload),
    ("http_x_forwarded_for", Field::ForwardedFor),
    ("ssl_ja4", Field::Ja4),
    ("http_x_ja4", Field::Ja4),
    // Others' habits
    ("@timestamp", Field::Time),
    ("timestamp", Field::Time),
    ("remote_ip", Field::Client),
    ("clientip", Field::Client),
    ("client", Field::Client),
    ("api_key", Field::Credential),
    ("uri", Field::Path),
    ("url", Field::Path),
    ("status_code", Field::Status),
    ("referrer", Field::Referer),
    ("userAgent", Field::UserAgent),
];

/// `key=field`: read a record's `key` from this field of the log instead of the usual one.
///
/// For JSON the field is a path, `http.remote.addr`; for text formats it is a variable of the
/// `log_format` string, with or without its `$`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub(crate) key: &'static str,
    pub(crate) field: Field,
    pub(crate) source: String,
}

impl FromStr for Mapping {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let malformed = || FormatError::Mapping(text.to_owned());
        let (key, source) = text.split_once('=').ok_or_else(malformed)?;
        let source = source.trim().trim_start_matches(['$', '.']);
        if source.is_empty() {
            return Err(malformed());
        }
        let (key, field) = *KEYS
            .iter()
            .find(|(name, _)| *name == key.trim())
            .ok_or_else(|| FormatError::UnknownKey(key.trim().to_owned()))?;
        Ok(Self { key, field, source: source.to_owned() })
    }
}
