//! Models that turn features into a risk, one file each, with training, calibration and explanation; no sockets, no clock, no policy.
