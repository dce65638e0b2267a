//! How much a transport may send in one piece, and is handed at most.
//!
//! RFC 1122 §3.3.2, §3.3.3. *Owns* the answers. *Does not* own what they follow from: the paths, and the bound of what is put together.

use core::net::IpAddr;

use super::RouteError;
use crate::stack::Stack;
use crate::stack::ids::InterfaceId;
use crate::stack::ip;

impl Stack {
    /// MMS_S (RFC 1122 §3.3.3): bytes behind an IP header without options that get to `to` in one piece, as far as is known of its
    /// path. `on` is the interface of a link-local address or a group, and holds any other to that interface.
    ///
    /// # Errors
    /// [`RouteError`] when no way leads there.
    pub fn mms_s(&self, to: IpAddr, on: Option<InterfaceId>) -> Result<usize, RouteError> {
        let route = self.net.route(to, on)?;
        Ok(route.mtu.saturating_sub(ip::header_len(to)))
    }

    /// MMS_R (RFC 1122 §3.3.2): bytes behind the IP header of the largest datagram that is taken, of IPv6 or of IPv4: as large as any
    /// may be, unless [`Config::reassembly_bytes`](crate::stack::Config::reassembly_bytes) is less.
    pub fn mms_r(&self, v6: bool) -> usize {
        let most = match v6 {
            true => ip::longest(core::net::Ipv6Addr::UNSPECIFIED.into()),
            false => ip::longest(core::net::Ipv4Addr::UNSPECIFIED.into()),
        };
        most.min(self.config.reassembly_bytes)
    }
}
