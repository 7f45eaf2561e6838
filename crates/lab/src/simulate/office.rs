//! An office, a school, a library: many people behind one address.

use super::actor::{Family, Stage};
use super::address::Place;
use super::agents::AgentKind;
use super::browse::{Browser, Habits, Referers};
use super::dice::Dice;
use super::route::Query;
use super::site::{Site, Style};

/// Many people behind one address; one actor, as the site cannot tell them apart by it.
pub(super) struct Office;

impl Family for Office {
    fn name(&self) -> &'static str {
        "office"
    }

    fn volume(&self, dice: &mut Dice, style: Style) -> f64 {
        dice.log_normal(if style == Style::Api { 0.1 } else { 0.18 }, 0.5)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        let depth = stage.dice.spread(2.0, 15.0);
        loop {
            let people = stage.dice.magnitude(2, 500);
            let client = stage.client(Place::Home, AgentKind::Browser);
            stage.offices.push(client.addr);
            // One image for all machines, or whatever people bring.
            let uniform = stage.dice.between(0.0, 0.95);
            let strips = stage.dice.chance(0.2);
            let members = stage.dice.between(0.0, 0.7);
            // Three in ten begin at once: a lesson, the morning, a mail to everybody.
            let rush = stage.dice.chance(0.3).then(|| stage.dice.between(0.0, stage.length * 0.6));
            let within = stage.dice.spread(15.0, 150.0);
            let lesson = (rush.is_some() && stage.dice.chance(0.6)).then(|| Lesson::draw(stage));
            for _ in 0..people {
                let mut person = client.clone();
                if !stage.dice.chance(uniform) {
                    person.agent = stage.agents.any(&mut stage.dice, AgentKind::Browser);
                    person.shape = stage.shape(&person.agent, AgentKind::Browser);
                }
                let mut browser = Browser::new(person, &mut stage.dice);
                if strips {
                    browser.referers = Referers::None;
                }
                if stage.dice.chance(0.7) {
                    browser.warm(stage.site, &mut stage.dice);
                }
                let habits = Habits::draw(&mut stage.dice);
                let mut at = match rush {
                    Some(rush) => rush + stage.dice.pause(within),
                    None if stage.dice.chance(0.2) => -stage.dice.unit() * stage.length.min(300.0),
                    None => stage.arrival(),
                };
                if stage.dice.chance(members) {
                    let wrong = stage.dice.zipf(3, 2.0);
                    at = browser.log_in(stage, at, wrong);
                }
                if let Some(lesson) = &lesson {
                    at = lesson.follow(stage, &mut browser, at, &habits);
                }
                let views = 1 + stage.dice.pause(depth) as usize;
                browser.visit(stage, at, views, &habits);
                if !stage.goes_on() {
                    return;
                }
            }
        }
    }
}

/// What all are told to do: the pages of a lesson, the link of a mail, the same searches.
struct Lesson {
    steps: Vec<(usize, usize, Query)>,
    books: f64,
    joins: f64,
    think: f64,
}

impl Lesson {
    fn draw(stage: &mut Stage<'_>) -> Self {
        let site = stage.site;
        let (pages, steps) = (site.pages, stage.dice.count(1, 8));
        let step = |dice: &mut Dice| {
            let route = dice.below(pages.max(1));
            let item = site.routes[route].popular(dice);
            let query = match (site.routes[route].ids.is_none(), dice.below(4)) {
                (true, 0 | 1) => Site::search(dice),
                (_, 2) => Query::Extra(format!("code={}", super::words::word(dice))),
                _ => Query::None,
            };
            (route, item, query)
        };
        Self {
            steps: (0..if pages == 0 { 0 } else { steps }).map(|_| step(&mut stage.dice)).collect(),
            books: if stage.dice.chance(0.3) { stage.dice.unit() } else { 0.0 },
            joins: if stage.dice.chance(0.3) { stage.dice.unit() } else { 0.0 },
            think: stage.dice.spread(5.0, 90.0),
        }
    }

    /// One of them does it; returns when that is done.
    fn follow(
        &self,
        stage: &mut Stage<'_>,
        browser: &mut Browser,
        at: f64,
        habits: &Habits,
    ) -> f64 {
        let site = stage.site;
        let mut now = at;
        for (route, item, query) in &self.steps {
            // A third search for words of their own.
            let own = matches!(query, Query::Search(_)) && stage.dice.chance(0.3);
            let query = if own { Site::search(&mut stage.dice) } else { query.clone() };
            now = browser.suggest(stage, now, &query);
            now = browser.open(stage, now, *route, *item, &query).0;
            now += stage.dice.log_normal(self.think, habits.think_sigma);
        }
        if stage.dice.chance(self.joins) {
            now = browser.fill(stage, now);
        }
        if site.style != Style::Api && stage.dice.chance(self.books) {
            now = browser.buy(stage, now);
        }
        now
    }
}
