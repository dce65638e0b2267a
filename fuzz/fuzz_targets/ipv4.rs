//! See bodies/ipv4.rs.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    netloom_fuzz::ipv4::run(input);
});
