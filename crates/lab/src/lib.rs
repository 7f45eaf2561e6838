//! Offline work: log formats, replay, simulation, training, evaluation and reports; no wire.

pub mod bench;
pub mod bootstrap;
pub mod evaluate;
pub mod export;
pub mod formats;
pub mod judge;
mod limiter;
pub mod nab;
mod parallel;
pub mod prober;
pub mod rates;
pub mod replay;
pub mod simulate;
pub mod static_limits;
pub mod study;
pub mod train;
