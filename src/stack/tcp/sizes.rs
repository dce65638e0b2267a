//! From a packet's size to a segment's: what an MTU, a path and a family make of an MSS.
//!
//! RFC 9293 §3.7.1, RFC 8200 §8.3, RFC 4821 §7.2. *Owns* the arithmetic. *Does not* know what a path carries: `path` does.

use core::net::IpAddr;

use crate::stack::ids::InterfaceId;
use crate::stack::net::Net;
use crate::stack::path::Path;
use crate::tcp::{PathMss, Steps};

// RFC 9293 §3.7.1: the fixed headers that the MSS leaves out.
const V4_HEADERS: usize = 40;
const V6_HEADERS: usize = 60;

impl Net {
    /// The text and option bytes of the largest segment that may come in on an interface: what an MSS option
    /// says, however narrow the path is on which others leave (RFC 9293 §3.7.1 MUST-67, RFC 8200 §8.3).
    pub(super) fn link_mss(&self, on: InterfaceId, ip: IpAddr) -> u16 {
        mss_of(ip, self.interfaces[on.index()].mtu_to(ip))
    }

    /// Sizes to fall back to on a path that drops what is larger and says nothing (RFC 4821 §7.2, §7.7).
    pub(super) fn mss_steps(&self, ip: IpAddr) -> Steps {
        let least = self.paths.least(ip);
        [1280, 576, least].map(|mtu| mss_of(ip, mtu.max(least)))
    }
}

/// The same of a path, as a connection over it takes it.
pub(super) fn path_mss(path: &Path) -> PathMss {
    let ip = path.flow.src;
    PathMss {
        sure: mss_of(ip, path.mtu()),
        most: mss_of(ip, path.most()),
    }
}

/// The text and option bytes that a segment of this family holds within `mtu`.
pub(super) fn mss_of(ip: IpAddr, mtu: usize) -> u16 {
    u16::try_from(mtu.saturating_sub(headers_of(ip))).unwrap_or(u16::MAX)
}

/// The fixed headers of a segment of this family.
pub(super) const fn headers_of(ip: IpAddr) -> usize {
    if ip.is_ipv4() { V4_HEADERS } else { V6_HEADERS }
}

/// RFC 9293 §3.7.1 MUST-15.
pub(super) fn default_mss(ip: IpAddr) -> u16 {
    if ip.is_ipv4() { 536 } else { 1220 }
}
