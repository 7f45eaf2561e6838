//! Where passwords, codes, vouchers, cards and new accounts are tried: the names that sites give to such places
//! (OWASP API Security Top 10, API6:2023, "Unrestricted Access to Sensitive Business Flows").

use crate::probes::lower;

/// So much of a target is read, decoded; a name that stands behind it names nothing.
const READ: usize = 256;
/// The longest word that is looked at.
const LONGEST: usize = 16;

/// What is tried at such a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Passwords or codes.
    LogIn,
    /// Accounts are made, or payments, codes and vouchers tried.
    Deal,
}

/// The place that a request target is named as, if any, escapes decoded.
pub(crate) fn place(target: &str) -> Option<Place> {
    let mut buffer = [0; READ];
    let bytes = decode(target.as_bytes(), &mut buffer);
    let names = [(Place::LogIn, &LOG_INS), (Place::Deal, &DEALS)];
    names.into_iter().find_map(|(place, names)| names.fit(bytes).then_some(place))
}

/// What such places are called.
struct Names {
    /// Words with these endings: what stands before without a mark is whose it is.
    endings: &'static [&'static [u8]],
    words: &'static [&'static [u8]],
    /// One of the first words and then one of the second.
    pairs: &'static [[&'static [&'static [u8]]; 2]],
    /// Last segments, without what follows a dot.
    last: &'static [&'static [u8]],
}

const LOG_INS: Names = Names {
    endings: &[b"login", b"logon", b"signin", b"signon"],
    words: &[
        b"password",
        b"passwd",
        b"passcode",
        b"credential",
        b"credentials",
        b"authenticate",
        b"authentication",
        b"anmelden",
        b"anmeldung",
        b"einloggen",
        b"inloggen",
        b"connexion",
        b"accedi",
        b"acceder",
        b"zaloguj",
    ],
    pairs: &[[&[b"log", b"sign"], &[b"in", b"on"]]],
    last: &[b"auth", b"session", b"sessions", b"token", b"tokens", b"otp", b"totp", b"mfa", b"2fa"],
};

const DEALS: Names = Names {
    endings: &[b"signup"],
    words: &[
        b"register",
        b"registration",
        b"payment",
        b"payments",
        b"donate",
        b"donation",
        b"donations",
        b"redeem",
        b"coupon",
        b"coupons",
        b"voucher",
        b"vouchers",
        b"giftcard",
        b"giftcards",
        b"registrieren",
        b"registrierung",
        b"gutschein",
        b"bezahlen",
        b"zahlung",
        b"inscription",
        b"paiement",
        b"registro",
    ],
    pairs: &[
        [&[b"sign"], &[b"up"]],
        [&[b"create", b"new", b"open"], &[b"account", b"user"]],
        [&[b"gift", b"credit"], &[b"card", b"cards"]],
        [&[b"promo", b"discount"], &[b"code", b"codes"]],
    ],
    last: &[b"verify", b"join", b"pay", b"checkout", b"charge", b"charges", b"kasse"],
};

impl Names {
    /// Whether one of them names the target.
    fn fit(&self, bytes: &[u8]) -> bool {
        let end = memchr::memchr(b'?', bytes).unwrap_or(bytes.len());
        self.named(bytes) || self.ends_in_one(&bytes[..end])
    }

    /// Whether one of the words says it, or two that belong together: words end where letters and digits do, and
    /// where a capital begins the next.
    fn named(&self, bytes: &[u8]) -> bool {
        let mut before: &[u8] = b"";
        let mut from = 0;
        for at in 0..=bytes.len() {
            let here = bytes.get(at).filter(|b| b.is_ascii_alphanumeric());
            let capital = here.is_some_and(u8::is_ascii_uppercase)
                && at > from
                && bytes[at - 1].is_ascii_lowercase();
            if here.is_some() && !capital {
                continue;
            }
            let word = &bytes[from..at];
            let pair =
                |[first, second]: &[&[&[u8]]; 2]| is_one(before, first) && is_one(word, second);
            if self.is_word(word) || self.pairs.iter().any(pair) {
                return true;
            }
            // Between two segments is more than between two words.
            before = if bytes.get(at) == Some(&b'/') { b"" } else { word };
            from = if capital { at } else { at + 1 };
        }
        false
    }

    fn is_word(&self, word: &[u8]) -> bool {
        if !(5..=LONGEST).contains(&word.len()) {
            return false;
        }
        let mut buffer = [0; LONGEST];
        let lower = lower(word, &mut buffer);
        self.endings.iter().any(|name| lower.ends_with(name)) || self.words.contains(&lower)
    }

    /// Whether the last segment, without what follows a dot, is a word that says it alone.
    fn ends_in_one(&self, path: &[u8]) -> bool {
        let mut segments = path.rsplit(|b| *b == b'/').filter(|segment| !segment.is_empty());
        let last = segments.next().unwrap_or_default();
        is_one(last.split(|b| *b == b'.').next().unwrap_or_default(), self.last)
    }
}

fn is_one(word: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(word))
}

/// Copies what fits of `bytes`, with its percent escapes decoded (RFC 3986 §2.1).
fn decode<'a>(bytes: &[u8], buffer: &'a mut [u8; READ]) -> &'a [u8] {
    let hex = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let (mut at, mut len) = (0, 0);
    while at < bytes.len() && len < READ {
        let escaped = if bytes[at] == b'%' { hex(at + 1).zip(hex(at + 2)) } else { None };
        #[allow(clippy::cast_possible_truncation, reason = "two hexadecimal digits")]
        let (byte, width) = match escaped {
            Some((high, low)) => ((high * 16 + low) as u8, 3),
            None => (bytes[at], 1),
        };
        buffer[len] = byte;
        (at, len) = (at + width, len + 1);
    }
    &buffer[..len]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_sensitive_is_known_by_its_name() {
        let is_sensitive = |target| place(target).is_some();
        for target in [
            "/login",
            "/wp-login.php",
            "/wplogin",
            "/api/v2/userLogin",
            "/customer/account/loginPost",
            "/users/sign_in",
            "/Account/LogOn",
            "/member/logon.do",
            "/ucp.php?mode=login",
            "/sign-in/",
            "/LOG-IN",
            "/oauth2/token",
            "/session",
            "/auth.php",
            "/anmeldung",
            "/password/reset",
            "/forgot-password",
            "/api/2fa/?x=1",
            "/AUTHENTICATE",
            "/%6Cog%69n",
            "/sign%2Din",
            "/signup",
            "/users/sign_up",
            "/register.php",
            "/index.php?title=Special:CreateAccount",
            "/graphql?operationName=SignUp",
            "/checkout/payment",
            "/checkout",
            "/orders/7/pay",
            "/vouchers/redeem",
            "/gift-cards/balance",
            "/cart/applyPromoCode",
        ] {
            assert!(is_sensitive(target), "{target}");
        }
        for target in ["/signup", "/api/v1/payments", "/orders/7/pay", "/register.php"] {
            assert_eq!(place(target), Some(Place::Deal), "{target}");
        }
        for target in [
            "/",
            "",
            "/blog-index",
            "/blogindex",
            "/log-ingest",
            "/log_info",
            "/logInfo",
            "/loginfo",
            "/cataloging",
            "/designing",
            "/assignInvoice",
            "/authors",
            "/auth/keys",
            "/csrf-token",
            "/broadcasting/channels/auth-state",
            "/session/7/events",
            "/plugins",
            "/log/in",
            "/tokenizer",
            "/l",
            "/checkout/address",
            "/registry",
            "/payload",
            "/joint",
            "/promotions",
            "/users/7",
            "/account/new",
            "/é/log",
            "/%",
            "/%6",
        ] {
            assert!(!is_sensitive(target), "{target}");
        }
        let behind = format!("/{}/login", "x".repeat(READ));
        assert!(!is_sensitive(&behind));
    }

    proptest! {
        #[test]
        fn anything_can_be_read(target in any::<String>()) {
            place(&target);
        }

        #[test]
        fn an_escape_is_the_letter_it_stands_for(target in "/[a-z/_-]{0,8}(login|sign_in|auth)?", at in 1usize..12) {
            let mut escaped = target.clone();
            if let Some(letter) = target.get(at..=at) {
                escaped.replace_range(at..=at, &format!("%{:02x}", letter.as_bytes()[0]));
            }
            prop_assert_eq!(place(&target), place(&escaped));
        }
    }
}
