//! Which operation a query names, where one path stands for many: `/index.php?action=edit`, `/graphql?op=Feed`.

use crate::path::is_word;

/// Pairs of a query that are looked at.
const PAIRS: usize = 12;

/// What sites call the parameter that chooses what is done, lower-case; the first of them counts that a query
/// has. They are those of the Apollo clients and persisted GraphQL queries, of MediaWiki, phpBB, WordPress,
/// Joomla, OpenCart, Yii and the like, and of remote calls over HTTP.
const NAMES: [&str; 22] = [
    "operationname",
    "operation",
    "opname",
    "op",
    "action",
    "wc-ajax",
    "rest_route",
    "route",
    "controller",
    "method",
    "function",
    "command",
    "cmd",
    "task",
    "option",
    "module",
    "mode",
    "act",
    "do",
    "view",
    "r",
    "page",
];

/// Whether it is written as names are: what somebody typed, or where a link leads, is no operation, and has no
/// business in the name of a route.
fn is_name(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./:".contains(&b))
        && is_word(value.as_bytes())
}

/// The pair of a query that names its operation, `action=edit`. A value that is no name, such as a number, is
/// none.
pub(crate) fn operation(query: &str) -> Option<&str> {
    let mut best = (NAMES.len(), None);
    for pair in query.split('&').take(PAIRS) {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let rank = NAMES[..best.0].iter().position(|known| known.eq_ignore_ascii_case(name));
        if let Some(rank) = rank
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

    #[test]
    fn the_parameter_that_chooses_is_found() {
        assert_eq!(operation("title=Red_wool&action=edit"), Some("action=edit"));
        assert_eq!(operation("mode=reply&t=17"), Some("mode=reply"));
        assert_eq!(operation("view=x&option=com_users&task=login"), Some("task=login"));
        assert_eq!(operation("operationName=Feed&variables=%7B%7D"), Some("operationName=Feed"));
        assert_eq!(operation("Action=Describe"), Some("Action=Describe"));
        assert_eq!(operation("page=contact"), Some("page=contact"));
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
            assert_eq!(operation(query), None, "{query}");
        }
        let behind = format!("{}op=Feed", "x=1&".repeat(PAIRS));
        assert_eq!(operation(&behind), None);
    }
}
