//! Interfaces that come and go in the stack's target, VLANs among them; TCP of one interface, ports that listeners share, fast open.

use std::net::{IpAddr, SocketAddr};

use netloom::device::{Capabilities, Medium};
use netloom::link::RxMeta;
use netloom::stack::ListenOptions;
use netloom::{InterfaceConfig, MacAddr};

use super::super::frame::MAC;
use super::super::wire::{ACK, SYN};
use super::peer::{Segment, outbound};
use super::user::as_on_the_wire;
use super::{Input, LENGTHS, MOST_SOCKETS, Rig};

/// Interfaces that a run has had at most.
const MOST_INTERFACES: usize = 8;
/// RFC 7413 §2.1.
const FAST_OPEN: u8 = 34;

impl Rig {
    /// An interface goes, or its link, or one comes: a device, or a VLAN of the first, with priorities by DSCP or without.
    pub(super) fn interface(&mut self, input: &mut Input<'_>) {
        let (what, which) = (input.byte(), input.below(self.on.len()));
        let on = self.on[which];
        match what % 4 {
            0 => {
                let removed = self.stack.remove_interface(self.now, on);
                assert_eq!(removed.is_ok(), self.peer.remove(which));
            }
            1 | 2 => {
                let set = self.stack.set_link(self.now, on, what % 4 == 2);
                assert_eq!(set.is_ok(), self.peer.there[which]);
            }
            _ if self.on.len() >= MOST_INTERFACES => {}
            _ if what & 4 == 4 => self.add_device(),
            _ => self.add_vlan(what),
        }
    }

    fn add_device(&mut self) {
        let capabilities = Capabilities::plain(Medium::Ip, 1500);
        let config = addressed(InterfaceConfig::new(&capabilities).report_own_groups(false));
        let on = self.stack.add_interface(self.now, config.dad_transmits(0));
        self.on.push(on.expect("sound"));
        self.peer.add(capabilities, None);
    }

    fn add_vlan(&mut self, what: u8) {
        let below = self.peer.capabilities[0];
        let vlan = 10 + u16::from(what >> 7);
        let mut config = InterfaceConfig::new(&below)
            .mac(MacAddr::new(MAC))
            .over(self.on[0])
            .vlan(vlan)
            .vlan_priority(what >> 4 & 7)
            .report_own_groups(false)
            .dad_transmits(0);
        if what & 8 == 0 {
            config = config.vlan_priorities([what >> 5; 64]);
        }
        match self.stack.add_interface(self.now, addressed(config)) {
            Ok(on) => {
                assert!(below.medium == Medium::Ethernet && self.peer.there[0]);
                self.on.push(on);
                self.peer.add(below, Some(vlan));
            }
            Err(_) => {
                let taken = self.peer.vlans.iter().zip(&self.peer.there);
                let mut taken = taken.filter(|(_, there)| **there).map(|(vlan, _)| *vlan);
                let is_taken = taken.any(|other| other == Some(vlan));
                assert!(is_taken || !self.peer.there[0] || below.medium == Medium::Ip);
            }
        }
    }

    /// A listener that shares its port, is of one interface, or takes early text.
    pub(super) fn listen_otherwise(&mut self, input: &mut Input<'_>) {
        let (port, bits) = (input.port(), input.byte());
        let on = self.on[input.below(self.on.len())];
        if self.listeners.len() == MOST_SOCKETS {
            return;
        }
        let options = ListenOptions::new(self.options(0))
            .reuse_port(bits & 1 == 1)
            .interface((bits & 2 == 2).then_some(on))
            .fast_open(usize::from(bits >> 2 & 3));
        let any = match bits & 16 {
            0 => IpAddr::from([0; 4]),
            _ => [0; 16].into(),
        };
        let listens = self.stack.tcp_listen(SocketAddr::new(any, port), options);
        self.listeners.extend(listens);
    }

    /// A connection by one interface, or with a request in its SYN.
    pub(super) fn connect_otherwise(&mut self, input: &mut Input<'_>) {
        let (host, port, bits) = (input.host(), input.port().max(1), input.byte());
        let which = input.below(self.on.len());
        if self.streams.len() == MOST_SOCKETS {
            return;
        }
        let to = SocketAddr::new(host, port);
        let options = self.options(0).fast_open(bits & 1 == 0);
        let (on, opened) = if bits & 2 == 0 {
            let (on, _) = self.near(host);
            (on, self.stack.tcp_connect(self.now, to, None, options))
        } else {
            let by = self.on[which];
            let opened = self.stack.tcp_connect_on(self.now, by, to, None, options);
            assert!(opened.is_err() || self.peer.there[which]);
            (which, opened)
        };
        let Ok(id) = opened else { return };
        let ours = as_on_the_wire(self.stack.tcp_local_addr(id).expect("it is new"));
        self.peer.begin(on, ours, to);
        self.outcome.connected += 1;
        self.hold(id, ours, to);
        let data = outbound(0, LENGTHS[usize::from(bits >> 5)]);
        if let Ok(wrote) = self.stack.tcp_write(self.now, id, data) {
            self.peer.flow(on, ours, to).written = u64::try_from(wrote).expect("small");
        }
    }

    /// A SYN with text and the cookie that was given last, or one that asks for a cookie.
    pub(super) fn knock_fast(&mut self, input: &mut Input<'_>) {
        let (host, port, shape) = (input.host(), input.port(), input.byte());
        let from = 41_000 + u16::from(input.byte() % 8);
        let isn = input.around();
        let (on, ours) = self.near(host);
        let mut cookie = self.peer.cookie.clone().unwrap_or_default();
        if let (true, Some(byte)) = (shape & 8 == 8, cookie.first_mut()) {
            *byte ^= shape;
        }
        let flow = self
            .peer
            .flow(on, SocketAddr::new(ours, port), SocketAddr::new(host, from));
        let packet = flow.packet(&Segment {
            flags: SYN,
            seq: isn,
            window: 65_535,
            options: with_cookie(&cookie),
            len: LENGTHS[usize::from(shape & 7)].min(1400),
            ..Segment::default()
        });
        self.feed(on, &packet, RxMeta::new(self.now));
    }

    /// The answer to a SYN, with a cookie for the next time; it acknowledges the text or less.
    pub(super) fn answer_fast(&mut self, input: &mut Input<'_>) {
        let (which, shape) = (input.below(self.peer.flows.len()), input.byte());
        let back = input.around();
        let isn = input.around();
        let Some(flow) = self.peer.flows.get_mut(which) else {
            return;
        };
        let cookie = [shape; 16];
        let packet = flow.packet(&Segment {
            flags: SYN | ACK,
            seq: isn,
            ack: flow.next_seq.wrapping_sub(back),
            window: 65_535,
            options: with_cookie(&cookie[..usize::from(shape % 9) * 2]),
            len: 0,
        });
        let on = flow.on;
        // As `packet` does of SYNs alone.
        flow.ack = isn.wrapping_add(1);
        self.feed(on, &packet, RxMeta::new(self.now));
    }
}

/// In the network that a second device is in, too.
fn addressed(config: InterfaceConfig) -> InterfaceConfig {
    let all = ["10.8.0.2/24", "fd08::2/64"].map(|own| own.parse().expect("a literal"));
    all.into_iter().fold(config, InterfaceConfig::address)
}

fn with_cookie(cookie: &[u8]) -> Vec<u8> {
    let len = u8::try_from(2 + cookie.len()).expect("16 bytes at most");
    [&[2, 4, 5, 0xb4, FAST_OPEN, len][..], cookie].concat()
}
