//! Bulk TCP both ways, every byte hashed, over every combination of family, device and offload.

use std::fmt;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use netloom::bytes::Bytes;
use netloom::device::Medium;
use netloom::host::Host;

use crate::link::{
    Hash, Link, Offload, kernel_accept, kernel_connect, kernel_counter, kernel_listener,
    our_accept, our_connect, our_listener,
};
use crate::namespace::Case;
use crate::source::{BLOCK, Source};

const SMALL: u64 = 16 << 20;
/// On a link that loses some of them.
const FEW: u64 = 4 << 20;
/// In the cell that has the fastest path.
const LARGE: u64 = 1 << 30;

#[derive(Clone, Copy)]
struct Cell {
    link: Link,
    v6: bool,
    we_send: bool,
    bytes: u64,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.v6 { "v6" } else { "v4" };
        let direction = if self.we_send { "sent" } else { "received" };
        write!(f, "bulk::{family}_{}_{direction}", self.link.name())
    }
}

/// All cells of the table.
///
/// Covers: TCP-2 (checksums, whole and left to the device), TCP-25 (the MSS told fits).
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let more = [Offload::Coalesced, Offload::Impaired].map(|o| Link::new(Medium::Ethernet, o));
    for link in Link::ALL.into_iter().chain(more) {
        for v6 in [false, true] {
            for we_send in [true, false] {
                let large =
                    matches!(link.medium, Medium::Ethernet) && link.offload == Offload::Full && !v6;
                let bytes = match link.offload {
                    Offload::Impaired => FEW,
                    _ if large => LARGE,
                    _ => SMALL,
                };
                let cell = Cell {
                    link,
                    v6,
                    we_send,
                    bytes,
                };
                cases.push(Case::new(cell.to_string(), move || cell.run()));
            }
        }
    }
    cases
}

impl Cell {
    fn run(self) {
        let host = self.link.host();
        let (sent, received) = if self.we_send {
            self.we_send(&host)
        } else {
            self.we_receive(&host)
        };
        assert_eq!(sent.1, self.bytes);
        assert_eq!(sent, received, "(hash, length) as sent and as received");
        if self.link.offload == Offload::Impaired {
            let counters = host.counters();
            // What went through was repaired: by us, or by the kernel.
            let repaired = if self.we_send {
                counters.tcp_retransmits
            } else {
                kernel_counter("snmp", "Tcp:", "RetransSegs")
            };
            assert!(repaired > 0, "{counters:?}");
            assert_eq!(counters.tcp_resets_sent + counters.tcp_resets_received, 0);
            return;
        }
        // Nothing is lost on this link, so nothing may ever have waited for a time-out.
        let counters = host.counters();
        assert_eq!(counters.tcp_rto_fired, 0, "{counters:?}");
        assert_eq!(kernel_counter("netstat", "TcpExt:", "TCPTimeouts"), 0);
        assert_eq!(counters.tcp_resets_sent + counters.tcp_resets_received, 0);
    }

    /// Blocks go out with and without a copy, in turn.
    fn we_send(self, host: &Host) -> ((u64, u64), (u64, u64)) {
        let (listener, at) = kernel_listener(self.v6);
        thread::scope(|scope| {
            let sender = scope.spawn(|| {
                let mut stream = our_connect(host, at);
                let (mut source, mut hash) = (Source::new(self.bytes), Hash::default());
                while let Some(block) = source.next() {
                    hash.update(block);
                    if source_is_even(block) {
                        stream
                            .write_all_chunk(Bytes::copy_from_slice(block))
                            .unwrap();
                    } else {
                        stream.write_all(block).unwrap();
                    }
                }
                stream.shutdown(Shutdown::Write).unwrap();
                assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the kernel's end");
                hash.finish()
            });
            let mut stream = kernel_accept(&listener);
            let (mut buf, mut hash) = (vec![0; BLOCK], Hash::default());
            loop {
                match stream.read(&mut buf).unwrap() {
                    0 => break,
                    len => hash.update(&buf[..len]),
                }
            }
            drop(stream);
            (sender.join().unwrap(), hash.finish())
        })
    }

    /// Chunks come in with and without a copy, in turn.
    fn we_receive(self, host: &Host) -> ((u64, u64), (u64, u64)) {
        let (listener, at) = our_listener(host, self.v6);
        thread::scope(|scope| {
            let receiver = scope.spawn(|| {
                let mut stream = our_accept(&listener);
                let (mut buf, mut hash) = (vec![0; BLOCK], Hash::default());
                loop {
                    let chunk = stream.read_chunk(usize::MAX).unwrap();
                    hash.update(&chunk);
                    let len = stream.read(&mut buf).unwrap();
                    hash.update(&buf[..len]);
                    if len == 0 {
                        return hash.finish();
                    }
                }
            });
            let mut stream = kernel_connect(at);
            let (mut source, mut hash) = (Source::new(self.bytes), Hash::default());
            while let Some(block) = source.next() {
                hash.update(block);
                stream.write_all(block).unwrap();
            }
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "our end");
            (hash.finish(), receiver.join().unwrap())
        })
    }
}

fn source_is_even(block: &[u8]) -> bool {
    block[0].is_multiple_of(2)
}
