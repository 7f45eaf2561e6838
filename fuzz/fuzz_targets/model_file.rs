//! libFuzzer's entry to [`tidegate_fuzz::model_file`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::model_file(data));
