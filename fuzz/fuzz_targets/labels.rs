//! libFuzzer's entry to [`tidegate_fuzz::labels`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::labels(data));
