//! Routers: advertisements with all that they may tell, and redirects of both families.

use std::net::{IpAddr, Ipv6Addr};

use netloom::link::RxMeta;

use super::super::wire;
use super::{HOSTS, Input, Rig, peer};

const ROUTERS: [&str; 4] = ["fe80::1", "fe80::9", "fd07::1", "fe80::2"];
const LIFETIMES: [u32; 6] = [0, 1, 100, 8000, 100_000, u32::MAX];
const PREFIXES: [&str; 6] = [
    "2001:db8::",
    "fd07::",
    "fe80::",
    "::",
    "2001:db8:1::",
    "ff00::",
];
const BITS: [u8; 6] = [64, 0, 48, 128, 65, 129];
const MTUS: [u32; 4] = [1400, 1279, 65_536, 0];

/// What an interface that was told the most has, with what it was given.
const MOST_ADDRESSES: usize = 16 + 3;
const MOST_ROUTES: usize = 16 + 16 + 32 + 6;

fn lifetime(input: &mut Input<'_>) -> [u8; 4] {
    LIFETIMES[input.below(LIFETIMES.len())].to_be_bytes()
}

fn address(text: &str) -> [u8; 16] {
    text.parse::<Ipv6Addr>().expect("a literal").octets()
}

/// A prefix, mostly one of a few, and its length.
fn prefix(input: &mut Input<'_>) -> (u8, [u8; 16]) {
    let mut prefix = address(PREFIXES[input.below(PREFIXES.len())]);
    prefix[5] = input.byte() % 32;
    (BITS[input.below(BITS.len())], prefix)
}

/// One option.
fn option(input: &mut Input<'_>) -> Vec<u8> {
    match input.byte() % 7 {
        0 => [&[1, 1][..], &wire::PEER].concat(),
        1 => {
            let (bits, prefix) = prefix(input);
            let head = [3, 4, bits, input.byte()];
            [
                &head[..],
                &lifetime(input),
                &lifetime(input),
                &[0; 4],
                &prefix,
            ]
            .concat()
        }
        2 => {
            let mtu = MTUS[input.below(MTUS.len())].to_be_bytes();
            [&[5, 1, 0, 0][..], &mtu].concat()
        }
        3 => {
            let (bits, prefix) = prefix(input);
            let head = [24, 3, bits, input.byte()];
            [&head[..], &lifetime(input), &prefix].concat()
        }
        4 => {
            let (_, server) = prefix(input);
            [&[25, 3, 0, 0][..], &lifetime(input), &server].concat()
        }
        5 => {
            let letter = b'a' + input.byte() % 26;
            [
                &[31, 2, 0, 0][..],
                &lifetime(input),
                &[3, b'l', letter, b'b', 0, 0, 0, 0],
            ]
            .concat()
        }
        _ => {
            let (kind, units) = (input.byte(), input.byte() % 3);
            let mut option = vec![0x61; usize::from(units.max(1)) * 8];
            (option[0], option[1]) = (kind, units);
            option
        }
    }
}

impl Rig {
    /// A router speaks, or redirects.
    pub(super) fn router(&mut self, input: &mut Input<'_>) {
        let from = ROUTERS[input.below(ROUTERS.len())];
        let shape = input.byte();
        if shape & 3 == 3 {
            return self.redirect_v4(input);
        }
        let body = if shape & 1 == 0 {
            let seconds = [0, 1, 1800, 9000][input.below(4)];
            let [a, b] = u16::to_be_bytes(seconds);
            let (hops, flags, times) = (input.byte(), input.byte(), input.byte());
            let mut body = vec![
                134, 0, 0, 0, hops, flags, a, b, 0, 0, times, 0, 0, 0, 0, times,
            ];
            for _ in 0..shape >> 4 {
                body.extend(option(input));
            }
            body
        } else {
            let target = address(ROUTERS[input.below(ROUTERS.len())]);
            let destination = match input.byte() % 3 {
                0 => target,
                1 => address("2001:db8::1"),
                _ => address("fd07::9"),
            };
            let mut body = vec![137, 0, 0, 0, 0, 0, 0, 0];
            body.extend(target);
            body.extend(destination);
            body.extend(option(input));
            body
        };
        let from: IpAddr = from.parse().expect("a literal");
        let to: IpAddr = "ff02::1".parse().expect("a literal");
        let packet = peer::packet(from, to, 58, body, Some(2));
        self.feed(0, &packet, RxMeta::new(self.now));
    }

    /// The gateway says of a packet that the stack sent that another one is nearer.
    fn redirect_v4(&mut self, input: &mut Input<'_>) {
        let (which, code, gateway) = (
            input.below(self.peer.last.len()),
            input.byte() % 5,
            input.byte(),
        );
        let Some((on, packet)) = self.peer.last.get(which).cloned() else {
            return;
        };
        if packet[0] >> 4 != 4 {
            return;
        }
        let ours = <[u8; 4]>::try_from(&packet[12..16]).expect("four");
        let quoted = &packet[..packet.len().min(28)];
        let body = [&[5, code, 0, 0, 10, 7, 0, gateway][..], quoted].concat();
        let from = HOSTS[0].parse().expect("a literal");
        let packet = peer::packet(from, IpAddr::from(ours), 1, body, Some(2));
        self.feed(on, &packet, RxMeta::new(self.now));
    }

    /// Whatever routers say, it fills its share.
    pub(super) fn check_told(&self) {
        for &on in &self.on {
            assert!(self.stack.routers(on).count() <= 16);
            assert!(self.stack.told_dns_servers(on).count() <= 8);
            assert!(self.stack.told_dns_domains(on).count() <= 8);
            let (addresses, routes) = (self.stack.addresses(on), self.stack.routes(on));
            assert!(addresses.count() <= MOST_ADDRESSES);
            assert!(routes.count() <= MOST_ROUTES);
        }
    }
}
