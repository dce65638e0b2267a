//! What a client says of itself, what it asks for, and how patient it is.
//!
//! RFC 2131 §4.1 (back-off), §4.4.5 (renewing); RFC 4361 §6.1 (client identifiers). *Owns* the settings and
//! their bounds; `docs/choices.md` has the source of each default.

use core::time::Duration;

use super::message::FIXED_LEN;
use super::options::code;
use crate::base::MacAddr;

/// The settings of a [`Client`](super::Client).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// chaddr: the interface's link address.
    pub mac: MacAddr,
    /// Option 61, in every message. Default: none of the user's own, which is [`ClientId::of_link`].
    pub client_id: Option<ClientId>,
    /// Option 12, the name that servers may enter into a DNS: 1 to 255 bytes. Default: none.
    pub host_name: Option<String>,
    /// Options to ask for beside those that a [`Lease`](super::Lease) has fields for, 128 at most; the answers are
    /// in [`Lease::others`](super::Lease::others). Default: none.
    pub also_request: Vec<u8>,
    /// Ask for answers by broadcast as long as there is no address (bit B). Default: yes.
    pub broadcast: bool,
    /// The link's MTU in bytes, 576 at least. Servers are told it as the longest message, and longer ones
    /// are refused; an interface MTU above it is lowered to it. Default: 1500.
    pub mtu: u16,
    /// The smallest interface MTU that is believed, bytes: 68 (RFC 2132 §5.1) to `mtu`. Below 1280 there is no IPv6 on a
    /// link (RFC 8200 §5). Default: 576.
    pub min_mtu: u16,
    /// The shortest lease that is taken. A renewal time below half of it is not believed. Default: 10 s.
    pub min_lease: Duration,
    /// The first DISCOVER or REQUEST waits a random time up to this. Default: 0.
    pub start_delay: Duration,
    /// The first wait for an answer, give or take a quarter, at most a second; doubled each time. Default: 4 s.
    pub retransmit_first: Duration,
    /// The longest wait for an answer, give or take the same. Default: 64 s.
    pub retransmit_max: Duration,
    /// How often an offer is asked for before the search begins anew, once at least; after as many DISCOVERs without an
    /// answer the user is told. Default: 4, which is 60 s.
    pub request_tries: u32,
    /// How often a kept address, or after the link came up one that is held, is asked for before a search begins. Default: 2, which is 12 s.
    pub reboot_tries: u32,
    /// The least time between two messages that extend a lease. Default: 60 s.
    pub renew_interval: Duration,
    /// How long to wait after an address was declined. Default: 10 s.
    pub decline_wait: Duration,
}

impl Config {
    /// The defaults, for the interface with this link address.
    pub fn new(mac: MacAddr) -> Self {
        Self {
            mac,
            client_id: None,
            host_name: None,
            also_request: Vec::new(),
            broadcast: true,
            mtu: 1500,
            min_mtu: 576,
            min_lease: Duration::from_secs(10),
            start_delay: Duration::ZERO,
            // RFC 2131 §4.1: 4 s, doubled up to 64 s, each by a random second earlier or later.
            retransmit_first: Duration::from_secs(4),
            retransmit_max: Duration::from_secs(64),
            request_tries: 4,
            reboot_tries: 2,
            // RFC 2131 §4.4.5: half of the time that is left, down to 60 s.
            renew_interval: Duration::from_secs(60),
            // RFC 2131 §3.1: ten seconds at least before the client begins anew.
            decline_wait: Duration::from_secs(10),
        }
    }

    /// Option 55: what is asked for, each code once.
    pub(super) fn requested(&self) -> Vec<u8> {
        let mut codes = REQUESTED.to_vec();
        codes.extend(self.also().filter(|code| !REQUESTED.contains(code)));
        codes
    }

    /// [`Config::also_request`], each code once: a lease is no longer than its message.
    pub(super) fn also(&self) -> impl Iterator<Item = u8> + '_ {
        let codes = self.also_request.iter().enumerate();
        let first = codes.filter(|&(at, code)| !self.also_request[..at].contains(code));
        first.map(|(_, &code)| code)
    }

    /// Bytes of the REQUEST that follows an OFFER, which has the most options.
    fn longest_message(&self) -> usize {
        // The message's type, the address, the server, the longest message, and the end.
        let always = 3 + 6 + 6 + 4 + 1;
        let name = self.host_name.as_ref().map_or(0, |name| 2 + name.len());
        let id = self.client_id.as_ref().map_or(OF_LINK_LEN, |id| id.0.len());
        FIXED_LEN + always + name + 2 + id + 2 + self.requested().len()
    }

    /// Can a client keep to it?
    ///
    /// # Errors
    /// [`ConfigError`] when a setting is out of its bounds.
    pub fn check(&self) -> Result<(), ConfigError> {
        let name = self.host_name.as_ref().map(String::len);
        if let Some(len) = name.filter(|len| !(1..=255).contains(len)) {
            return Err(ConfigError::HostName { len });
        }
        if self.also_request.len() > MAX_ALSO {
            let count = self.also_request.len();
            return Err(ConfigError::AlsoRequest { count });
        }
        if self.mtu < MIN_MESSAGE {
            return Err(ConfigError::Mtu { mtu: self.mtu });
        }
        let (min_mtu, mtu) = (self.min_mtu, self.mtu);
        if !(MIN_LINK_MTU..=mtu).contains(&min_mtu) {
            return Err(ConfigError::MinMtu { min_mtu, mtu });
        }
        if self.request_tries == 0 {
            return Err(ConfigError::RequestTries);
        }
        let len = self.longest_message();
        if len > MAX_SENT {
            return Err(ConfigError::Message { len });
        }
        let times = [
            ("min_lease", self.min_lease),
            ("retransmit_first", self.retransmit_first),
            ("retransmit_max", self.retransmit_max),
            ("renew_interval", self.renew_interval),
            ("decline_wait", self.decline_wait),
        ];
        for (what, time) in times {
            if time < Duration::from_secs(1) {
                return Err(ConfigError::Short { what, time });
            }
        }
        Ok(())
    }
}

/// Options that a lease has fields for. RFC 3442 "DHCP Client Behavior": the classless routes before the routers.
const REQUESTED: [u8; 8] = [
    code::SUBNET_MASK,
    code::CLASSLESS_ROUTES,
    code::ROUTERS,
    code::DNS_SERVERS,
    code::DOMAIN_NAME,
    code::INTERFACE_MTU,
    code::RENEWAL_TIME,
    code::REBINDING_TIME,
];

/// RFC 2132 §9.10: nobody may refuse a message of this length.
const MIN_MESSAGE: u16 = 576;

/// RFC 2132 §5.1: the least interface MTU that can be said.
const MIN_LINK_MTU: u16 = 68;

/// RFC 2131 §2: what every server takes, options of 312 bytes with the cookie: a datagram of 576.
const MAX_SENT: usize = 548;

/// Bytes of [`ClientId::of_link`].
const OF_LINK_LEN: usize = 15;

/// The own list and this many codes fit into one option.
const MAX_ALSO: usize = 128;

/// A [`Config`] that no client can keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// [`Config::host_name`] is empty or does not fit into its option.
    #[error("host name of {len} bytes is not one of 1 to 255")]
    HostName {
        /// Its length in bytes.
        len: usize,
    },
    /// [`Config::also_request`] is too long.
    #[error("{count} more options to request are above 128")]
    AlsoRequest {
        /// How many there are.
        count: usize,
    },
    /// [`Config::mtu`] is too small.
    #[error("mtu {mtu} is below 576, which every dhcp client takes")]
    Mtu {
        /// The MTU in bytes.
        mtu: u16,
    },
    /// [`Config::min_mtu`] is below the least of RFC 2132 §5.1, or above [`Config::mtu`].
    #[error("smallest mtu {min_mtu} is not one of 68 to {mtu}, the link's")]
    MinMtu {
        /// The smallest MTU in bytes.
        min_mtu: u16,
        /// The link's.
        mtu: u16,
    },
    /// [`Config::request_tries`] is 0: an offer would never be asked for, and the search never wait.
    #[error("an offer must be asked for once at least")]
    RequestTries,
    /// [`Config::client_id`], [`Config::host_name`] and [`Config::also_request`] do not fit into a message that every
    /// server takes, 548 bytes (RFC 2131 §2: a datagram of 576).
    #[error("messages of {len} bytes are above 548, which every dhcp server takes")]
    Message {
        /// The longest message's length in bytes.
        len: usize,
    },
    /// A time that would send messages as fast as the network carries them.
    #[error("{what} of {time:?} is below 1 s")]
    Short {
        /// The setting's name.
        what: &'static str,
        /// The time that was given.
        time: Duration,
    },
}

/// Option 61: who the client is, for a server that keeps an address for it. 2 to 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(Vec<u8>);

/// Bytes that are no client identifier: RFC 2132 §9.14 has a type and one byte at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("client identifier of {len} bytes is not one of 2 to 255")]
pub struct ClientIdError {
    /// How many bytes there are.
    pub len: usize,
}

impl ClientId {
    /// An identifier of any form: the type octet and what follows.
    ///
    /// # Errors
    /// [`ClientIdError`] unless there are 2 to 255 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, ClientIdError> {
        let len = bytes.len();
        if (2..=255).contains(&len) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(ClientIdError { len })
        }
    }

    /// An identity association and a DUID (RFC 4361 §6.1), the same as in DHCPv6.
    ///
    /// # Errors
    /// [`ClientIdError`] unless the DUID has 1 to 250 bytes.
    pub fn from_duid(iaid: u32, duid: &[u8]) -> Result<Self, ClientIdError> {
        if duid.is_empty() {
            return Err(ClientIdError { len: 5 });
        }
        Self::new(&[&[NODE_SPECIFIC][..], &iaid.to_be_bytes(), duid].concat())
    }

    /// RFC 4361's form for a host that keeps nothing: a DUID of the link address (RFC 8415 §11.4), and of its
    /// last four bytes the identity association.
    pub fn of_link(mac: MacAddr) -> Self {
        let [a, b, c, d, e, f] = mac.octets();
        // DUID-LL is type 3; 1 is Ethernet.
        Self(vec![
            NODE_SPECIFIC,
            c,
            d,
            e,
            f,
            0,
            3,
            0,
            1,
            a,
            b,
            c,
            d,
            e,
            f,
        ])
    }

    /// The older form, for servers that know the client by it: 1 and the link address (RFC 2132 §9.14).
    pub fn of_hardware(mac: MacAddr) -> Self {
        Self([&[1][..], &mac.octets()].concat())
    }

    /// The option's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// RFC 4361 §6.1: the type of an identifier made of an IAID and a DUID.
const NODE_SPECIFIC: u8 = 255;
