//! What an interface's routers say.
//!
//! *Owns* nothing: the stack does. *Does not* act on it: servers of DNS are told, for who resolves names.

use std::net::Ipv6Addr;

use super::Interface;
use crate::ipv6::ndp::RouterFlags;
use crate::stack::RouterInfo;

impl Interface {
    /// The default routers that were heard, in the order in which they were found
    /// ([`InterfaceConfig::router_discovery`](crate::stack::InterfaceConfig::router_discovery)).
    pub fn routers(&self) -> Vec<RouterInfo> {
        let core = self.shared.lock();
        core.stack.routers(self.id()).collect()
    }

    /// The recursive DNS servers that routers told of (RFC 8106 §5.1), as long as they last; a link-local one is on the
    /// interface's link.
    pub fn told_dns_servers(&self) -> Vec<Ipv6Addr> {
        let core = self.shared.lock();
        core.stack.told_dns_servers(self.id()).collect()
    }

    /// The search domains that they told of (RFC 8106 §5.2), without a dot at the end.
    pub fn told_dns_domains(&self) -> Vec<String> {
        let core = self.shared.lock();
        let domains = core.stack.told_dns_domains(self.id());
        domains.map(str::to_owned).collect()
    }

    /// M and O of the last router advertisement (RFC 4861 §4.2): what DHCPv6 would tell.
    pub fn router_flags(&self) -> RouterFlags {
        let core = self.shared.lock();
        core.stack.router_flags(self.id())
    }
}
