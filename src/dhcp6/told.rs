//! What is believed of an answer.
//!
//! RFC 3646 §3, §4 (DNS), RFC 8415 §21.23 (when to ask again). *Owns* the values and their bounds. *Does not* know whether the
//! answer is one: `client` does.

use core::net::Ipv6Addr;
use core::time::Duration;

use super::message::{Message, code};
use crate::ipv6::ndp::SearchDomains;

/// Servers of DNS at most, as many as routers may tell of.
pub const MAX_SERVERS: usize = 8;
/// Search domains at most.
pub const MAX_DOMAINS: usize = 8;
/// IRT_DEFAULT, RFC 8415 §7.6.
const REFRESH_DEFAULT: Duration = Duration::from_secs(86_400);
/// IRT_MINIMUM, RFC 8415 §7.6.
const REFRESH_LEAST: u32 = 600;

/// What a server told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Information {
    /// Recursive servers of DNS, the best first, 8 at most (RFC 3646 §3).
    pub dns_servers: Vec<Ipv6Addr>,
    /// Search domains without a dot at the end, 8 at most (RFC 3646 §4).
    pub dns_domains: Vec<String>,
    /// After how long it is asked for again, 600 s at least; `None`: never (RFC 8415 §21.23).
    pub refresh: Option<Duration>,
}

impl Information {
    /// An option that is not what it should be says nothing.
    pub(super) fn read(message: &Message<'_>) -> Self {
        let servers = message.option(code::DNS_SERVERS).unwrap_or_default();
        let (servers, rest) = servers.as_chunks::<16>();
        let mut dns_servers = Vec::new();
        for &octets in servers.iter().filter(|_| rest.is_empty()) {
            let server = Ipv6Addr::from(octets);
            if is_a_host(server) && !dns_servers.contains(&server) {
                dns_servers.push(server);
            }
            if dns_servers.len() >= MAX_SERVERS {
                break;
            }
        }
        let mut dns_domains: Vec<String> = Vec::new();
        let names = message.option(code::DOMAIN_LIST).unwrap_or_default();
        for name in SearchDomains::new(names) {
            // RFC 1035 §2.3.3: in whatever case.
            if !dns_domains.iter().any(|d| d.eq_ignore_ascii_case(&name)) {
                dns_domains.push(name);
            }
            if dns_domains.len() >= MAX_DOMAINS {
                break;
            }
        }
        Self {
            dns_servers,
            dns_domains,
            refresh: match message.number(code::REFRESH_TIME) {
                None => Some(REFRESH_DEFAULT),
                // RFC 8415 §7.7.
                Some(u32::MAX) => None,
                Some(secs) => Some(Duration::from_secs(secs.max(REFRESH_LEAST).into())),
            },
        }
    }

    /// Does it say the same of DNS?
    pub(super) fn agrees(&self, other: &Self) -> bool {
        (&self.dns_servers, &self.dns_domains) == (&other.dns_servers, &other.dns_domains)
    }
}

/// Can it be another host's address?
fn is_a_host(ip: Ipv6Addr) -> bool {
    let nobody = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast();
    !nobody && ip.to_ipv4_mapped().is_none()
}
