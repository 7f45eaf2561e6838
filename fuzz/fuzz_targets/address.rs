//! libFuzzer's entry to [`tidegate_fuzz::address`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::address(data));
