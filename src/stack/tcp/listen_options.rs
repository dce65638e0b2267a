//! How a listener listens: its settings.

use core::time::Duration;

use crate::stack::demux::Sharing;
use crate::stack::ids::InterfaceId;
use crate::tcp::TcpOptions;

/// How a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    pub(crate) backlog: usize,
    pub(crate) dual_stack: bool,
    pub(crate) syn_cookies: bool,
    pub(crate) tcp: TcpOptions,
    pub(crate) fast_open: usize,
    pub(crate) reuse_port: bool,
    pub(crate) interface: Option<InterfaceId>,
    pub(crate) any_port: bool,
    pub(crate) hold: Option<Duration>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self::new(TcpOptions::default())
    }
}

impl ListenOptions {
    /// A listener whose connections start with these settings.
    pub const fn new(tcp: TcpOptions) -> Self {
        Self {
            backlog: 4096,
            dual_stack: false,
            syn_cookies: true,
            tcp,
            fast_open: 0,
            reuse_port: false,
            interface: None,
            any_port: false,
            hold: None,
        }
    }

    /// Connections that may wait to be accepted, and as many that may be half open beside them.
    /// Default 4096 (Linux's `net.core.somaxconn`); at least one.
    #[must_use]
    pub fn backlog(self, backlog: usize) -> Self {
        Self {
            backlog: backlog.max(1),
            ..self
        }
    }

    /// The backlog.
    pub const fn backlog_setting(&self) -> usize {
        self.backlog
    }

    /// Is a SYN that finds as many half-open connections as the backlog answered with a cookie
    /// (RFC 4987 §3.6), which needs no memory? Default yes, as Linux's `net.ipv4.tcp_syncookies`;
    /// without it such a SYN is dropped. A connection made by a cookie has the MSS of a table, and
    /// window scale and SACK only when the peer sends timestamps; an ACK of it that is lost is not
    /// asked for again, so that a peer which waits for the first word may wait for long.
    #[must_use]
    pub fn syn_cookies(self, syn_cookies: bool) -> Self {
        Self {
            syn_cookies,
            ..self
        }
    }

    /// Lets clients that were given a cookie open connections by a SYN with text (RFC 7413; Linux's `TCP_FASTOPEN`): the user is
    /// given the connection and the text at once, and may answer before the handshake is over. So many may be in that
    /// state; beyond it, and while SYNs are answered with SYN cookies, handshakes are ordinary ones. Default 0: off, for
    /// a SYN may come twice, and its text with it (§2.1): it is for requests that may be repeated.
    #[must_use]
    pub fn fast_open(self, pending: usize) -> Self {
        Self {
            fast_open: pending,
            ..self
        }
    }

    /// Does it take connections to every port of its address, but for those that others listen on (default no)? The port of the
    /// address is 0 then. With the unspecified address, and an interface that takes packets for any
    /// ([`InterfaceConfig::accept_foreign`](crate::stack::InterfaceConfig::accept_foreign)), everything that hosts behind that
    /// interface connect to comes here: what a transparent proxy needs.
    #[must_use]
    pub fn any_port(self, any_port: bool) -> Self {
        Self { any_port, ..self }
    }

    /// Are SYNs held for so long at most (default no: they are answered at once), until the user admits or refuses each
    /// ([`Stack::tcp_request`](crate::Stack::tcp_request))? The [`backlog`](Self::backlog) bounds how many; what comes beyond it
    /// is dropped, without a cookie, and comes again. One whose time is over is forgotten without an answer.
    #[must_use]
    pub fn hold(self, at_most: Option<Duration>) -> Self {
        Self {
            hold: at_most,
            ..self
        }
    }

    /// Does `[::]` take IPv4 connections as well? Default no.
    #[must_use]
    pub fn dual_stack(self, dual_stack: bool) -> Self {
        Self { dual_stack, ..self }
    }

    /// Are SYNs answered with cookies where the backlog is full?
    pub const fn syn_cookies_setting(&self) -> bool {
        self.syn_cookies
    }

    /// Connections by fast open whose handshake may be not over.
    pub const fn fast_open_setting(&self) -> usize {
        self.fast_open
    }

    /// Are both families listened on?
    pub const fn dual_stack_setting(&self) -> bool {
        self.dual_stack
    }

    /// Does it take connections to every port?
    pub const fn any_port_setting(&self) -> bool {
        self.any_port
    }

    /// How long SYNs are held, if they are.
    pub const fn hold_setting(&self) -> Option<Duration> {
        self.hold
    }

    /// What its connections start with.
    pub const fn tcp_setting(&self) -> &TcpOptions {
        &self.tcp
    }

    /// May other listeners have the same address and port, if they ask for it too (default no; `SO_REUSEPORT`)? Each connection is
    /// one listener's, by a hash that nobody can choose, as long as none comes or goes. What waits at one that is closed
    /// is not handed on to the others, nor is the ACK of a SYN cookie that another one sent. At most 256 share a port.
    #[must_use]
    pub fn reuse_port(self, shared: bool) -> Self {
        Self {
            reuse_port: shared,
            ..self
        }
    }

    /// The only interface that it takes connections on (default: any; `SO_BINDTODEVICE`), and that they are held to.
    /// Listeners of different interfaces may have the same port. What this host sends to itself comes in on
    /// [`InterfaceId::LOOPBACK`].
    #[must_use]
    pub fn interface(self, on: Option<InterfaceId>) -> Self {
        Self {
            interface: on,
            ..self
        }
    }

    /// May others have its port?
    pub const fn reuse_port_setting(&self) -> bool {
        self.reuse_port
    }

    /// The only interface that it takes connections on.
    pub const fn interface_setting(&self) -> Option<InterfaceId> {
        self.interface
    }

    /// How what it listens on is claimed.
    pub(super) const fn claim(&self) -> (Sharing, Option<InterfaceId>) {
        let sharing = Sharing {
            address: false,
            port: self.reuse_port,
        };
        (sharing, self.interface)
    }
}
