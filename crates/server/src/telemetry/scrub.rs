//! Texts without what may be of a person: addresses, queries, and what a panic quotes.

use std::net::{IpAddr, SocketAddr};

/// Longest text that is told, characters.
const LONGEST: usize = 1000;

/// A message of the log, which names files and settings and may name addresses.
pub(crate) fn message(text: &str) -> String {
    let words = text.split(' ').map(word);
    let words: Vec<String> = words.collect();
    shortened(words.join(" "))
}

/// The message of a panic: what it quotes, or shows after a colon, may be of a request.
pub(crate) fn panic(text: &str) -> String {
    let text = text.split(": ").next().unwrap_or_default();
    let mut open = None;
    let mut kept = String::new();
    for c in text.chars() {
        match open {
            Some(quote) if c == quote => {
                kept.push('…');
                kept.push(c);
                open = None;
            }
            Some(_) => {}
            None => {
                kept.push(c);
                open = matches!(c, '`' | '"').then_some(c);
            }
        }
    }
    message(&kept)
}

fn word(word: &str) -> String {
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != ':');
    let bare = bare.trim_end_matches(':');
    let address = bare.parse::<IpAddr>().is_ok()
        || bare.parse::<SocketAddr>().is_ok()
        || bare.split_once("]:").is_some_and(|(v6, _)| v6.parse::<IpAddr>().is_ok());
    if address && !bare.is_empty() {
        return word.replace(bare, "<address>");
    }
    match word.split_once('?') {
        Some((path, query)) if !query.is_empty() => format!("{path}?…"),
        _ => word.to_owned(),
    }
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_queries_are_taken_out() {
        for (text, told) in [
            ("can't reach 203.0.113.9: refused", "can't reach <address>: refused"),
            ("can't reach 203.0.113.9:80, refused", "can't reach <address>, refused"),
            ("from [2001:db8::1]:443 came", "from [<address> came"),
            ("from 2001:db8::1, twice", "from <address>, twice"),
            ("GET /reset?token=secret failed", "GET /reset?… failed"),
            ("is it? yes: a.yaml:3:1: `10` is none", "is it? yes: a.yaml:3:1: `10` is none"),
        ] {
            assert_eq!(message(text), told);
        }
        assert_eq!(message(&"ä".repeat(2000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_panic_tells_nothing_that_it_quotes() {
        for (text, told) in [
            ("called `Option::unwrap()` on a `None` value", "called `…` on a `…` value"),
            (
                "called `Result::unwrap()` on an `Err` value: /a?secret",
                "called `…` on an `…` value",
            ),
            ("byte index 3 is out of bounds of `/users/7`", "byte index 3 is out of bounds of `…`"),
            ("an open \"quote of /users/7", "an open \""),
            ("index out of bounds: the len is 3 but the index is 7", "index out of bounds"),
        ] {
            assert_eq!(panic(text), told);
        }
    }
}
