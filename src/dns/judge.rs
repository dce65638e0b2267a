//! What of a reply answers the question.
//!
//! RFC 1034 §3.6.2 (aliases), RFC 2181 §5.4.1, §10.1, RFC 2308 §2. *Owns* the walk along the aliases. Records beside it are not looked at,
//! whatever they say: nobody asked for them.

use core::net::IpAddr;
use core::time::Duration;

use super::lookup::Family;
use super::message::{Code, Data, Record, Reply};
use super::name::Name;

/// Aliases in a row that are followed.
const MAX_CHAIN: usize = 8;
/// Addresses of a name that are kept.
pub(super) const MAX_ADDRESSES: usize = 32;

/// What a question has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Addresses, at least one.
    Addresses(Vec<IpAddr>),
    /// The name has none of this family.
    NoAddress,
    /// There is no such name.
    NoName,
}

/// A finding and how long it holds; zero is for this one time.
pub(super) type Found = (Finding, Duration);

/// What a reply that was asked for says of `name`; `None` when it is of no use.
pub(super) fn judge(reply: &Reply, name: &Name, family: Family) -> Option<Found> {
    let records = &reply.records;
    let mut at = name;
    let mut life = Duration::MAX;
    for _ in 0..=MAX_CHAIN {
        let addresses = addresses(records, at, family);
        if let Some(shortest) = addresses.iter().map(|(_, ttl)| *ttl).min() {
            let mut found = Vec::new();
            for (address, _) in addresses {
                if found.len() < MAX_ADDRESSES && !found.contains(&address) {
                    found.push(address);
                }
            }
            return Some((Finding::Addresses(found), life.min(shortest)));
        }
        let alias = records.iter().find_map(|record| match &record.data {
            Data::Alias(target) if record.owner == *at => Some((target, record.ttl)),
            _ => None,
        });
        let Some((target, ttl)) = alias else {
            return nothing(reply, at, life);
        };
        (at, life) = (target, life.min(ttl));
    }
    // More aliases than anybody needs, or a circle.
    None
}

fn addresses(records: &[Record], owner: &Name, family: Family) -> Vec<(IpAddr, Duration)> {
    let owned = records.iter().filter(|record| record.owner == *owner);
    let all = owned.filter_map(|record| match record.data {
        Data::Address(address) if Family::of(address) == family => Some((address, record.ttl)),
        _ => None,
    });
    all.collect()
}

/// RFC 2308 §2: there is nothing at the end of the aliases. How long says the SOA record, of a zone that `at` is in.
fn nothing(reply: &Reply, at: &Name, life: Duration) -> Option<Found> {
    let authority = reply.authority.as_ref();
    let zone = authority.filter(|authority| at.is_in(&authority.zone));
    let life = zone.map_or(Duration::ZERO, |zone| zone.ttl.min(life));
    match reply.code {
        Code::NoName => Some((Finding::NoName, life)),
        // RFC 2308 §2.2: a referral is no answer, and servers that serve nobody give one to all.
        Code::NoError if reply.is_answer || zone.is_some() => Some((Finding::NoAddress, life)),
        _ => None,
    }
}
