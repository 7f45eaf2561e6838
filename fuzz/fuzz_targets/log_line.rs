//! libFuzzer's entry to [`tidegate_fuzz::log_line`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::log_line(data));
