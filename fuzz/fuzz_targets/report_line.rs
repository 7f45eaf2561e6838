//! libFuzzer's entry to [`tidegate_fuzz::report_line`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::report_line(data));
