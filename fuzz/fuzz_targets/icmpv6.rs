//! See bodies/icmpv6.rs.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    netloom_fuzz::icmpv6::run(input);
});
