//! Standard output: `print!` and `println!` to which a closed pipe is an end and not a panic.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};
use std::process::exit;

/// How a shell reports a program that SIGPIPE ended: 128 and the signal's number. Rust ignores the
/// signal, and what `| head` reads of Tidegate should look like that of any other tool.
const BROKEN_PIPE: i32 = 141;

// They shadow the standard ones, which panic, in every module that is declared after this one.
macro_rules! print {
    ($($text:tt)*) => { $crate::out::write(format_args!($($text)*)) };
}
macro_rules! println {
    ($($text:tt)*) => { $crate::out::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes to standard output, or ends the process as [`ended`] says.
pub(crate) fn write(text: Arguments<'_>) {
    let mut out = io::stdout().lock();
    ended(out.write_fmt(text).and_then(|()| out.flush()));
}

/// Ends the process when standard output can't be written to: quietly when nobody reads it to its
/// end, with a word on standard error when something else is wrong, such as a full disk.
pub(crate) fn ended(written: io::Result<()>) {
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(BROKEN_PIPE),
        Err(error) => {
            eprintln!("cannot write to standard output: {error}");
            exit(1)
        }
    }
}
