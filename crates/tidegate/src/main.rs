//! The binary: one match that names every command.

fn main() {}
