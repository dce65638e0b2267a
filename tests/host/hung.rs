//! A capture whose disk hangs delays nobody but who waits for the file.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use netloom::capture::{Capture, CaptureSettings, Recorder};
use netloom::device::{Medium, pair};
use netloom::host::Host;

use super::LONG;

/// A disk that takes the file's header and then waits until the test lets it go on.
struct Hung(Receiver<()>, usize);

impl Write for Hung {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.1 == 0 {
            let _ = self.0.recv(); // the other end dropped: open for good
        } else {
            self.1 -= 1;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn blocked_users_hear_of_the_hosts_end_at_once() {
    let (device, _peer) = pair(Medium::Ip, 1500);
    let (open, gate) = channel();
    let settings = CaptureSettings::new(std::time::SystemTime::UNIX_EPOCH);
    let recorder = Recorder::start(Hung(gate, 2), Medium::Ip, &settings).unwrap();
    let device = Capture::new(device, recorder);
    let address = "10.7.0.1/24".parse().unwrap();
    let host = Host::builder(device).address(address).spawn().unwrap();
    let socket = host.udp_bind("10.7.0.1:53").unwrap();
    // Something for the file.
    socket.send_to(b"x", "10.7.0.2:53").unwrap();
    let (told, hears) = channel();
    thread::scope(|scope| {
        let also = told.clone();
        scope.spawn(move || told.send(socket.recv_datagram().is_err()));
        let host = &host;
        scope.spawn(move || also.send(host.wait(None).is_some()));
        let (done, ended) = channel();
        scope.spawn(move || done.send(host.shutdown(std::time::Duration::ZERO)));
        let heard = [hears.recv_timeout(LONG), hears.recv_timeout(LONG)];
        let waits = ended.try_recv().is_err();
        drop(open);
        assert_eq!(heard, [Ok(true), Ok(true)], "while the disk hung");
        assert!(waits, "who ends the host waits for the file");
    });
}
