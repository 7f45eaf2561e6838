//! Where passwords, codes, vouchers, cards and new accounts are tried, and mails and codes sent: the names that sites give to such places
//! (OWASP API Security Top 10, API6:2023, "Unrestricted Access to Sensitive Business Flows").

use crate::probes::lower;

/// So much of a target is read, decoded; a name that stands behind it names nothing.
const READ: usize = 512;
/// So much of a value of its query.
const VALUE: usize = 48;
/// The longest word that is looked at as a whole; of others their end.
const LONGEST: usize = 16;
/// Parameters that say where somebody came from or goes to, which is another place than this.
const ELSEWHERE: [&[u8]; 6] = [b"url", b"ref", b"referer", b"referrer", b"next", b"continue"];
/// What the names of such parameters begin with.
const ELSEWHERES: [&[u8]; 3] = [b"utm_", b"return", b"redirect"];
/// What the name of a program ends with: what stands behind it, the program is told.
const PROGRAMS: [&[u8]; 6] = [b".php", b".jsp", b".aspx", b".cgi", b".asp", b".do"];

/// What is tried at such a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Passwords or codes.
    LogIn,
    /// What one person does once: accounts are made, payments and vouchers tried, mails and codes sent.
    Flow,
}

/// The place that a request target is named as, if any, escapes decoded.
pub(crate) fn place(target: &str) -> Option<Place> {
    let mut buffer = [0; READ];
    let bytes = decode(target.as_bytes(), &mut buffer);
    let end = memchr::memchr(b'?', bytes).unwrap_or(bytes.len());
    let (path, query) = bytes.split_at(end);
    // What stands behind a path that has a name is the sender's to choose.
    by_path(path).or_else(|| by_query(query))
}

/// By the last segment that has a name, but for what stands behind a program.
fn by_path(path: &[u8]) -> Option<Place> {
    let mut found = None;
    let (mut before, mut only) = (&b""[..], true);
    let mut segments = path.split(|b| *b == b'/').filter(|part| !part.is_empty()).peekable();
    while let Some(segment) = segments.next() {
        // Parameters of a path (RFC 3986 §3.3) are the sender's as well.
        let segment = segment.split(|b| *b == b';').next().unwrap_or_default();
        let last = segments.peek().is_none();
        let program = PROGRAMS.iter().any(|ending| ends_with(segment, ending));
        let named = NAMES.into_iter().find(|(_, names)| {
            names.named(segment) || ((last || program) && names.is_last(before, segment))
        });
        if let Some((place, _)) = named {
            found = Some(place);
            if program && only {
                return found;
            }
        }
        only &= !program;
        before = segment;
    }
    found
}

/// By a parameter of the query. A log-in is one whatever stands beside it.
fn by_query(query: &[u8]) -> Option<Place> {
    let mut found = None;
    for pair in query.split(|b| b"?&".contains(b)) {
        let name = pair.split(|b| *b == b'=').next().unwrap_or_default();
        let starts =
            |with: &[u8]| name.get(..with.len()).is_some_and(|n| n.eq_ignore_ascii_case(with));
        if is_one(name, &ELSEWHERE) || ELSEWHERES.into_iter().any(starts) {
            continue;
        }
        match NAMES.into_iter().find(|(_, names)| names.named(pair)) {
            Some((Place::LogIn, _)) => return Some(Place::LogIn),
            Some((place, _)) => found = Some(place),
            None => {}
        }
    }
    found
}

/// Who asks for a new password logs in nowhere yet.
const NAMES: [(Place, &Names); 2] = [(Place::Flow, &FLOWS), (Place::LogIn, &LOG_INS)];

fn ends_with(word: &[u8], ending: &[u8]) -> bool {
    word.len() >= ending.len() && word[word.len() - ending.len()..].eq_ignore_ascii_case(ending)
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
    /// Last segments that say it behind one of the first.
    behind: [&'static [&'static [u8]]; 2],
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
    last: &[
        b"auth",
        b"session",
        b"sessions",
        b"token",
        b"tokens",
        b"otp",
        b"totp",
        b"mfa",
        b"2fa",
        b"verify",
    ],
    behind: [&[], &[]],
};

const FLOWS: Names = Names {
    endings: &[b"signup", b"forgotpassword", b"resetpassword", b"lostpassword", b"passwordreset"],
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
        b"forgot",
        b"forgotten",
        b"recover",
        b"resend",
        b"verification",
        b"registrieren",
        b"registrierung",
        b"gutschein",
        b"bezahlen",
        b"zahlung",
        b"vergessen",
        b"inscription",
        b"paiement",
        b"registro",
    ],
    pairs: &[
        [&[b"sign"], &[b"up"]],
        [&[b"create", b"new", b"open"], &[b"account", b"user"]],
        [&[b"gift", b"credit"], &[b"card", b"cards"]],
        [&[b"promo", b"discount"], &[b"code", b"codes"]],
        [&[b"reset", b"lost"], &[b"password", b"pass"]],
        [&[b"password", b"passwd"], &[b"reset", b"lost"]],
        [&[b"send"], &[b"otp", b"sms", b"code", b"codes", b"pin"]],
        [&[b"request", b"get", b"new"], &[b"otp"]],
        [&[b"magic"], &[b"link"]],
    ],
    last: &[
        b"join",
        b"pay",
        b"checkout",
        b"charge",
        b"charges",
        b"kasse",
        b"invite",
        b"invites",
        b"invitation",
        b"invitations",
        b"newsletter",
        b"subscribe",
    ],
    behind: [
        &[
            b"otp",
            b"totp",
            b"mfa",
            b"2fa",
            b"sms",
            b"code",
            b"codes",
            b"auth",
            b"login",
            b"verify",
            b"password",
        ],
        &[b"send", b"request", b"sms", b"phone", b"email", b"mail", b"reset", b"recovery"],
    ],
};

impl Names {
    /// Whether one of the words says it, or two that belong together: words end where letters and digits do, and
    /// where a capital begins the next; without capitals all is one word as well, for servers mostly ignore them.
    fn named(&self, bytes: &[u8]) -> bool {
        let mut before: &[u8] = b"";
        let (mut from, mut run) = (0, 0);
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
            if !capital && run < from && self.is_word(&bytes[run..at]) {
                return true;
            }
            // Between two segments, or two parameters, is more than between two words.
            before = if bytes.get(at).is_some_and(|b| b"/?&=".contains(b)) { b"" } else { word };
            from = if capital { at } else { at + 1 };
            run = if capital { run } else { from };
        }
        false
    }

    fn is_word(&self, word: &[u8]) -> bool {
        if word.len() < 5 {
            return false;
        }
        let mut buffer = [0; LONGEST];
        let end = lower(&word[word.len().saturating_sub(LONGEST)..], &mut buffer);
        self.endings.iter().any(|name| end.ends_with(name))
            || (word.len() <= LONGEST && self.words.contains(&end))
    }

    /// Whether a last segment, without what follows a dot, is a word that says it alone or behind the one before.
    fn is_last(&self, before: &[u8], segment: &[u8]) -> bool {
        let word = segment.split(|b| *b == b'.').next().unwrap_or_default();
        let [first, second] = self.behind;
        is_one(word, self.last) || (is_one(word, second) && is_one(before, first))
    }
}

fn is_one(word: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(word))
}

/// Copies what fits of `bytes`, with its percent escapes decoded (RFC 3986 §2.1), without slashes behind slashes, and of
/// each value in the query its beginning: nothing is pushed out of sight by what a server ignores.
fn decode<'a>(bytes: &[u8], buffer: &'a mut [u8; READ]) -> &'a [u8] {
    let hex = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let (mut at, mut len) = (0, 0);
    let mut value = None;
    let mut query = false;
    while at < bytes.len() && len < READ {
        let escaped = if bytes[at] == b'%' { hex(at + 1).zip(hex(at + 2)) } else { None };
        #[allow(clippy::cast_possible_truncation, reason = "two hexadecimal digits")]
        let (byte, width) = match escaped {
            Some((high, low)) => ((high * 16 + low) as u8, 3),
            None => (bytes[at], 1),
        };
        // What is escaped is a part of a value, whatever it is.
        match bytes[at] {
            b'?' if !query => (query, value) = (true, None),
            b'=' if query && value.is_none() => value = Some(len + 1),
            b'&' => value = None,
            _ => {}
        }
        at += width;
        let again = !query && byte == b'/' && len > 0 && buffer[len - 1] == b'/';
        if again || value.is_some_and(|from| len >= from + VALUE) {
            continue;
        }
        buffer[len] = byte;
        len += 1;
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
        for target in [
            "/login",
            "/api/v1/auth",
            "/otp",
            "/otp/verify",
            "/account/password",
            "/change-password",
            "/sessions",
            // What the sender adds to a log-in makes nothing else of it.
            "/login?x=payment",
            "/login?next=%2Fcheckout%2Fpayment",
            "/auth?utm_source=newsletter",
        ] {
            assert_eq!(place(target), Some(Place::LogIn), "{target}");
        }
        for target in [
            "/signup",
            "/api/v1/payments",
            "/orders/7/pay",
            "/register.php",
            "/forgot",
            "/forgot-password",
            "/api/password/reset",
            "/auth/sms",
            "/otp/request",
            "/sendCode",
            "/auth/magic-link",
            "/lost_password",
            "/newsletter",
            "/verify/phone",
            "/resetpassword",
            "/api/v1/users/create?action=signup",
        ] {
            assert_eq!(place(target), Some(Place::Flow), "{target}");
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
            "/cart/add?utm_source=newsletter",
            "/items?sort=new&otp=1",
            "/game/42/reset",
            "/webhooks/twilio/sms",
            "/getPinCode",
            "/wedding-invitation/editor/save",
            "/disaster-recovery/jobs",
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

    #[test]
    fn what_a_server_ignores_hides_no_name() {
        let long = "x".repeat(600);
        for target in [
            "/lOgin",
            "/api/user/lOgIn",
            &format!("{}login", "/".repeat(600)),
            &format!("/ucp.php?z={long}&mode=login"),
            "/login;forgot",
            "/login;x=1",
            "/auth;x=1",
            "/oauth2/token;x",
            "/login.php/forgot",
            "/auth.php/x",
            "/wp-login.php/x/register",
            "/ucp.php?mode=login&x=forgot",
            "/index.php?route=account/login&x=payment",
            "/index.php?x=payment&route=account%2Flogin",
            "/voucher/login",
            "/api/payments/login",
            "/mfa/challenge/verify",
        ] {
            assert_eq!(place(target), Some(Place::LogIn), "{target}");
        }
        for target in
            ["/rEgister", "/userforgotpassword", "/passwordreset", "/login/forgot", "/payments/7/x"]
        {
            assert_eq!(place(target), Some(Place::Flow), "{target}");
        }
        for target in [
            "/matomo.php?url=https%3A%2F%2Fshop%2Fcheckout%2Fpayment",
            "/catalog.aspx?utm_campaign=coupon",
            "/a?returnUrl=%2Flogin",
            "/a?NEXT=/login",
            &format!("/a?b={long}login"),
        ] {
            assert_eq!(place(target), None, "{target}");
        }
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
