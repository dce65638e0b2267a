//! Words about how large the packets of a path may be: routers', about what was too large, and connections' own.
//!
//! RFC 1191 §3, RFC 8201 §4, §5.2, RFC 4821 §5.2. *Owns* who learns of one: all who use the path, or who was told alone. *Does not* check
//! that what is quoted was sent: sockets do; nor what of a word can be true: `mtu` does.

use core::net::IpAddr;

use super::mtu::{Burst, FoundMtu, Teacher};
use super::{LargeSent, Path, TooBig};
use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;

impl Net {
    /// A router says that a packet was too large which a socket of ours did send; returns the MTU of the path
    /// from now on, if that is believed, and whether all know of it. `current` is what the socket takes it for.
    ///
    /// RFC 8201 §5.2 (PMT-9): whoever keeps a path to `dst` learns of it at its next turn.
    fn too_big(
        &mut self,
        (on, dst): (InterfaceId, IpAddr),
        told: TooBig,
        current: usize,
        (by, alone): (Teacher, Burst),
    ) -> Option<(u16, bool)> {
        // Nothing longer left.
        let quoted = told.quoted.min(self.interfaces[on.index()].mtu_to(dst));
        let mtus = &mut self.paths.mtus;
        let mtu = mtus.judge(dst, told.mtu, quoted, current)?;
        if mtus.burst(on, dst).unwrap_or(alone).is_enough(self.now) {
            return None;
        }
        let room = mtus.learn(self.now, (on, dst), mtu, by);
        self.counters.path_mtu_lowered += 1;
        if room {
            self.paths.change();
            self.set_paths_timer();
        } else {
            self.counters.path_mtu_full += 1;
        }
        Some((mtu, room))
    }

    /// The same of a connection, which keeps what there is no room for.
    pub(crate) fn path_too_big(&mut self, path: &mut Path, told: TooBig) -> Option<u16> {
        let (way, current) = ((path.on, path.flow.dst), path.most());
        let by = (Teacher::Connection, path.burst);
        let (mtu, room) = self.too_big(way, told, current, by)?;
        if !room {
            path.burst.note(self.now);
            path.keep(mtu);
        }
        Some(mtu)
    }

    /// The same about a datagram to `dst`, of those that `sent` remembers. One that left before the path was known to be
    /// so narrow, or to try whether it is still, is told what is known, of which nobody learns anything; of one that `probes`
    /// it is what the router says.
    pub(crate) fn datagram_too_big(
        &mut self,
        (on, dst): (InterfaceId, IpAddr),
        told: TooBig,
        sent: &mut LargeSent,
        probes: bool,
    ) -> Option<u16> {
        let alone = sent.told(self.now, dst);
        let current = self.path_mtu(on, dst).min(alone.into());
        // Nothing longer left, be it in fragments.
        let quoted = told.quoted.min(self.interfaces[on.index()].mtu_to(dst));
        let known = told.mtu >= current || (told.mtu == 0 && dst.is_ipv4());
        if quoted > current && known && told.mtu < quoted {
            let tell = if probes {
                told.mtu.max(current)
            } else {
                current
            };
            return u16::try_from(tell).ok();
        }
        let by = (Teacher::Datagram, Burst::NONE);
        let (mtu, room) = self.too_big((on, dst), told, current, by)?;
        if !room {
            sent.tell(dst, mtu, self.paths.mtus.end(self.now));
        }
        Some(mtu)
    }

    /// The same about an echo reply, of which nobody else learns: who asked knows all that a quote shows.
    pub(crate) fn reply_too_big(&mut self, (on, dst): (InterfaceId, IpAddr), told: TooBig) -> bool {
        let (now, mtus) = (self.now, &self.paths.mtus);
        let alone = self.large_replies.told(now, dst);
        let current = self.path_mtu(on, dst).min(alone.into());
        let quoted = told.quoted.min(self.interfaces[on.index()].mtu_to(dst));
        let mtu = mtus.judge(dst, told.mtu, quoted, current);
        let until = mtus.end(now);
        mtu.is_some_and(|mtu| {
            self.large_replies.tell(dst, mtu, until);
            true
        })
    }

    /// A connection found out how large packets to `dst` may be, though nobody tells.
    pub(crate) fn path_found(&mut self, on: InterfaceId, dst: IpAddr, found: FoundMtu) {
        if self.paths.mtus.find(self.now, (on, dst), found) {
            self.paths.change();
        }
        self.set_paths_timer();
    }
}
