#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| kapso_exporter_fuzz::accept::run(data));
