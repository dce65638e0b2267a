//! The user's side of the stack's target: every call, on every socket, at any time.

use std::net::{IpAddr, Shutdown, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use netloom::TcpId;
use netloom::bytes::Bytes;
use netloom::stack::{AcceptError, ListenOptions, PingOptions, RecvError, StaleId, UdpOptions};
use netloom::tcp::{Keepalive, ReadError, TcpOptions, WriteError};

use super::peer::{inbound, outbound};
use super::{Input, LENGTHS, MOST_SOCKETS, MOST_TIMERS, Rig, Stream};

impl Rig {
    pub(super) fn options(&self, bits: u8) -> TcpOptions {
        let bit = |n: u8| bits >> n & 1 == 1;
        let mut options = TcpOptions::default()
            .nodelay(bit(0))
            .delayed_ack(!bit(1))
            .mss(bit(2).then_some(48 + 10 * u16::from(bits >> 4)));
        if self.small {
            options = options
                .send_buffer(3000)
                .recv_buffer_max(5000)
                .recv_buffer_initial(2000);
        }
        if bit(3) {
            options = options
                .keepalive(Some(Keepalive::after(Duration::from_secs(30)).probes(3)))
                .user_timeout(Some(Duration::from_secs(100)));
        }
        if bit(4) {
            let linger = if bit(5) { 0 } else { 2 };
            options = options.linger(Some(Duration::from_secs(linger)));
        }
        options
    }

    fn stream(&mut self, input: &mut Input<'_>) -> Option<usize> {
        let which = input.below(self.streams.len());
        (!self.streams.is_empty()).then_some(which)
    }

    pub(super) fn connect(&mut self, input: &mut Input<'_>) {
        let (host, port) = (input.host(), input.port().max(1));
        let options = self.options(input.byte());
        if self.streams.len() == MOST_SOCKETS {
            return;
        }
        let to = SocketAddr::new(host, port);
        let (on, _) = self.near(host);
        if let Ok(id) = self.stack.tcp_connect(self.now, to, None, options) {
            let ours = self.stack.tcp_local_addr(id).expect("it is new");
            assert_eq!(self.stack.tcp_peer_addr(id), Ok(to));
            let ours = as_on_the_wire(ours);
            self.peer.begin(on, ours, to);
            self.outcome.connected += 1;
            self.hold(id, ours, to);
        }
    }

    pub(super) fn hold(&mut self, id: TcpId, ours: SocketAddr, theirs: SocketAddr) {
        self.streams.push(Stream {
            id,
            ours,
            theirs,
            read: 0,
            isns: None,
            shut: false,
        });
    }

    pub(super) fn listen(&mut self, input: &mut Input<'_>) {
        let (port, bits) = (input.port(), input.byte());
        let backlog = [4096, 1, 2, 10][usize::from(bits & 3)];
        let options = ListenOptions::new(self.options(bits >> 3))
            .backlog(backlog)
            .dual_stack(bits & 4 == 0);
        if self.listeners.len() == MOST_SOCKETS {
            return;
        }
        let any = if bits & 4 == 0 {
            [0; 16].into()
        } else {
            IpAddr::from([0; 4])
        };
        if let Ok(id) = self.stack.tcp_listen(SocketAddr::new(any, port), options) {
            assert!(self.stack.tcp_listener_addr(id).expect("it is new").port() > 0);
            self.listeners.push(id);
        }
    }

    pub(super) fn accept(&mut self) {
        for listener in self.listeners.clone() {
            while self.streams.len() < MOST_SOCKETS {
                match self.stack.tcp_accept(self.now, listener) {
                    Ok(id) => {
                        let ours = self.stack.tcp_local_addr(id).expect("it is new");
                        let theirs = self.stack.tcp_peer_addr(id).expect("it is new");
                        let (ours, theirs) = (as_on_the_wire(ours), as_on_the_wire(theirs));
                        // Whatever connection was between these before: nothing was written yet.
                        let (on, _) = self.near(theirs.ip());
                        self.peer.flow(on, ours, theirs).written = 0;
                        self.outcome.accepted += 1;
                        self.hold(id, ours, theirs);
                    }
                    // That of an interface that has gone.
                    Err(AcceptError::WouldBlock | AcceptError::AddressGone) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    pub(super) fn write(&mut self, chunk: bool, input: &mut Input<'_>) {
        let Some(which) = self.stream(input) else {
            return;
        };
        let how = input.byte();
        let len = LENGTHS[usize::from(how) % LENGTHS.len()];
        let stream = &mut self.streams[which];
        let on = 0; // of a flow that is known already
        let flow = self.peer.flow(on, stream.ours, stream.theirs);
        let mut data = Bytes::from_static(outbound(flow.written, len));
        let wrote = if chunk {
            self.stack.tcp_write_chunk(self.now, stream.id, &mut data)
        } else if how >= 0xc0 {
            self.stack.tcp_write_urgent(self.now, stream.id, &data)
        } else {
            self.stack.tcp_write(self.now, stream.id, &data)
        };
        match wrote {
            Ok(wrote) => {
                assert!(wrote <= len && (wrote > 0 || len == 0));
                assert!(!chunk || wrote + data.len() == len);
                assert!(!stream.shut, "written after the end");
                flow.written += u64::try_from(wrote).expect("small");
            }
            Err(WriteError::Stale) => panic!("it is held"),
            Err(_) => {}
        }
    }

    pub(super) fn read(&mut self, chunk: bool, input: &mut Input<'_>) {
        let Some(which) = self.stream(input) else {
            return;
        };
        let how = input.byte();
        let len = LENGTHS[usize::from(how) % LENGTHS.len()];
        let id = self.streams[which].id;
        if how >= 0xc0 {
            let _ = self.stack.tcp_urgent(id);
        }
        let read = if chunk {
            self.stack.tcp_read_chunk(self.now, id, len)
        } else {
            let mut buf = vec![0; len];
            let read = self.stack.tcp_read(self.now, id, &mut buf);
            read.map(|read| buf[..read].to_vec().into())
        };
        match read {
            Ok(data) => {
                assert!(data.len() <= len);
                self.check_read(which, &data);
            }
            Err(ReadError::Stale) => panic!("it is held"),
            Err(_) => {}
        }
    }

    /// What was read is what the peer's stream has there, whatever it began with.
    fn check_read(&mut self, which: usize, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        let stream = &mut self.streams[which];
        let flow = self.peer.flow(0, stream.ours, stream.theirs);
        let isns = stream.isns.get_or_insert_with(|| flow.isns.clone());
        let offset = stream.read;
        isns.retain(|isn| {
            let first = isn.wrapping_add(1).wrapping_add(offset);
            data == inbound(first, data.len())
        });
        assert!(
            !isns.is_empty() || self.tainted,
            "{} bytes at {offset} are not the peer's",
            data.len()
        );
        let len = u32::try_from(data.len()).expect("small");
        stream.read = offset.wrapping_add(len);
        self.outcome.read += u64::from(len);
    }

    pub(super) fn peek(&mut self, input: &mut Input<'_>) {
        let Some(which) = self.stream(input) else {
            return;
        };
        let len = LENGTHS[input.below(LENGTHS.len())];
        let id = self.streams[which].id;
        let mut seen = vec![0; len];
        let peeked = self.stack.tcp_peek(id, &mut seen);
        let mut buf = vec![0; len];
        let read = self.stack.tcp_read(self.now, id, &mut buf);
        assert_eq!(peeked, read);
        if let Ok(read) = read {
            assert_eq!(seen[..read], buf[..read]);
            self.check_read(which, &buf[..read]);
        }
    }

    pub(super) fn shutdown(&mut self, input: &mut Input<'_>) {
        let Some(which) = self.stream(input) else {
            return;
        };
        let how = [Shutdown::Write, Shutdown::Read, Shutdown::Both][input.below(3)];
        let stream = &mut self.streams[which];
        let ended = self.stack.tcp_shutdown(self.now, stream.id, how);
        stream.shut |= ended.is_ok() && how != Shutdown::Read;
    }

    pub(super) fn close(&mut self, abort: bool, input: &mut Input<'_>) {
        let Some(which) = self.stream(input) else {
            return;
        };
        let id = self.streams.swap_remove(which).id;
        if abort {
            self.stack.tcp_abort(self.now, id);
        } else {
            self.stack.tcp_close(self.now, id);
        }
        assert_eq!(self.stack.tcp_info(id), Err(StaleId));
        let wrote = self.stack.tcp_write(self.now, id, b"x");
        assert_eq!(wrote, Err(WriteError::Stale));
        let read = self.stack.tcp_read(self.now, id, &mut [0]);
        assert_eq!(read, Err(ReadError::Stale));
    }

    pub(super) fn set_options(&mut self, input: &mut Input<'_>) {
        let Some(which) = self.stream(input) else {
            return;
        };
        let options = self.options(input.byte());
        let id = self.streams[which].id;
        let set = self.stack.tcp_set_options(self.now, id, options);
        assert_eq!(set, Ok(()));
    }

    pub(super) fn listener(&mut self, input: &mut Input<'_>) {
        let which = input.below(self.listeners.len());
        let what = input.byte();
        if self.listeners.is_empty() {
            return;
        }
        let id = self.listeners[which];
        if what.is_multiple_of(2) {
            let set = self.stack.tcp_listener_room(id, usize::from(what / 2));
            assert_eq!(set, Ok(()));
        } else {
            self.stack.tcp_listener_close(self.now, id);
            self.listeners.swap_remove(which);
            assert_eq!(self.stack.tcp_listener_waiting(id), Err(StaleId));
        }
    }

    pub(super) fn udp(&mut self, step: u8, input: &mut Input<'_>) {
        if step == 16 {
            let (port, bits) = (input.port(), input.byte());
            let mut options = UdpOptions::new()
                .dual_stack(bits & 1 == 0)
                .report_errors(bits & 2 == 2)
                .reuse_address(bits & 4 == 4);
            if self.small {
                options = options.send_buffer(2000).recv_buffer(2000);
            }
            let any = if bits & 1 == 0 {
                [0; 16].into()
            } else {
                IpAddr::from([0; 4])
            };
            if self.udps.len() < MOST_SOCKETS {
                let bound = self.stack.udp_bind(SocketAddr::new(any, port), options);
                self.udps.extend(bound);
            }
            self.be_in_groups(bits >> 3);
            return;
        }
        let which = input.below(self.udps.len());
        let Some(&id) = self.udps.get(which) else {
            return;
        };
        match step {
            17 => {
                let (host, port, bits) = (input.host(), input.port(), input.byte());
                let to = (bits & 8 == 0).then_some(SocketAddr::new(host, port));
                let data = Bytes::from_static(outbound(0, LENGTHS[usize::from(bits & 7)]));
                let segment = NonZeroU16::new(u16::from(bits >> 4) * 100);
                let _ = match segment {
                    Some(size) => self.stack.udp_send_segmented(self.now, id, to, data, size),
                    None => self.stack.udp_send_chunk(self.now, id, to, data),
                };
            }
            18 => {
                while let Ok(datagram) = self.stack.udp_recv(id) {
                    assert!(datagram.data.len() <= 65_535);
                    self.outcome.delivered += 1;
                }
            }
            19 => {
                let to = SocketAddr::new(input.host(), input.port());
                let connected = self.stack.udp_connect(id, to);
                let peer = self.stack.udp_peer_addr(id).expect("it is open");
                assert!(connected.is_err() || peer == Some(to));
            }
            _ => {
                self.stack.udp_close(id);
                self.udps.swap_remove(which);
                assert_eq!(self.stack.udp_local_addr(id), Err(StaleId));
            }
        }
    }

    pub(super) fn ping(&mut self, step: u8, input: &mut Input<'_>) {
        let which = input.below(self.pings.len());
        let (host, bits) = (input.host(), input.byte());
        if bits & 0x80 != 0 {
            return self.raw_socket(step, host, bits);
        }
        match self.pings.get(which).copied() {
            None => {
                let options = PingOptions::new().queue(2);
                let id = self.stack.ping_open(options);
                self.pings.push(id.expect("identifiers are left"));
            }
            Some(id) if step == 21 => {
                let data = Bytes::from_static(outbound(0, LENGTHS[usize::from(bits & 7)]));
                let seq = u16::from(bits);
                let _ = self.stack.ping_send(self.now, id, host, None, seq, data);
            }
            Some(id) if step == 22 => loop {
                match self.stack.ping_recv(id) {
                    Ok(reply) => {
                        assert!(reply.at <= self.now);
                        self.outcome.delivered += 1;
                    }
                    Err(RecvError::WouldBlock) => break,
                    Err(error) => panic!("{error}"),
                }
            },
            Some(id) => {
                self.stack.ping_close(id);
                self.pings.swap_remove(which);
                assert!(self.stack.ping_recv(id).is_err());
            }
        }
    }

    /// The user goes; then whatever the stack does ends on its own.
    pub(super) fn end(&mut self) {
        self.peer.full = 0;
        self.peer.dropping = 0;
        for stream in std::mem::take(&mut self.streams) {
            self.stack.tcp_close(self.now, stream.id);
        }
        for listener in std::mem::take(&mut self.listeners) {
            self.stack.tcp_listener_close(self.now, listener);
        }
        for id in std::mem::take(&mut self.udps) {
            self.stack.udp_close(id);
        }
        for id in std::mem::take(&mut self.pings) {
            self.stack.ping_close(id);
        }
        for (id, _) in std::mem::take(&mut self.raws) {
            self.stack.raw_close(id);
        }
        for (id, _) in std::mem::take(&mut self.packets) {
            self.stack.packet_close(id);
        }
        assert_eq!(self.stack.tcp_held_count(), 0, "their listeners are closed");
        for &on in &self.on {
            let _ = self.stack.set_link(self.now, on, true);
            // Where there is no client there is nothing to end.
            let _ = self.stack.dhcp_release(self.now, on);
        }
        self.turn();
        for _ in 0..MOST_TIMERS {
            let left = self.stack.tcp_open_count() + self.stack.tcp_time_wait_count();
            let Some(next) = self.due else {
                assert_eq!(left, 0, "no timer, and yet something is open");
                break;
            };
            if left == 0 {
                break;
            }
            self.now = self.now.max(next);
            self.turn();
        }
        assert_eq!(self.stack.tcp_open_count(), 0, "a connection never ends");
        assert_eq!(self.stack.tcp_time_wait_count(), 0);
        assert_eq!(self.stack.tcp_connections().count(), 0);
    }
}

/// An endpoint without the interface that a link-local one names.
pub(super) fn as_on_the_wire(end: SocketAddr) -> SocketAddr {
    SocketAddr::new(end.ip(), end.port())
}
