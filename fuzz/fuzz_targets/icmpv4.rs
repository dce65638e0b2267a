//! See bodies/icmpv4.rs.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    netloom_fuzz::icmpv4::run(input);
});
