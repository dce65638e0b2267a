//! How an interface passes on what is not for us.
//!
//! RFC 1812 §5, RFC 8200 §3, RFC 3704. *Owns* the settings. *Does not* apply them.

/// How packets that come in on an interface, and are for other hosts, are passed on: none are without
/// [`InterfaceConfig::forwarding`](crate::stack::InterfaceConfig::forwarding). By which interface they leave routes say alone, as with Linux's
/// `net.ipv4.conf.X.forwarding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForwardOptions {
    pub(crate) v4: bool,
    pub(crate) v6: bool,
    pub(crate) redirects: bool,
    pub(crate) reverse_path: ReversePath,
    pub(crate) accept_routers: bool,
}

/// What the route back to a packet's sender must be (RFC 3704 §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReversePath {
    /// Nobody looks.
    #[default]
    Off,
    /// There is one, by whatever interface, the default route included (RFC 3704 §2.4; Linux's `rp_filter` 2).
    Loose,
    /// The one in use leaves by the interface that the packet came in on (RFC 3704 §2.2; Linux's `rp_filter` 1).
    Strict,
}

impl Default for ForwardOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ForwardOptions {
    /// Packets of both families are passed on.
    pub const fn new() -> Self {
        Self {
            v4: true,
            v6: true,
            redirects: true,
            reverse_path: ReversePath::Off,
            accept_routers: false,
        }
    }

    /// Are IPv4 packets passed on (default yes)?
    #[must_use]
    pub const fn v4(self, forwarded: bool) -> Self {
        Self {
            v4: forwarded,
            ..self
        }
    }

    /// Are IPv6 packets passed on (default yes)? The interface is then a router's for its neighbours: its advertisements
    /// say so, and it is in the groups of all routers (RFC 4861 §6.2.2, RFC 4291 §2.8). Router advertisements are not sent.
    #[must_use]
    pub const fn v6(self, forwarded: bool) -> Self {
        Self {
            v6: forwarded,
            ..self
        }
    }

    /// Are neighbours that send over us what goes on to another neighbour told of that (RFC 792, RFC 4861 §8.2; default
    /// yes, Linux's `send_redirects`)?
    #[must_use]
    pub const fn redirects(self, sent: bool) -> Self {
        Self {
            redirects: sent,
            ..self
        }
    }

    /// What the route back to the sender must be (default [`ReversePath::Off`], Linux's own default of `rp_filter`).
    #[must_use]
    pub const fn reverse_path(self, checked: ReversePath) -> Self {
        Self {
            reverse_path: checked,
            ..self
        }
    }

    /// Is an interface that passes IPv6 packets on a host as well that heeds routers, where
    /// [`router_discovery`](crate::stack::InterfaceConfig::router_discovery) is on (RFC 4861 §6.2.7 has routers look at advertisements alone;
    /// default no; Linux's `accept_ra` 2)?
    #[must_use]
    pub const fn accept_routers(self, heeded: bool) -> Self {
        Self {
            accept_routers: heeded,
            ..self
        }
    }
}
