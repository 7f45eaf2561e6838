//! Runs every model through one suite.
