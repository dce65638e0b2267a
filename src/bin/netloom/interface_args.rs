//! The options that say which interface a command uses, and the host made from them.

use std::io;
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use netloom::base::Cidr;
use netloom::device::{Builder, Device, HostReceive, HostTransmit, Tap, Tun};
use netloom::dhcp::Lease;
use netloom::dns::Name;
use netloom::host::{Host, HostBuilder};
use netloom::stack::{AddressState, Origin};
use netloom::tcp::Ecn;
use netloom::tcp::congestion::Choice;
use nix::sys::signal::Signal;

use crate::failure::Failure;
use crate::mistakes::Addresses;
use crate::output::{note, note_made};
use crate::signals::{END_WITHIN, Signals};
use crate::values;
use crate::written_args::WrittenArgs;

/// How long duplicate detection and the like may take before the addresses count as unusable.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(15);

/// How long DHCP servers may take: three DISCOVERs, and the wait for an answer to the last of them.
pub(crate) const LEASE_WITHIN: Duration = Duration::from_secs(30);

/// How often a signal is looked for meanwhile.
pub(crate) const LOOK_EACH: Duration = Duration::from_millis(100);

/// Which device: one of the two.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct DeviceArgs {
    /// Use the TAP device NAME (Ethernet frames); it is made when it does not exist. With %d in
    /// NAME the kernel chooses a number, and the name is told on standard error.
    #[arg(long, value_name = "NAME")]
    tap: Option<String>,
    /// Use the TUN device NAME (IP packets); it is made when it does not exist.
    #[arg(long, value_name = "NAME")]
    tun: Option<String>,
}

/// The interface options that `serve`, `get`, `send`, `ping`, `proxy` and `trace` share.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct InterfaceArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Give the kernel's side of the device this address, as in 10.7.0.1/24. May be repeated.
    #[arg(long, value_name = "CIDR")]
    kernel_address: Vec<Cidr>,
    /// An address of the netloom host, as in 10.7.0.2/24 or fd07::2/64. May be repeated.
    #[arg(long, value_name = "CIDR", required_unless_present_any = ["dhcp", "auto"])]
    address: Vec<Cidr>,
    /// Find out everything by the link of a TAP device: addresses, routes and DNS servers come from routers (IPv6) and
    /// from a DHCP server (IPv4), and are told on standard error. What the command needs of it is waited for.
    #[arg(long, conflicts_with = "dhcp")]
    auto: bool,
    /// Get the IPv4 address, the routes and DNS servers from a DHCP server on the link of a TAP device; the lease is told
    /// on standard error, and given back at the end.
    #[arg(long)]
    dhcp: bool,
    /// End when another station has one of the addresses, rather than go on with the others.
    #[arg(long)]
    require_addresses: bool,
    /// A default gateway of the netloom host. May be repeated.
    #[arg(long, value_name = "IP")]
    gateway: Vec<IpAddr>,
    /// A DNS server, which the netloom host asks for names, in place of those that it is told of. May be repeated.
    #[arg(long, value_name = "IP")]
    dns: Vec<IpAddr>,
    /// The MTU of the device, in bytes: 68 to 65521 (a TUN's to 65535), with IPv6 1280 or more
    /// [default: 1500, or what a device that exists has].
    #[arg(long, value_name = "N")]
    mtu: Option<u32>,
    /// How many frames the kernel queues for the device [default: 10000, or what a device that
    /// exists has].
    #[arg(long, value_name = "N")]
    txqueuelen: Option<u32>,
    /// Do without checksum and segmentation offload.
    #[arg(long)]
    no_offload: bool,
    /// The congestion control: reno, cubic, bbr or bbr3 [default: cubic].
    #[arg(long, value_name = "NAME")]
    congestion: Option<Choice>,
    /// Explicit congestion notification (RFC 3168), where routers mark in place of dropping: off, accept (what peers
    /// ask for) or ask [default: accept].
    #[arg(long, value_name = "WHETHER", value_parser = values::ecn)]
    ecn: Option<Ecn>,
    #[command(flatten)]
    written: WrittenArgs,
}

/// What a command needs of its host beside an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Nothing,
    /// All packets that come, for whomever they are.
    Everything,
    /// An address of its own from which this one can be reached.
    Way(IpAddr),
    /// Somebody who can be asked for names.
    Names,
}

impl InterfaceArgs {
    /// Opens the device and spawns the host on it; its addresses are usable on return, but for those
    /// that another station has: each has a line.
    ///
    /// # Errors
    /// The device's, the host's or duplicate detection's, with what helps; that others did not tell what is `wanted`.
    pub(crate) fn ready_host(&self, signals: &Signals, wanted: Wanted) -> Result<Host, Failure> {
        self.addresses().check()?;
        let host = self.host(wanted)?;
        if let Err(failure) = self.wait_ready(&host, signals, wanted) {
            host.shutdown(END_WITHIN);
            return Err(failure);
        }
        if let Some(lease) = host.lease() {
            note_lease(&lease);
        }
        for info in host.address_infos() {
            if info.origin == Origin::Router {
                note(format_args!("{} is made of what routers say", info.cidr));
            }
        }
        for (cidr, state) in host.addresses() {
            if state == AddressState::Duplicate {
                let address = cidr.address();
                note(format_args!(
                    "another station has {address}: it is not used"
                ));
            }
        }
        Ok(host)
    }

    /// Waits for the addresses, and for what else is wanted of those who give them; or for a signal.
    fn wait_ready(&self, host: &Host, signals: &Signals, wanted: Wanted) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            let ready = if self.require_addresses {
                host.wait_all_ready(LOOK_EACH)
            } else {
                host.wait_ready(LOOK_EACH)
            };
            let ready = match ready {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => false,
                Err(error) => return Err(Failure::host(error)),
                Ok(()) if self.has(host, wanted) => return Ok(()),
                Ok(()) => true,
            };
            if matches!(signals.take(), Some(Signal::SIGINT | Signal::SIGTERM)) {
                return Err(Failure::new("stopped by a signal"));
            }
            let limit = match (self.asks(), host.lease()) {
                // With the lease of one server all is said.
                (true, Some(_)) if ready && !self.auto => Duration::ZERO,
                // Its address is probed for.
                (true, Some(_)) => LEASE_WITHIN + READY_WITHIN,
                (true, None) => LEASE_WITHIN,
                (false, _) => READY_WITHIN,
            };
            if begun.elapsed() >= limit {
                return Err(self.late(host, (ready, wanted), begun.elapsed()));
            }
            if ready {
                thread::sleep(LOOK_EACH);
            }
        }
    }

    /// Is there what is wanted? What the user gave is there.
    fn has(&self, host: &Host, wanted: Wanted) -> bool {
        if !self.asks() {
            return true;
        }
        match wanted {
            Wanted::Nothing | Wanted::Everything => true,
            Wanted::Names => !host.dns_servers().is_empty(),
            Wanted::Way(to) => {
                is_near(to) || {
                    let fits = |own: IpAddr| own.is_ipv4() == to.is_ipv4() && !is_near(own);
                    let mut all = host.addresses().into_iter();
                    all.any(|(cidr, state)| {
                        let unusable =
                            matches!(state, AddressState::Tentative | AddressState::Duplicate);
                        fits(cidr.address()) && !unusable
                    })
                }
            }
        }
    }

    /// What did not come in time, and what helps.
    fn late(&self, host: &Host, (ready, wanted): (bool, Wanted), after: Duration) -> Failure {
        let after = Duration::from_secs(after.as_secs());
        match wanted {
            Wanted::Names if ready => Failure::with_cure(
                format_args!("nobody has told of a DNS server within {after:?}"),
                "add --dns IP, or give an address in place of the name",
            ),
            Wanted::Way(to) if ready => Failure::with_cure(
                format_args!(
                    "nobody has given an address that {to} is reached from, within {after:?}"
                ),
                "is its family spoken on the link? add an --address",
            ),
            _ if self.auto && host.lease().is_none() => Failure::with_cure(
                format_args!(
                    "neither a router nor a DHCP server has given an address within {after:?}"
                ),
                "is there one on the link? without one give --address",
            ),
            _ if self.dhcp && host.lease().is_none() => Failure::with_cure(
                format_args!("no DHCP server has given an address within {after:?}"),
                "does one serve the link? without one give --address",
            ),
            _ => {
                let late = format!("addresses not usable within {after:?}");
                Failure::host(io::Error::new(io::ErrorKind::TimedOut, late))
            }
        }
    }

    /// Do others say what the host is to use?
    const fn asks(&self) -> bool {
        self.dhcp || self.auto
    }

    /// Refuses a peer that no packet can be sent to.
    pub(crate) fn check_peer(&self, peer: IpAddr) -> Result<(), Failure> {
        self.addresses().check()?;
        self.addresses().peer(peer)
    }

    /// Refuses a name when there is nobody who could be asked for it.
    pub(crate) fn check_name(&self, name: &Name) -> Result<(), Failure> {
        self.addresses().check()?;
        if self.dns.is_empty() && !self.asks() {
            let cause = format_args!("{name} is a name, and there is no DNS server to ask for it");
            return Err(Failure::usage(cause, "add --dns IP, or give its address"));
        }
        let mut servers = self.dns.iter();
        servers.try_for_each(|server| self.addresses().peer(*server))
    }

    fn addresses(&self) -> Addresses<'_> {
        Addresses {
            kernel: &self.kernel_address,
            own: &self.address,
            gateways: &self.gateway,
            dhcp: self.asks(),
            routers: self.auto,
            ethernet: self.device.tap.is_some(),
        }
    }

    /// Says that the capture or the recording of a host that has ended holds less than it should.
    pub(crate) fn note_capture(&self, host: &Host) {
        self.written.note_ends(host);
    }

    fn host(&self, wanted: Wanted) -> Result<Host, Failure> {
        match (&self.device.tap, &self.device.tun) {
            (_, Some(name)) => {
                let tun = self.configured(Tun::builder().name(name));
                let tun = tun.open().map_err(Failure::new)?;
                note_made(name, tun.name());
                self.spawn(Host::builder(tun), wanted)
            }
            (tap, None) => {
                let name = tap.as_deref().unwrap_or_default();
                let tap = self.configured(Tap::builder().name(name));
                let tap = tap.open().map_err(Failure::new)?;
                note_made(name, tap.name());
                self.spawn(Host::builder(tap), wanted)
            }
        }
    }

    fn configured<D>(&self, builder: Builder<D>) -> Builder<D> {
        let mut builder = builder.offload(!self.no_offload);
        for &address in &self.kernel_address {
            builder = builder.kernel_address(address);
        }
        if let Some(mtu) = self.mtu {
            builder = builder.mtu(mtu);
        }
        if let Some(frames) = self.txqueuelen {
            builder = builder.txqueuelen(frames);
        }
        builder
    }

    fn spawn<D>(&self, builder: HostBuilder<D>, wanted: Wanted) -> Result<Host, Failure>
    where
        D: Device,
        D::Rx: HostReceive,
        D::Tx: HostTransmit,
    {
        let mut builder = builder.accept_foreign(wanted == Wanted::Everything);
        for &address in &self.address {
            builder = builder.address(address);
        }
        if self.auto {
            builder = builder.auto();
        }
        if self.dhcp {
            builder = builder.dhcp();
        }
        for &gateway in &self.gateway {
            builder = builder.gateway(gateway);
        }
        for &server in &self.dns {
            builder = builder.dns_server(server);
        }
        if let Some(choice) = &self.congestion {
            builder = builder.congestion(choice.clone());
        }
        if let Some(ecn) = self.ecn {
            builder = builder.ecn(ecn);
        }
        self.written.spawn(builder)
    }
}

/// Does it mean something on one link alone?
fn is_near(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// Tells what was leased.
pub(crate) fn note_lease(lease: &Lease) {
    let (cidr, server) = (lease.cidr(), lease.server);
    let time = lease
        .lease_time
        .map_or_else(|| "ever".to_owned(), |time| format!("{} s", time.as_secs()));
    note(format_args!("{cidr} is leased from {server} for {time}"));
}
