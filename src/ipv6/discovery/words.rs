//! What a link's discovery is told, and what it wants done.
//!
//! *Owns* the words, no state. *Does not* judge.

use core::net::Ipv6Addr;
use core::time::Duration;

use super::Kind;
use crate::base::{Cidr, Instant};
use crate::ipv6::ndp::{Options, Preference, RouterFlags};

/// What a user decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Are routers asked for and listened to?
    pub(crate) routers: bool,
    /// Are addresses made of what they say (RFC 4862 §5.5)?
    pub(crate) addresses: bool,
    /// Temporary ones as well (RFC 8981)?
    pub(crate) temporary: bool,
    /// Is a link-local address made with a stable opaque identifier (RFC 7217)?
    pub(crate) link_local: bool,
    /// DupAddrDetectTransmits.
    pub(crate) dad_transmits: u8,
    /// The link's own MTU.
    pub(crate) mtu: u32,
}

/// What a router advertisement says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advertisement<'a> {
    pub(crate) hop_limit: u8,
    pub(crate) flags: RouterFlags,
    /// In seconds.
    pub(crate) lifetime: u16,
    /// In milliseconds.
    pub(crate) reachable_time: u32,
    /// In milliseconds.
    pub(crate) retrans_timer: u32,
    pub(crate) options: Options<'a>,
}

/// What routers say of the link itself; `None`: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    pub(crate) hop_limit: Option<u8>,
    /// BaseReachableTime.
    pub(crate) reachable: Option<Duration>,
    /// RetransTimer.
    pub(crate) retrans: Option<Duration>,
    pub(crate) mtu: Option<u16>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask for routers; [`solicited`](super::Discovery::solicited) or [`not_solicited`](super::Discovery::not_solicited) says what became of it.
    Solicit,
    /// Use this address, once nobody else has it. [`on_duplicate`](super::Discovery::on_duplicate) says so when somebody has.
    Form {
        cidr: Cidr,
        kind: Kind,
        preferred: Instant,
        valid: Instant,
    },
    /// It holds until then. When `valid` has come it is gone without a word.
    Renew {
        address: Ipv6Addr,
        preferred: Instant,
        valid: Instant,
    },
    /// It is no longer one of ours.
    Remove(Ipv6Addr),
    /// Packets to this prefix go over this router, or are on the link; known before, it is preferred as this says now.
    AddRoute {
        to: Cidr,
        via: Option<Ipv6Addr>,
        preference: Preference,
    },
    RemoveRoute {
        to: Cidr,
        via: Option<Ipv6Addr>,
    },
    /// The link is as this says from now on.
    Link(Parameters),
    /// A default router that was not known.
    RouterFound(Ipv6Addr),
    /// It is none any more.
    RouterLost(Ipv6Addr),
    /// A default router tells of a prefix that addresses are made of, or says that it is none of its own any more.
    Tells {
        router: Ipv6Addr,
        prefix: Ipv6Addr,
        still: bool,
    },
    /// The servers or domains of DNS are others.
    Dns,
    /// It is another link: what others told of the last one does not hold either.
    OtherLink,
    /// A router says that there are servers of DHCPv6, by M or O (RFC 4861 §4.2: the one includes the other).
    AskServers,
}

impl Action {
    /// Does a prefix come or go with it, of which addresses are made or that is on the link?
    pub(crate) const fn is_of_prefixes(&self) -> bool {
        matches!(
            self,
            Self::AddRoute { via: None, .. }
                | Self::RemoveRoute { via: None, .. }
                | Self::Form {
                    kind: Kind::Stable,
                    ..
                }
        )
    }
}

/// There were so many advertisements that this one was not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;
