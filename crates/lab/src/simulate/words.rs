//! Words: what routes, items, hosts and people are called.

use super::dice::{Dice, mix};

/// A pronounceable word of two to four syllables.
pub(super) fn word(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..dice.count(2, 4) {
        text.push_str(dice.pick(&[
            "b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "st",
            "tr", "pl", "ch",
        ]));
        text.push_str(dice.pick(&["a", "e", "i", "o", "u", "a", "e", "o", "ia", "en", "or", "al"]));
    }
    text
}

/// `text` with its first letter in upper case.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |c| c.to_ascii_uppercase().to_string() + letters.as_str())
}

/// A noun of the trade, or a made-up word.
pub(super) fn noun(dice: &mut Dice) -> String {
    if dice.chance(0.25) { word(dice) } else { dice.pick(NOUNS).to_owned() }
}

/// Words joined by dashes, the same for the same `hash`.
pub(super) fn slug(hash: u64) -> String {
    let mut text = String::with_capacity(32);
    for i in 0..2 + hash % 4 {
        if i > 0 {
            text.push('-');
        }
        text.push_str(NOUNS[(mix(hash, i) % NOUNS.len() as u64) as usize]);
    }
    text
}

/// Words that sites are made of.
#[rustfmt::skip]
pub(super) const NOUNS: &[&str] = &[
    "about", "account", "activity", "album", "alerts", "archive", "articles", "auctions", "authors",
    "basket", "billing", "blog", "boards", "books", "brands", "calendar", "careers", "cart",
    "catalog", "categories", "channels", "chapters", "checkout", "cities", "clubs", "comments",
    "companies", "contact", "contracts", "coupons", "courses", "customers", "dashboard", "deals",
    "delivery", "devices", "docs", "documents", "donations", "downloads", "drafts", "editions",
    "events", "exams", "export", "faq", "feed", "files", "flights", "forum", "gallery", "games",
    "gifts", "groups", "guides", "help", "history", "homes", "hotels", "inbox", "invoices", "items",
    "jobs", "labels", "lessons", "library", "listings", "locations", "maps", "market", "media",
    "meetings", "members", "menu", "messages", "metrics", "music", "news", "notes", "offers",
    "orders", "outlets", "parts", "patients", "payments", "people", "photos", "places", "plans",
    "players", "podcasts", "polls", "posts", "press", "prices", "products", "profile", "projects",
    "quotes", "ratings", "recipes", "regions", "rentals", "reports", "reviews", "rooms", "routes",
    "sales", "schedule", "seasons", "sensors", "services", "sessions", "settings", "shipments",
    "shop", "songs", "stations", "stats", "status", "stock", "stores", "stories", "subjects",
    "support", "tags", "tasks", "teams", "themes", "threads", "tickets", "topics", "tours",
    "tracks", "trips", "tutorials", "updates", "users", "vehicles", "venues", "videos", "wallet",
    "weather", "wiki", "wishlist", "workouts", "zones",
];
