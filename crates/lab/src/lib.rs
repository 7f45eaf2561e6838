//! Offline work: log formats, replay, simulation, training, evaluation and reports; no wire.
