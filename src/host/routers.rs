//! What a host's routers say.
//!
//! *Owns* nothing: the stack does. *Does not* act on it: servers of DNS are told, for who resolves names.

use std::net::Ipv6Addr;

use super::Host;
use crate::ipv6::ndp::RouterFlags;
use crate::stack::RouterInfo;

impl Host {
    /// The default routers that were heard, in the order in which they were found
    /// ([`InterfaceConfig::router_discovery`](crate::stack::InterfaceConfig::router_discovery)).
    pub fn routers(&self) -> Vec<RouterInfo> {
        let core = self.shared.lock();
        core.stack.routers(core.interface).collect()
    }

    /// The recursive DNS servers that routers told of (RFC 8106 §5.1), as long as they last; a link-local one is on the host's
    /// link.
    pub fn told_dns_servers(&self) -> Vec<Ipv6Addr> {
        let core = self.shared.lock();
        core.stack.told_dns_servers(core.interface).collect()
    }

    /// The search domains that they told of (RFC 8106 §5.2), without a dot at the end.
    pub fn told_dns_domains(&self) -> Vec<String> {
        let core = self.shared.lock();
        let domains = core.stack.told_dns_domains(core.interface);
        domains.map(str::to_owned).collect()
    }

    /// M and O of the last router advertisement (RFC 4861 §4.2): what DHCPv6 would tell.
    pub fn router_flags(&self) -> RouterFlags {
        let core = self.shared.lock();
        core.stack.router_flags(core.interface)
    }
}
