#![no_main]

libfuzzer_sys::fuzz_target!(|toml: &str| guard::fuzz::rule_file(toml));
