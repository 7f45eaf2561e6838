//! What is seen while the demo runs: a headline and the clients as Tidegate sees them.

use super::cast::{Actor, Group};
use super::report::{Totals, percent};
use super::wire::Stage;
use crate::screen::{Screen, style_of};
use console::Style;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_engine::{ClientView, Engine};

/// Rows shown at most.
const ROWS: usize = 18;
/// Clients of one group shown at most.
const EACH: usize = 5;

/// The table, drawn again and again.
pub(super) struct Table {
    screen: Screen,
    last: (Instant, u64),
}

impl Table {
    pub(super) fn new() -> Self {
        Self { screen: Screen::new(), last: (Instant::now(), 0) }
    }

    /// How often to draw.
    pub(super) fn pace(&self) -> Duration {
        if self.screen.is_term() { Duration::from_millis(500) } else { Duration::from_secs(5) }
    }

    /// Draws what is now the case.
    pub(super) fn draw(
        &mut self,
        stage: &Stage,
        engine: &Engine,
        (now, end): (Duration, Duration),
    ) -> io::Result<()> {
        let totals = Totals::of(&stage.cast.seen());
        let sent = totals.honest.sent() + totals.abusive.sent();
        let since = self.last.0.elapsed().as_secs_f64().max(0.001);
        #[allow(clippy::cast_precision_loss)]
        let rate = sent.saturating_sub(self.last.1) as f64 / since;
        self.last = (Instant::now(), sent);

        let mut frame = headline(stage, &totals, rate, (now, end));
        let (height, _) = self.screen.size();
        let room = height.saturating_sub(frame.len() + 2).min(ROWS);
        let names: HashMap<String, Arc<Actor>> =
            stage.cast.seen().into_iter().map(|actor| (actor.addr.to_string(), actor)).collect();
        frame.extend(rows(engine.clients(2000), &names).into_iter().take(room));
        self.screen.draw(&frame)
    }

    /// Gives the terminal back.
    pub(super) fn close(&self) -> io::Result<()> {
        self.screen.close()
    }
}

fn headline(
    stage: &Stage,
    totals: &Totals,
    rate: f64,
    (now, end): (Duration, Duration),
) -> Vec<String> {
    let bold = Style::new().bold();
    let mut second = format!(
        "attack blocked {}   legitimate denied {}, harmed {} of {}",
        percent(totals.abusive.denied, totals.abusive.sent()),
        percent(totals.honest.denied, totals.honest.sent()),
        totals.honest.harmed,
        totals.honest.actors,
    );
    if let Some(medians) = stage.latency.medians() {
        let _ = write!(second, "   added latency p50 {:.2} ms", medians.added_millis());
    }
    vec![
        format!(
            "{}   {} s of {} s   {rate:.0} requests/s",
            bold.apply_to("Tidegate demo"),
            now.as_secs(),
            end.as_secs()
        ),
        second,
        String::new(),
        bold.apply_to(format!(
            "{:<15} {:<19} {:>5} {:>9} {:<8} {:>8} {:>8}",
            "client", "who it really is", "risk", "limit/min", "action", "allowed", "denied"
        ))
        .to_string(),
    ]
}

/// A line for each of the clients that matter most: attackers, then the rest, the latest first.
fn rows(views: Vec<ClientView>, names: &HashMap<String, Arc<Actor>>) -> Vec<String> {
    let known: Vec<_> =
        views.iter().filter_map(|view| Some((names.get(&view.name)?.group, view))).collect();
    let mut lines = Vec::new();
    for group in Group::ALL {
        let mut of_group: Vec<_> = known.iter().filter(|(g, _)| *g == group).collect();
        of_group.truncate(if group == Group::Shopper { ROWS } else { EACH });
        // Within what is shown, rows keep their places.
        of_group.sort_by_key(|(_, view)| (view.first_seen, &view.name));
        lines.extend(of_group.into_iter().map(|(group, view)| row(*group, view)));
    }
    lines
}

fn row(group: Group, view: &ClientView) -> String {
    let limit = if view.limit_per_min.is_finite() {
        format!("{:.0}", view.limit_per_min)
    } else {
        "none".into()
    };
    let action = style_of(view.action);
    let who = if group.abusive() { Style::new().red() } else { Style::new() };
    format!(
        "{:<15} {} {:>5.2} {:>9} {} {:>8} {:>8}",
        view.name,
        who.apply_to(format!("{:<19}", group.name())),
        view.risk,
        limit,
        action.apply_to(format!("{:<8}", view.action.name())),
        view.allowed,
        view.denied
    )
}
