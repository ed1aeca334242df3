//! Hands what cargo-fuzz makes up to the target; decides nothing.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pop_before_smtp_fuzz::headers::run(data));
