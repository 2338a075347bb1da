#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| guard::fuzz::normaliser(text));
