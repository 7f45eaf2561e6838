//! Path patterns of rules: literal segments, `*` for one segment, `**` for the rest.

use std::fmt;
use std::str::FromStr;

/// A pattern over the segments of a path, without its query.
///
/// `/login` matches itself alone; `/orders/*` one segment more; `/api/**` everything below and
/// `/api` itself; `*.php` in a segment matches by ending, `report-*` by beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    segments: Vec<Segment>,
    rest: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Any,
    Prefix(String),
    Suffix(String),
}

/// Why a pattern was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PatternError {
    /// The pattern does not begin with a slash.
    #[error("path pattern `{0}` must begin with `/`; write `/{0}`")]
    NoSlash(String),
    /// `**` stands before the end.
    #[error("path pattern `{0}`: `**` can only be the last segment; use `*` for a single one")]
    RestNotLast(String),
    /// A star in the middle of a segment, or two of them.
    #[error(
        "path pattern `{0}`: segment `{1}` may have one `*`, at its beginning or its end; use `*` for the whole segment"
    )]
    Star(String, String),
}

impl PathPattern {
    /// The pattern that matches every path.
    #[must_use]
    pub fn any() -> Self {
        Self { text: "/**".into(), segments: Vec::new(), rest: true }
    }

    /// Whether `path` (no query) matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut given = path.strip_prefix('/').unwrap_or(path).split('/');
        for segment in &self.segments {
            let Some(part) = given.next() else { return false };
            let fits = match segment {
                Segment::Literal(text) => part == text,
                Segment::Any => !part.is_empty(),
                Segment::Prefix(text) => part.starts_with(text.as_str()),
                Segment::Suffix(text) => part.ends_with(text.as_str()),
            };
            if !fits {
                return false;
            }
        }
        self.rest || given.next().is_none()
    }
}

impl FromStr for PathPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let Some(body) = text.strip_prefix('/') else {
            return Err(PatternError::NoSlash(text.into()));
        };
        let (body, rest) = match body.strip_suffix("**") {
            Some("") => return Ok(Self { text: text.into(), ..Self::any() }),
            Some(front) if front.ends_with('/') => (&front[..front.len() - 1], true),
            Some(_) | None => (body, false),
        };
        let mut segments = Vec::new();
        for part in body.split('/') {
            if part == "**" {
                return Err(PatternError::RestNotLast(text.into()));
            }
            segments.push(match (part.matches('*').count(), part) {
                (0, _) => Segment::Literal(part.into()),
                (1, "*") => Segment::Any,
                (1, _) if part.ends_with('*') => Segment::Prefix(part[..part.len() - 1].into()),
                (1, _) if part.starts_with('*') => Segment::Suffix(part[1..].into()),
                _ => return Err(PatternError::Star(text.into(), part.into())),
            });
        }
        Ok(Self { text: text.into(), segments, rest })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        pattern.parse::<PathPattern>().unwrap().matches(path)
    }

    #[test]
    fn literal_star_and_rest() {
        for (pattern, path, expected) in [
            ("/login", "/login", true),
            ("/login", "/login/", false),
            ("/login", "/logins", false),
            ("/orders/*", "/orders/7", true),
            ("/orders/*", "/orders", false),
            ("/orders/*", "/orders/7/items", false),
            ("/api/**", "/api", true),
            ("/api/**", "/api/v1/x", true),
            ("/api/**", "/apis", false),
            ("/**", "/", true),
            ("/", "/", true),
            ("/", "/x", false),
            ("/*.php", "/a.php", true),
            ("/*.php", "/a.phpx", false),
            ("/report-*/x", "/report-7/x", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn bad_patterns_say_what_to_write() {
        assert_eq!("login".parse::<PathPattern>(), Err(PatternError::NoSlash("login".into())));
        assert!("/a/**/b".parse::<PathPattern>().is_err());
        assert!("/a*b/c".parse::<PathPattern>().is_err());
    }
}
