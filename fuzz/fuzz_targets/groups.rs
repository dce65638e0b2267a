//! See bodies/groups.rs.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    netloom_fuzz::groups::run(input);
});
