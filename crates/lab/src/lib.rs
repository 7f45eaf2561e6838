//! Offline work: log formats, replay, simulation, training, evaluation and reports; no wire.

pub mod formats;
pub mod simulate;
