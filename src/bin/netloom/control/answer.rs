//! What a running host answers, as JSON.
//!
//! *Owns* the names of the fields, which are those of `ip -json` where that has them. *Does not* listen.

use std::io;

use netloom::Instant;
use netloom::host::{Host, Interface};
use netloom::stack::{AddressInfo, AddressOptions, AddressState, NeighbourInfo, Origin, RouteInfo};
use serde_json::{Value, json};

use super::request::{Request, What};

/// Does what is asked; what there is to say of it.
pub(super) fn to(host: &Host, request: &Request) -> Result<Value, String> {
    let mut all = host.interfaces();
    if let Some(number) = request.on {
        all.retain(|interface| interface.id().scope() == number);
        if all.is_empty() {
            return Err(format!("there is no interface {number}"));
        }
    }
    let now = host.now();
    let list = |each: &dyn Fn(&Interface) -> Vec<Value>| Ok(all.iter().flat_map(each).collect());
    match &request.what {
        What::Addresses => list(&|interface| {
            let infos = interface.address_infos().into_iter();
            infos.map(|info| address(interface, &info, now)).collect()
        }),
        What::Routes => list(&|one| one.routes().iter().map(route).collect()),
        What::Neighbours => list(&|one| one.neighbours().iter().map(neighbour).collect()),
        What::Leases => list(&|interface| lease(interface).into_iter().collect()),
        What::Links => list(&|interface| vec![link(interface)]),
        change => {
            let first = all.first().ok_or("there is no interface")?;
            make(first, change).map_err(|error| error.to_string())?;
            Ok(Value::Null)
        }
    }
}

fn make(interface: &Interface, change: &What) -> io::Result<()> {
    match *change {
        What::AddAddress(cidr) => interface.add_address(cidr, AddressOptions::new()),
        What::RemoveAddress(address) => interface.remove_address(address),
        What::AddRoute(to, via) => interface.add_route(to, via),
        What::RemoveRoute(to, via) => interface.remove_route(to, via),
        What::SetMtu(mtu) => interface.set_mtu(mtu),
        What::SetUp(up) => interface.set_link(up),
        What::Addresses | What::Routes | What::Neighbours | What::Leases | What::Links => Ok(()),
    }
}

fn address(interface: &Interface, info: &AddressInfo, now: Instant) -> Value {
    // Seconds that are left; null stands for ever.
    let left = |until: Instant| (until != Instant::FAR_FUTURE).then(|| until.since(now).as_secs());
    let cidr = info.cidr;
    json!({
        "ifindex": interface.id().scope(),
        "family": if cidr.address().is_ipv4() { "inet" } else { "inet6" },
        "local": cidr.address().to_string(),
        "prefixlen": cidr.prefix(),
        "state": state(info.state),
        "origin": origin(info.origin),
        "valid_life_time": left(info.valid_until),
        "preferred_life_time": left(info.preferred_until),
    })
}

const fn state(state: AddressState) -> &'static str {
    match state {
        AddressState::Tentative => "tentative",
        AddressState::Preferred => "preferred",
        AddressState::Deprecated => "deprecated",
        AddressState::Duplicate => "duplicate",
        _ => "other",
    }
}

const fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Given => "given",
        Origin::Formed => "formed",
        Origin::Dhcp => "dhcp",
        Origin::Router => "router",
        Origin::Temporary => "temporary",
        _ => "other",
    }
}

fn route(info: &RouteInfo) -> Value {
    json!({
        "ifindex": info.on.scope(),
        "dst": match info.to.prefix() {
            0 => "default".to_owned(),
            _ => info.to.to_string(),
        },
        "family": if info.to.address().is_ipv4() { "inet" } else { "inet6" },
        "gateway": info.via.map(|via| via.to_string()),
        "origin": origin(info.origin),
    })
}

fn neighbour(info: &NeighbourInfo) -> Value {
    json!({
        "ifindex": info.on.scope(),
        "dst": info.address.to_string(),
        "lladdr": info.mac.map(|mac| mac.to_string()),
        "state": info.state.name(),
    })
}

fn lease(interface: &Interface) -> Option<Value> {
    let lease = interface.lease()?;
    let text = |all: &[std::net::Ipv4Addr]| -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    };
    Some(json!({
        "ifindex": interface.id().scope(),
        "address": lease.cidr().to_string(),
        "server": lease.server.to_string(),
        "lease_time": lease.lease_time.map(|time| time.as_secs()),
        "renew_after": lease.renew_after.map(|time| time.as_secs()),
        "dns_servers": text(&lease.dns_servers),
        "domain": lease.domain,
    }))
}

fn link(interface: &Interface) -> Value {
    json!({
        "ifindex": interface.id().scope(),
        "mtu": interface.mtu(),
        "operstate": if interface.is_link_up() { "UP" } else { "DOWN" },
        "address": interface.mac().map(|mac| mac.to_string()),
    })
}
