//! What a host says of its first interface, and does to it: that of the device which it was built on.
//!
//! *Owns* nothing: each call is one of [`Interface`](super::Interface)'s. *Does not* speak of the others: [`Host::on`] does.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crossbeam_channel::Receiver;

use super::{Host, HostError};
use crate::base::{Cidr, MacAddr};
use crate::device::{Capabilities, DeviceCounters};
use crate::dhcp::{self, Lease};
use crate::ipv6::ndp::RouterFlags;
use crate::stack::{
    AddressInfo, AddressOptions, AddressState, Change, NeighbourInfo, RouteInfo, RouterInfo,
};

macro_rules! of_the_first {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)+) => {$(
        #[doc = concat!("[`Interface::", stringify!($name), "`](super::Interface::", stringify!($name), ") of the host's first interface.")]
        pub fn $name(&self, $($argument: $kind),*) -> $result {
            self.first.$name($($argument),*)
        }
    )+};
}

impl Host {
    of_the_first! {
        capabilities() -> &Capabilities;
        device_counters() -> Option<DeviceCounters>;
        mac() -> Option<MacAddr>;
        addresses() -> Vec<(Cidr, AddressState)>;
        address_infos() -> Vec<AddressInfo>;
        routes() -> Vec<RouteInfo>;
        neighbours() -> Vec<NeighbourInfo>;
        mtu() -> usize;
        is_link_up() -> bool;
        routers() -> Vec<RouterInfo>;
        router_flags() -> RouterFlags;
        told_dns_servers() -> Vec<Ipv6Addr>;
        told_dns_domains() -> Vec<String>;
        lease() -> Option<Lease>;
        dhcp_counters() -> Option<dhcp::Counters>;
        changes() -> &Receiver<Change>;
        changes_missed() -> u64;
    }

    /// Waits until other stations have claimed more than `known` of the first interface's addresses
    /// ([`Interface::wait_conflict`](super::Interface::wait_conflict)).
    ///
    /// # Errors
    /// Those of that.
    pub fn wait_conflict(&self, known: usize) -> Result<(IpAddr, Option<MacAddr>), HostError> {
        self.first.wait_conflict(known)
    }
}

macro_rules! change_of_the_first {
    ($($name:ident($($argument:ident: $kind:ty),*);)+) => {$(
        #[doc = concat!("[`Interface::", stringify!($name), "`](super::Interface::", stringify!($name), ") of the host's first interface.")]
        ///
        /// # Errors
        /// Those of that.
        pub fn $name(&self, $($argument: $kind),*) -> io::Result<()> {
            self.first.$name($($argument),*)
        }
    )+};
}

impl Host {
    change_of_the_first! {
        add_address(address: Cidr, options: AddressOptions);
        remove_address(address: IpAddr);
        add_route(to: Cidr, via: Option<IpAddr>);
        remove_route(to: Cidr, via: Option<IpAddr>);
        add_gateway(gateway: IpAddr);
        remove_gateway(gateway: IpAddr);
        set_link(up: bool);
        set_mtu(mtu: usize);
        dhcp_release();
        dhcp_start(previous: Option<Ipv4Addr>);
    }
}
