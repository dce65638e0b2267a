//! A TCP echo server in the network 10.7.0.0/24 over a TAP device of its own.
//!
//! Needs the right to make one (CAP_NET_ADMIN): `sudo setcap cap_net_admin+ep
//! target/debug/examples/echo`, or root. Then, from another terminal: `nc 10.7.0.2 7`.

#[cfg(all(target_os = "linux", feature = "host"))]
fn main() -> Result<(), netloom::Report> {
    use std::thread;

    use netloom::device::Tap;
    use netloom::host::Host;

    let tap = Tap::builder()
        .name("nl0")
        .kernel_address("10.7.0.1/24".parse()?)
        .open()?;
    let host = Host::builder(tap).address("10.7.0.2/24".parse()?).spawn()?;
    let listener = host.tcp_listen("0.0.0.0:7")?;
    println!("echoing: try `nc 10.7.0.2 7`");
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || -> std::io::Result<()> {
            // Whole chunks as they arrived, without a copy; `std::io::copy` works as well.
            loop {
                let chunk = stream.read_chunk(usize::MAX)?;
                if chunk.is_empty() {
                    return Ok(());
                }
                stream.write_all_chunk(chunk)?;
            }
        });
    }
    Ok(())
}

#[cfg(not(all(target_os = "linux", feature = "host")))]
fn main() {
    println!("this example needs Linux");
}
