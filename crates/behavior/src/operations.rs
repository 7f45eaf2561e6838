//! Which operation a query names, where one path stands for many: `/index.php?action=edit`, `/graphql?op=Feed`.

use crate::path::is_word;
use memchr::memchr;

/// Pairs of a query that are looked at.
const PAIRS: usize = 12;

/// What sites call the parameter that chooses what is done, lower-case; the first of them counts that a query
/// has. They are those of the Apollo clients and persisted GraphQL queries, of MediaWiki, phpBB, WordPress,
/// Joomla, OpenCart, Yii and the like, and of remote calls over HTTP.
const NAMES: [&[u8]; 22] = [
    b"operationname",
    b"operation",
    b"opname",
    b"op",
    b"action",
    b"wc-ajax",
    b"rest_route",
    b"route",
    b"controller",
    b"method",
    b"function",
    b"command",
    b"cmd",
    b"task",
    b"option",
    b"module",
    b"mode",
    b"act",
    b"do",
    b"view",
    b"r",
    b"page",
];

/// Whether it is written as names are: what somebody typed, or where a link leads, is no operation, and has no
/// business in the name of a route.
fn is_name(value: &[u8]) -> bool {
    value.iter().all(|b| b.is_ascii_alphanumeric() || b"_-./:".contains(b)) && is_word(value)
}

/// The pair of a query that names its operation, `action=edit`. A value that is no name, such as a number, is
/// none.
pub(crate) fn operation(query: &[u8]) -> Option<&[u8]> {
    let mut best = (NAMES.len(), None);
    for pair in query.split(|&b| b == b'&').take(PAIRS) {
        let Some(equals) = memchr(b'=', pair) else { continue };
        let (name, value) = (&pair[..equals], &pair[equals + 1..]);
        let rank = NAMES[..best.0].iter().position(|known| known.eq_ignore_ascii_case(name));
        if let Some(rank) = rank
            && !value.is_empty()
            && is_name(value)
        {
            best = (rank, Some(pair));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(query: &str) -> Option<&str> {
        operation(query.as_bytes()).and_then(|pair| std::str::from_utf8(pair).ok())
    }

    #[test]
    fn the_parameter_that_chooses_is_found() {
        assert_eq!(named("title=Red_wool&action=edit"), Some("action=edit"));
        assert_eq!(named("mode=reply&t=17"), Some("mode=reply"));
        assert_eq!(named("view=x&option=com_users&task=login"), Some("task=login"));
        assert_eq!(named("operationName=Feed&variables=%7B%7D"), Some("operationName=Feed"));
        assert_eq!(named("Action=Describe"), Some("Action=Describe"));
        assert_eq!(named("page=contact"), Some("page=contact"));
    }

    #[test]
    fn values_and_other_parameters_choose_nothing() {
        for query in [
            "",
            "page=7",
            "q=red",
            "action",
            "action=",
            "op=9f86d081884c7d65",
            "sort=price",
            "view=jane%40mail.example",
            "page=red+shoes",
        ] {
            assert_eq!(named(query), None, "{query}");
        }
        let behind = format!("{}op=Feed", "x=1&".repeat(PAIRS));
        assert_eq!(named(&behind), None);
    }
}
