//! See bodies/ipv6.rs.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    netloom_fuzz::ipv6::run(input);
});
