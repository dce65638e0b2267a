//! See bodies/stack.rs.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    netloom_fuzz::stack::run(input);
});
