//! Any frames into a stack. The body lies apart, so that `tests/corpus.rs` replays the corpus on
//! stable.

#![no_main]

#[path = "../bodies/frame.rs"]
mod frame;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    frame::run(input);
});
