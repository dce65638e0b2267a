//! The smallest use of the library: open a TAP, print what the kernel sends into it.
//!
//! `sudo cargo run --example read_loop`, then in another terminal `ping 10.7.0.2`.

#[cfg(target_os = "linux")]
fn main() -> Result<(), netloom::Report> {
    use std::os::fd::AsFd;

    use netloom::base::Instant;
    use netloom::decode::{Decoder, Link};
    use netloom::device::{Device, Pollable, Receive, RxBatch, Tap};
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    let start = std::time::Instant::now();
    let tap = Tap::builder()
        .name("nl%d")
        .kernel_address("10.7.0.1/24".parse()?)
        .open()?;
    println!("reading from {}", tap.name());
    let (mut rx, _tx) = tap.split();
    let readable = rx.descriptor()?;
    let decoder = Decoder::new(Link::Ethernet);
    let mut batch = RxBatch::new(64);
    loop {
        poll(
            &mut [PollFd::new(readable.as_fd(), PollFlags::POLLIN)],
            PollTimeout::NONE,
        )?;
        let now = Instant::ZERO + start.elapsed();
        rx.receive(now, &mut batch)?;
        for frame in batch.drain() {
            let line = decoder.line(&frame.data, frame.data.len(), frame.meta.checksum);
            println!("{now:?} {line}");
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("TAP devices are Linux's");
}
