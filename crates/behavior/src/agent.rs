//! User agents: what kind they claim to be, and the fingerprint that groups look-alikes.

use crate::marks::Marks;
use crate::record::Request;
use memchr::memmem;

/// Robots that mean to be recognised give an address, "bot", "crawler" or "spider".
const ROBOTS: [&[u8]; 6] = [b"bot", b"Bot", b"rawler", b"pider", b"+http", b"lurp"];
/// A part of each, such as browsers seldom have.
static ROBOT_MARKS: Marks =
    Marks::new(&[(b"b", b"o"), (b"w", b"l"), (b"p", b"i"), (b"r", b"p"), (b"", b"+")]);

/// What a user agent claims to be. The claim is free to forge, so it only ever matters together
/// with behaviour: a browser that loads no assets, a library that browses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum AgentKind {
    /// No user agent at all.
    #[default]
    None = 0,
    /// A browser.
    Browser = 1,
    /// An app or an HTTP library.
    Library = 2,
    /// Something that says it is a robot.
    Robot = 3,
}

impl AgentKind {
    /// What the `User-Agent` field claims.
    #[must_use]
    pub fn of(user_agent: &str) -> Self {
        let text = user_agent.as_bytes();
        if text.is_empty() || text == b"-" {
            return Self::None;
        }
        let robot = |mark: &&[u8]| memmem::find(text, mark).is_some();
        if ROBOT_MARKS.any(text) && ROBOTS.iter().any(robot) {
            return Self::Robot;
        }
        if text.starts_with(b"Mozilla/") || text.starts_with(b"Opera/") {
            return Self::Browser;
        }
        Self::Library
    }
}

/// A hash of what look-alike clients share: user agent, shape of the header fields, JA4.
#[must_use]
pub fn fingerprint(request: &Request<'_>) -> u64 {
    let agent = crate::hash(request.user_agent.as_bytes());
    let ja4 = request.ja4.map_or(0, |ja4| crate::hash(ja4.as_bytes()));
    crate::mix(crate::mix(agent, request.header_shape), ja4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (agent, kind) in [
            ("", AgentKind::None),
            ("-", AgentKind::None),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:1.0) Gecko Firefox/1.0", AgentKind::Browser),
            ("Mozilla/5.0 (compatible; SomeBot/2.0; +http://example.org)", AgentKind::Robot),
            ("Sogou web spider/4.0", AgentKind::Robot),
            ("python-requests/2.31", AgentKind::Library),
            ("ShopApp/7.1 (iPhone)", AgentKind::Library),
        ] {
            assert_eq!(AgentKind::of(agent), kind, "{agent}");
        }
    }

    #[test]
    fn every_robot_has_a_mark() {
        for robot in ROBOTS {
            assert!(ROBOT_MARKS.any(robot), "{robot:?}");
        }
    }

    #[test]
    fn look_alikes_share_a_fingerprint() {
        let request = |ua| Request { user_agent: ua, ..Request::default() };
        assert_eq!(fingerprint(&request("a")), fingerprint(&request("a")));
        assert_ne!(fingerprint(&request("a")), fingerprint(&request("b")));
        let shaped = Request { header_shape: 7, ..request("a") };
        assert_ne!(fingerprint(&shaped), fingerprint(&request("a")));
    }
}
