//! netloom's `Host`: blocking handles, with chunks on one set of ports and with slices on another.

use std::error::Error;
use std::io;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use netloom::bytes::Bytes;
use netloom::capture::RecordingSettings;
use netloom::device::Tap;
use netloom::host::{Host, TcpStream};

use super::machine::use_cubic;
use super::rivals::{Api, BLOCK, Base, MORE_PORTS, PORTS, READ, Service, kernel_cidr, own_cidr};
use super::servers::{Loop, NAP};

/// How long a busy host polls before it sleeps: more than a round trip.
const BUSY_POLL: Duration = Duration::from_micros(100);

/// Opens the TAP that netloom has on this network.
pub(crate) fn tap(net: u8, offload: bool) -> Result<Tap, Box<dyn Error>> {
    let name = format!("nl{net}");
    let tap = Tap::builder()
        .name(&name)
        .mtu(1500)
        .kernel_address(kernel_cidr(net).parse()?)
        .offload(offload)
        .open()?;
    use_cubic(&name, net, 1)?;
    Ok(tap)
}

/// Starts a host and its servers.
pub(crate) fn serve(net: u8, base: Base) -> Result<Loop, Box<dyn Error>> {
    let busy_poll = match base {
        Base::Busy => BUSY_POLL,
        Base::Offload | Base::Plain | Base::Recorded => Duration::ZERO,
    };
    let mut builder = Host::builder(tap(net, base != Base::Plain)?)
        .address(own_cidr(net).parse()?)
        .busy_poll(busy_poll);
    let file = std::env::temp_dir().join(format!("netloom-bench-{}.pcapng", std::process::id()));
    if base == Base::Recorded {
        let settings = RecordingSettings::new(UNIX_EPOCH).payload(false);
        builder = builder.record_with(&file, settings);
    }
    let host = builder.spawn()?;
    let mut threads = Vec::new();
    for (api, ports) in [(Api::Chunks, PORTS), (Api::Slices, MORE_PORTS)] {
        for service in Service::ALL {
            let listener = host.tcp_listen(("0.0.0.0", service.port(ports)))?;
            threads.push(thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    // A client that resets is done.
                    let _ = match api {
                        Api::Chunks => chunks(service, &stream),
                        Api::Slices => slices(service, stream),
                    };
                }
            }));
        }
    }
    Ok(Box::new(move |control| {
        while !control.is_over() && host.wait(Some(NAP)).is_none() {}
        host.shutdown(Duration::from_secs(1));
        if let Some(recording) = host.recording() {
            let (stats, bytes) = (
                recording.stats(),
                std::fs::metadata(&file).map_or(0, |m| m.len()),
            );
            println!("\nrecorded: {} entries in {bytes} bytes", stats.entries);
            if let Some(why) = recording.failure() {
                println!("VOID: {why}, {} entries lost", stats.lost);
            }
            let _ = std::fs::remove_file(&file);
        }
        for thread in threads {
            // Its panic was printed by itself.
            let _ = thread.join();
        }
    }))
}

fn chunks(service: Service, stream: &TcpStream) -> io::Result<()> {
    match service {
        Service::Discard => while !stream.read_chunk(READ)?.is_empty() {},
        Service::Source => {
            let block = Bytes::from(vec![0x5a; BLOCK]);
            loop {
                stream.write_all_chunk(block.clone())?;
            }
        }
        Service::Echo => {
            stream.set_nodelay(true)?;
            loop {
                match stream.read_chunk(READ)? {
                    chunk if chunk.is_empty() => break,
                    chunk => stream.write_all_chunk(chunk)?,
                }
            }
        }
    }
    Ok(())
}

fn slices(service: Service, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(service == Service::Echo)?;
    service.answer(stream)
}
