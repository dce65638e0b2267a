//! See bodies/dhcp6.rs.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    netloom_fuzz::dhcp6::run(input);
});
