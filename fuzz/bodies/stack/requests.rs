//! What a transparent proxy does, in the stack's target: sockets of every port, and connections that wait until they are admitted or refused.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use netloom::bytes::Bytes;
use netloom::stack::{AcceptError, AdmitError, ListenOptions, Refusal, SendError, SendInfo};
use netloom::stack::{StaleId, UdpOptions};

use super::peer::outbound;
use super::user::as_on_the_wire;
use super::{Input, LENGTHS, MOST_SOCKETS, Rig};

/// Requests that the user knows of at once.
const MOST: usize = 16;

impl Rig {
    /// A listener of every port, or one that holds who asks, or both.
    pub(super) fn listen_for_all(&mut self, input: &mut Input<'_>) {
        let (port, bits) = (input.port(), input.byte());
        if self.listeners.len() == MOST_SOCKETS {
            return;
        }
        let any_port = bits & 1 == 1;
        let hold = (bits & 2 == 2).then_some(Duration::from_secs(1 << (bits >> 2 & 7)));
        let options = ListenOptions::new(self.options(0))
            .any_port(any_port)
            .hold(hold)
            .backlog([4096, 1, 2, 10][usize::from(bits >> 5 & 3)])
            .dual_stack(bits & 0x80 == 0);
        let any = match bits & 0x80 {
            0 => IpAddr::from([0; 16]),
            _ => [0; 4].into(),
        };
        let at = SocketAddr::new(any, if any_port { 0 } else { port });
        if let Ok(id) = self.stack.tcp_listen(at, options) {
            let bound = self.stack.tcp_listener_addr(id).expect("it is new");
            assert_eq!(bound.port() == 0, any_port);
            self.listeners.push(id);
        }
    }

    /// Takes a request of each listener, and answers one of all.
    pub(super) fn requests(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        for &listener in &self.listeners {
            match self.stack.tcp_request(listener) {
                Ok(request) => {
                    assert!(self.on.contains(&request.on));
                    assert!(request.peer.port() > 0 || self.tainted);
                    self.requests.push(request);
                }
                Err(AcceptError::WouldBlock | AcceptError::AddressGone) => {}
                Err(error) => panic!("{error}"),
            }
        }
        // Who is not answered waits until its time is over.
        let more = self.requests.len().saturating_sub(MOST);
        self.requests.drain(..more);
        if self.requests.is_empty() {
            return;
        }
        let which = usize::from(what >> 4) % self.requests.len();
        let how = match what & 7 {
            0 | 1 => return self.admit(which),
            2 => Refusal::Reset,
            3 => Refusal::Port,
            4 => Refusal::Host,
            5 => Refusal::Net,
            6 => Refusal::Prohibited,
            _ => Refusal::Silence,
        };
        let id = self.requests.swap_remove(which).id;
        // It may be over.
        let held = self.stack.tcp_held_count();
        let refused = self.stack.tcp_refuse(self.now, id, how);
        let left = self.stack.tcp_held_count();
        assert_eq!(held - left, usize::from(refused.is_ok()));
        assert_eq!(self.stack.tcp_refuse(self.now, id, how), Err(StaleId));
        assert_eq!(self.stack.tcp_admit(self.now, id), Err(AdmitError::Stale));
    }

    fn admit(&mut self, which: usize) {
        if self.streams.len() >= MOST_SOCKETS {
            return;
        }
        let request = self.requests[which];
        match self.stack.tcp_admit(self.now, request.id) {
            Ok(id) => {
                let ours = self.stack.tcp_local_addr(id).expect("it is new");
                let theirs = self.stack.tcp_peer_addr(id).expect("it is new");
                assert_eq!((ours, theirs), (request.local, request.peer));
                let (ours, theirs) = (as_on_the_wire(ours), as_on_the_wire(theirs));
                let on = self.on.iter().position(|on| *on == request.on);
                // Whatever connection was between these before: nothing of this one has left yet.
                let flow = self.peer.flow(on.expect("one of ours"), ours, theirs);
                (flow.written, flow.iss) = (0, None);
                self.outcome.accepted += 1;
                self.hold(id, ours, theirs);
            }
            // It waits on.
            Err(AdmitError::NoRoute | AdmitError::NoMemory) => return,
            Err(error) => assert_eq!(error, AdmitError::Stale),
        }
        let id = self.requests.swap_remove(which).id;
        assert_eq!(self.stack.tcp_admit(self.now, id), Err(AdmitError::Stale));
    }

    /// A UDP socket of every port, or a datagram from one of a socket's ports.
    pub(super) fn any_udp(&mut self, input: &mut Input<'_>) {
        let bits = input.byte();
        if bits & 1 == 0 {
            let any = match bits & 2 {
                0 => IpAddr::from([0; 16]),
                _ => [0; 4].into(),
            };
            let options = UdpOptions::new()
                .any_port(true)
                .dual_stack(bits & 2 == 0)
                .reuse_address(bits & 4 == 4);
            if self.udps.len() < MOST_SOCKETS {
                let bound = self.stack.udp_bind(SocketAddr::new(any, 0), options);
                self.udps.extend(bound);
            }
            return;
        }
        let (host, port, from) = (input.host(), input.port(), input.port());
        let Some(&id) = self.udps.get(usize::from(bits >> 1 & 15)) else {
            return;
        };
        let data = Bytes::from_static(outbound(0, LENGTHS[usize::from(bits >> 5)]));
        let (to, info) = (SocketAddr::new(host, port), SendInfo::new().port(from));
        let sent = self
            .stack
            .udp_send_with(self.now, id, Some(to), data, None, &info);
        assert_ne!(sent, Err(SendError::Stale(StaleId)));
        let bound = self.stack.udp_local_addr(id).expect("it is open").port();
        if sent.is_ok() {
            assert!(bound > 0 && (from == 0 || from == bound) || bound == 0 && from > 0);
        }
    }
}
