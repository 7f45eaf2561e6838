//! What scanners ask for: names of software that is broken into, and of technologies a site may not use.

/// The longest name below; of longer segments the beginning is looked at.
const LONGEST: usize = 16;

/// Beginnings of names, in lower case.
const BEGINNINGS: [&[u8]; 6] =
    [b"wp-", b"phpmyadmin", b"backup.", b"dump.", b"eval-stdin", b"docker-compose"];

/// How many technologies are told apart.
pub(crate) const TECHNOLOGIES: usize = 5;

/// Endings of file names that stand for a technology, with its number.
const ENDINGS: [(&[u8], u8); 8] = [
    (b"php", 0),
    (b"asp", 1),
    (b"aspx", 1),
    (b"jsp", 2),
    (b"jspx", 2),
    (b"do", 3),
    (b"action", 3),
    (b"cgi", 4),
];

/// Whether a segment of a path names something that is broken into: panels, consoles, debuggers,
/// leftovers. Only names that are no word of a language, for a shop may sell telescopes. Where a site
/// serves it by that name it says nothing, which the caller knows.
pub(crate) fn is_sought(segment: &[u8]) -> bool {
    let mut buffer = [0; LONGEST + 1];
    let lower = lower(segment, &mut buffer);
    matches!(
        lower,
        b"xmlrpc.php"
            | b"pma"
            | b"myadmin"
            | b"dbadmin"
            | b"adminer"
            | b"adminer.php"
            | b"phpinfo"
            | b"phpinfo.php"
            | b"phpunit"
            | b"wlwmanifest.xml"
            | b"actuator"
            | b"heapdump"
            | b"jolokia"
            | b"jmx-console"
            | b"web-console"
            | b"struts2-showcase"
            | b"geoserver"
            | b"nacos"
            | b"cgi-bin"
            | b"boaform"
            | b"hnap1"
            | b"gponform"
            | b"goform"
            | b"autodiscover"
            | b"dana-na"
            | b"server-status"
            | b"server-info"
            | b"_ignition"
            | b"_profiler"
            | b"id_rsa"
            | b"db.sql"
            | b"web.config"
            | b"composer.lock"
            | b"sftp-config.json"
    ) || BEGINNINGS.iter().any(|beginning| lower.starts_with(beginning))
}

/// As much of a segment or word as the buffer holds, in lower case.
#[inline]
pub(crate) fn lower<'a>(part: &[u8], buffer: &'a mut [u8]) -> &'a [u8] {
    let length = part.len().min(buffer.len());
    let lower = &mut buffer[..length];
    lower.copy_from_slice(&part[..length]);
    lower.make_ascii_lowercase();
    lower
}

/// The technology that a file name's ending stands for, below [`TECHNOLOGIES`].
pub(crate) fn technology(ending: &[u8]) -> Option<u8> {
    let named = ENDINGS.iter().find(|(name, _)| name.eq_ignore_ascii_case(ending));
    named.map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_into_is_sought_and_what_sites_have_is_not() {
        for name in [
            "wp-login.php",
            "phpMyAdmin2",
            "actuator",
            "backup.tar.gz",
            "HNAP1",
            "PMA",
            "Web.config",
        ] {
            assert!(is_sought(name.as_bytes()), "{name}");
        }
        for name in
            ["", "login", "admin", "wp", "backups", "items", "manager", "telescope", "shell", "é"]
        {
            assert!(!is_sought(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn endings_name_technologies_in_either_case() {
        assert_eq!(technology(b"aspx"), technology(b"ASP"));
        assert_ne!(technology(b"php"), technology(b"jsp"));
        for ending in ["", "html", "json", "js", "download", "d"] {
            assert_eq!(technology(ending.as_bytes()), None, "{ending}");
        }
        assert!(ENDINGS.iter().all(|(_, number)| usize::from(*number) < TECHNOLOGIES));
    }
}
