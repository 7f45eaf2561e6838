//! The stack of a panic, read from the text that the standard library makes of it.

use sentry_core::protocol::{Frame, Stacktrace};
use std::backtrace::Backtrace;

/// Most frames that are told, the innermost ones.
const MOST: usize = 100;
/// Where a panic enters the standard library; what was called from there on is the same for all.
const ENTRANCES: [&str; 3] = ["rust_begin_unwind", "core::panicking::", "std::panicking::"];

/// The stack of whoever panicked, called from a panic hook.
pub(crate) fn of_panic() -> Option<Stacktrace> {
    read(&Backtrace::force_capture().to_string())
}

/// Reads `  4: function` and `at file:line:column` below it; nothing of it when the text is another one.
fn read(text: &str) -> Option<Stacktrace> {
    let mut frames: Vec<Frame> = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        if let Some(place) = line.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                let mut parts = place.rsplitn(3, ':');
                frame.colno = parts.next().and_then(|column| column.parse().ok());
                frame.lineno = parts.next().and_then(|line| line.parse().ok());
                frame.filename = parts.next().map(str::to_owned);
            }
        } else if let Some((number, function)) = line.split_once(": ")
            && number.parse::<u32>().is_ok()
        {
            let in_app = function.trim_start_matches('<').starts_with("tidegate");
            frames.push(Frame {
                function: Some(function.to_owned()),
                in_app: Some(in_app),
                ..Frame::default()
            });
        }
    }
    let entered = frames.iter().rposition(|frame| {
        let function = frame.function.as_deref().unwrap_or_default();
        ENTRANCES.iter().any(|entrance| function.contains(entrance))
            // Those at the root of a thread are of another panic that could be caught.
            && !function.contains("catch_unwind")
            && !function.contains("panicking::try")
    });
    let mut frames = frames.split_off(entered.map_or(0, |at| at + 1));
    frames.truncate(MOST);
    // The outermost goes first.
    frames.reverse();
    (!frames.is_empty()).then(|| Stacktrace { frames, ..Stacktrace::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "   0: std::backtrace::Backtrace::create
   1: std::panicking::panic_with_hook
             at /rustc/abc/library/std/src/panicking.rs:833:13
   2: core::panicking::panic_fmt
             at /rustc/abc/library/core/src/panicking.rs:75:14
   3: <tidegate_engine::engine::Engine>::check
             at ./crates/engine/src/check.rs:12:5
   4: std::panicking::catch_unwind::do_call
   5: tidegate::main
";

    #[test]
    fn the_stack_begins_where_the_program_panicked() {
        let frames = read(TEXT).unwrap().frames;
        let names: Vec<_> = frames.iter().map(|f| f.function.as_deref().unwrap()).collect();
        assert_eq!(
            names,
            [
                "tidegate::main",
                "std::panicking::catch_unwind::do_call",
                "<tidegate_engine::engine::Engine>::check"
            ]
        );
        let last = frames.last().unwrap();
        assert_eq!(
            (last.filename.as_deref(), last.lineno, last.colno, last.in_app),
            (Some("./crates/engine/src/check.rs"), Some(12), Some(5), Some(true))
        );
    }

    #[test]
    fn a_text_of_another_form_is_no_stack() {
        assert!(read("").is_none());
        assert!(read("disabled backtrace").is_none());
    }

    #[test]
    fn what_the_standard_library_writes_is_read() {
        let stack = read(&Backtrace::force_capture().to_string()).unwrap();
        let names = stack.frames.iter().filter_map(|frame| frame.function.as_deref());
        assert!(
            names.into_iter().any(|name| name.contains("the_standard_library_writes")),
            "{stack:?}"
        );
    }
}
