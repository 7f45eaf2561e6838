//! Log formats: bytes of a log line in, a borrowed record out.
