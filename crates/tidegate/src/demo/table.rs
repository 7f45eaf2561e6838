//! What is seen while the demo runs: a headline and the clients as Tidegate sees them.

use super::cast::{Actor, Group};
use super::report::{Totals, percent};
use super::wire::Stage;
use console::{Style, Term, truncate_str};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_engine::{Action, ClientView, Engine};

/// Rows shown at most.
const ROWS: usize = 18;
/// Clients of one group shown at most.
const EACH: usize = 5;

/// Draws the table again and again: in place on a terminal, one below the other elsewhere.
pub(super) struct Screen {
    term: Term,
    drawn: usize,
    last: (Instant, u64),
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { term: Term::buffered_stdout(), drawn: 0, last: (Instant::now(), 0) }
    }

    /// How often to draw.
    pub(super) fn pace(&self) -> Duration {
        if self.term.is_term() { Duration::from_millis(500) } else { Duration::from_secs(5) }
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
        let (height, width) = match self.term.is_term() {
            true => self.term.size_checked().unwrap_or((24, 80)),
            false => (u16::MAX, 100),
        };
        let room = usize::from(height).saturating_sub(frame.len() + 2).min(ROWS);
        let names: HashMap<String, Arc<Actor>> =
            stage.cast.seen().into_iter().map(|actor| (actor.addr.to_string(), actor)).collect();
        frame.extend(rows(engine.clients(2000), &names).into_iter().take(room));
        if self.term.is_term() {
            self.term.hide_cursor()?;
            self.term.move_cursor_up(self.drawn)?;
        }
        for line in &frame {
            if self.term.is_term() {
                self.term.clear_line()?;
            }
            writeln!(self.term, "{}", truncate_str(line, usize::from(width), ""))?;
        }
        if self.term.is_term() {
            self.term.clear_to_end_of_screen()?;
        } else {
            writeln!(self.term)?;
        }
        self.drawn = frame.len();
        self.term.flush()
    }

    /// Gives the terminal back.
    pub(super) fn close(&self) -> io::Result<()> {
        if self.term.is_term() {
            self.term.show_cursor()?;
            writeln!(&self.term)?;
        }
        self.term.flush()
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
    let action = match view.action {
        Action::Block => Style::new().red().bold(),
        Action::Throttle | Action::Degrade => Style::new().yellow(),
        Action::Raise => Style::new().green(),
        Action::Allow => Style::new(),
    };
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
