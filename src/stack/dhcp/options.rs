//! How an interface gets its IPv4 address by DHCP.
//!
//! *Owns* what of a lease is used, and the settings of the client but for what its interface says. *Does not* check
//! them: [`crate::dhcp::Config::check`] does, when the interface is made.

use core::net::Ipv4Addr;

use crate::base::MacAddr;
use crate::dhcp::{ClientId, Config, ConfigError};

/// The settings of an interface's DHCP client.
///
/// ```
/// use netloom::stack::DhcpOptions;
/// use std::time::Duration;
///
/// let options = DhcpOptions::new().host_name("loom").client_with(|client| {
///     client.start_delay = Duration::from_secs(10);
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct DhcpOptions {
    pub(crate) client: Config,
    pub(crate) previous: Option<Ipv4Addr>,
    pub(crate) use_routes: bool,
    pub(crate) use_mtu: bool,
}

impl DhcpOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            // The interface's own take its place.
            client: Config::new(MacAddr::ZERO),
            previous: None,
            use_routes: true,
            use_mtu: true,
        }
    }

    /// An address of an earlier run (default: none). It is asked whether that is still good (RFC 2131 §3.2, INIT-REBOOT), which
    /// takes two messages where a search takes four.
    pub fn previous(self, address: Option<Ipv4Addr>) -> Self {
        Self {
            previous: address,
            ..self
        }
    }

    /// The name that servers may enter into a DNS, 1 to 255 bytes (option 12; default: none).
    pub fn host_name(mut self, name: impl Into<String>) -> Self {
        self.client.host_name = Some(name.into());
        self
    }

    /// Who the client is to servers (option 61; default: [`ClientId::of_link`]).
    pub fn client_id(mut self, id: ClientId) -> Self {
        self.client.client_id = Some(id);
        self
    }

    /// Options to ask for beside those that a lease has fields for, 128 at most (default: none). The answers are in
    /// [`Lease::others`](crate::dhcp::Lease::others).
    pub fn also_request(mut self, codes: impl Into<Vec<u8>>) -> Self {
        self.client.also_request = codes.into();
        self
    }

    /// Are the routes and routers of a lease used (default yes)?
    pub fn use_routes(self, used: bool) -> Self {
        Self {
            use_routes: used,
            ..self
        }
    }

    /// Is the MTU of a lease used (default yes)? It never exceeds the device's, nor, where the interface has IPv6
    /// addresses, falls below 1280 (RFC 8200 §5).
    pub fn use_mtu(self, used: bool) -> Self {
        Self {
            use_mtu: used,
            ..self
        }
    }

    /// Changes any setting of the client. Its link address and MTU are the interface's, whatever is said here.
    pub fn client_with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.client);
        self
    }

    /// The client's settings on an interface with this MAC address and MTU.
    pub(crate) fn client(&self, mac: MacAddr, mtu: usize) -> Config {
        Config {
            mac,
            mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
            ..self.client.clone()
        }
    }

    /// Refuses what no client can keep to over a link of this MTU.
    pub(crate) fn check(&self, mtu: usize) -> Result<(), ConfigError> {
        self.client(MacAddr::ZERO, mtu).check()
    }
}

impl Default for DhcpOptions {
    fn default() -> Self {
        Self::new()
    }
}
