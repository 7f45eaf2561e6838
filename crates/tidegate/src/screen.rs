//! A few lines that are drawn again and again: in place on a terminal, one below the other elsewhere.

use console::{Style, Term, truncate_str};
use std::io::{self, Write as _};
use tidegate_engine::Action;

/// Where frames are drawn.
pub(crate) struct Screen {
    term: Term,
    drawn: usize,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self { term: Term::buffered_stdout(), drawn: 0 }
    }

    /// Whether it is a terminal, and so drawn in place.
    pub(crate) fn is_term(&self) -> bool {
        self.term.is_term()
    }

    /// How many lines there is room for, and how wide they may be.
    pub(crate) fn size(&self) -> (usize, usize) {
        if !self.term.is_term() {
            return (usize::from(u16::MAX), 100);
        }
        let (height, width) = self.term.size_checked().unwrap_or((24, 80));
        (usize::from(height), usize::from(width))
    }

    /// Draws a frame over the one before.
    pub(crate) fn draw(&mut self, frame: &[String]) -> io::Result<()> {
        let (_, width) = self.size();
        if self.term.is_term() {
            self.term.hide_cursor()?;
            self.term.move_cursor_up(self.drawn)?;
        }
        for line in frame {
            if self.term.is_term() {
                self.term.clear_line()?;
            }
            writeln!(self.term, "{}", truncate_str(line, width, ""))?;
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
    pub(crate) fn close(&self) -> io::Result<()> {
        if self.term.is_term() {
            self.term.show_cursor()?;
            writeln!(&self.term)?;
        }
        self.term.flush()
    }
}

/// How what is done about a client looks.
pub(crate) fn style_of(action: Action) -> Style {
    match action {
        Action::Block => Style::new().red().bold(),
        Action::Throttle | Action::Degrade => Style::new().yellow(),
        Action::Raise => Style::new().green(),
        Action::Allow => Style::new(),
    }
}
