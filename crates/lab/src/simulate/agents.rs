//! User agents: the pool of a seed that visitors and attackers draw from alike.

use super::dice::Dice;
use super::words::{capital, word};
use std::sync::Arc;

/// What kind of software a user agent names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentKind {
    /// A browser.
    Browser,
    /// An HTTP library or a tool.
    Tool,
    /// An app on a phone.
    App,
    /// A robot that says so.
    Robot,
}

/// The user agents that exist in one simulated world, each list by falling popularity.
#[derive(Clone, Debug)]
pub struct Agents {
    browsers: Vec<Arc<str>>,
    tools: Vec<Arc<str>>,
    apps: Vec<Arc<str>>,
    robots: Vec<Arc<str>>,
    skew: f64,
}

impl Agents {
    /// Draws the pool: browser versions of some era, libraries, one or two apps, robots.
    #[must_use]
    pub fn draw(dice: &mut Dice, app: &str) -> Self {
        let era = dice.count(96, 145);
        let many = |dice: &mut Dice, low, high, make: &dyn Fn(&mut Dice) -> String| {
            (0..dice.count(low, high)).map(|_| Arc::from(make(dice))).collect()
        };
        Self {
            browsers: many(dice, 12, 220, &|dice| browser(dice, era)),
            tools: many(dice, 6, 30, &tool),
            apps: many(dice, 2, 40, &|dice| app_agent(dice, app)),
            robots: many(dice, 4, 25, &robot),
            skew: dice.between(0.5, 1.3),
        }
    }

    /// An agent of this kind, popular ones more often.
    pub fn any(&self, dice: &mut Dice, kind: AgentKind) -> Arc<str> {
        let list = match kind {
            AgentKind::Browser => &self.browsers,
            AgentKind::Tool => &self.tools,
            AgentKind::App => &self.apps,
            AgentKind::Robot => &self.robots,
        };
        list[dice.zipf(list.len(), self.skew)].clone()
    }
}

fn version(dice: &mut Dice, major: usize) -> String {
    match dice.below(3) {
        0 => format!("{major}.{}", dice.below(20)),
        1 => format!("{major}.{}.{}", dice.below(12), dice.below(30)),
        _ => format!("{major}.{}.{}-{}", dice.below(9), dice.below(9), dice.count(1, 400)),
    }
}

fn browser(dice: &mut Dice, era: usize) -> String {
    let major = era.saturating_sub(dice.zipf(40, 1.3));
    let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
    let system = dice.pick(&[
        "Windows NT 10.0; Win64; x64",
        "Windows NT 10.0; Win64; x64",
        "Macintosh; Intel Mac OS X 10_15_7",
        "X11; Linux x86_64",
        "X11; CrOS x86_64 14541.0.0",
        "Windows NT 6.1; WOW64",
    ]);
    match dice.below(10) {
        0..=2 => format!("Mozilla/5.0 ({system}) {webkit} Chrome/{major}.0.0.0 Safari/537.36"),
        3 => format!(
            "Mozilla/5.0 ({system}) {webkit} Chrome/{major}.0.{}.{} Safari/537.36",
            dice.count(4000, 7400),
            dice.count(10, 220)
        ),
        4 => format!(
            "Mozilla/5.0 ({system}) {webkit} Chrome/{major}.0.0.0 Safari/537.36 {}/{major}.0.{}.{}",
            dice.pick(&["Edg", "OPR", "Vivaldi", "YaBrowser"]),
            dice.count(1000, 3500),
            dice.count(1, 99)
        ),
        5 => format!("Mozilla/5.0 ({system}; rv:{major}.0) Gecko/20100101 Firefox/{major}.0"),
        6 | 7 => format!(
            "Mozilla/5.0 (Linux; Android {}; {}) {webkit} {}Chrome/{major}.0.{}.{} Mobile Safari/537.36",
            dice.count(8, 16),
            if dice.chance(0.5) {
                "K".to_owned()
            } else {
                format!("SM-{}{}", dice.pick(&["A", "G", "S"]), dice.count(100, 999))
            },
            if dice.chance(0.2) { "SamsungBrowser/23.0 " } else { "" },
            if dice.chance(0.5) { 0 } else { dice.count(4000, 7000) },
            if dice.chance(0.5) { 0 } else { dice.count(1, 200) },
        ),
        8 => {
            let (a, b) = (dice.count(13, 19), dice.below(7));
            format!(
                "Mozilla/5.0 ({}; CPU {}OS {a}_{b} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{a}.{b} Mobile/15E148 Safari/604.1",
                dice.pick(&["iPhone", "iPhone", "iPad"]),
                dice.pick(&["iPhone ", "iPhone ", ""])
            )
        }
        _ => format!(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{}.{} Safari/605.1.15",
            dice.count(13, 19),
            dice.below(7)
        ),
    }
}

fn tool(dice: &mut Dice) -> String {
    let name = dice.pick(&[
        "curl",
        "Wget",
        "python-requests",
        "python-httpx",
        "Python-urllib",
        "aiohttp",
        "okhttp",
        "Go-http-client",
        "axios",
        "node-fetch",
        "got",
        "Apache-HttpClient",
        "Java",
        "GuzzleHttp",
        "Faraday v",
        "libwww-perl",
        "PostmanRuntime",
        "RestSharp",
        "reqwest",
        "undici",
        "Ruby",
        "insomnia",
        "Scrapy",
        "Dart",
        "hackney",
    ]);
    let major = dice.count(0, 12);
    match (name, dice.below(6)) {
        ("Go-http-client", _) => format!("Go-http-client/{}", dice.pick(&["1.1", "2.0"])),
        (_, 0) => {
            format!(
                "{}-{}/{}",
                capital(&word(dice)),
                dice.pick(&["sync", "client", "agent", "sdk", "connector"]),
                version(dice, major)
            )
        }
        (_, 1) => name.to_owned(),
        _ => format!("{name}/{}", version(dice, major)),
    }
}

fn app_agent(dice: &mut Dice, app: &str) -> String {
    let major = dice.count(1, 11);
    let app_version = version(dice, major);
    match dice.below(5) {
        0 => format!(
            "{app}/{app_version} (iPhone; iOS {}.{}; Scale/3.00)",
            dice.count(14, 19),
            dice.below(7)
        ),
        1 => format!(
            "{app}/{} CFNetwork/{}.0.1 Darwin/{}.0.0",
            dice.count(10, 9000),
            dice.count(1200, 1600),
            dice.count(20, 25)
        ),
        2 => format!(
            "{app}/{app_version} (Android {}; {})",
            dice.count(8, 16),
            dice.pick(&["Pixel 7", "SM-G991B", "M2101K6G", "CPH2465"])
        ),
        3 => format!("okhttp/{}.{}.{}", dice.count(3, 5), dice.below(13), dice.below(4)),
        _ => format!("Dart/{}.{} (dart:io)", dice.count(2, 3), dice.below(20)),
    }
}

fn robot(dice: &mut Dice) -> String {
    let known = [
        "Googlebot/2.1; +http://www.google.com/bot.html",
        "bingbot/2.0; +http://www.bing.com/bingbot.htm",
        "YandexBot/3.0; +http://yandex.com/bots",
        "AhrefsBot/7.0; +http://ahrefs.com/robot/",
        "Applebot/0.1; +http://www.apple.com/go/applebot",
        "DuckDuckBot/1.1; +http://duckduckgo.com/duckduckbot.html",
    ];
    if dice.chance(0.5) {
        return format!("Mozilla/5.0 (compatible; {})", dice.pick(&known));
    }
    let (name, host) = (capital(&word(dice)), word(dice));
    let suffix = dice.pick(&["Bot", "bot", "Spider", "-crawler", "Fetcher"]);
    let minor = dice.below(9);
    match dice.below(3) {
        0 => format!("Mozilla/5.0 (compatible; {name}{suffix}/1.{minor}; +https://{host}.com/bot)"),
        1 => format!("{name}{suffix}/{minor}.0 (+https://www.{host}.net)"),
        _ => format!("{name}{suffix}"),
    }
}
