//! Offline work: log formats, replay, simulation, training, evaluation and reports; no wire.

pub mod bench;
pub mod evaluate;
pub mod formats;
mod parallel;
pub mod replay;
pub mod simulate;
pub mod static_limits;
pub mod study;
pub mod train;
