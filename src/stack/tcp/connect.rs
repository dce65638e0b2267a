//! Active OPEN (RFC 9293 §3.10.1).

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use super::{ConnectError, Owner, default_mss, path_mss};
use crate::base::Instant;
use crate::stack::endpoint::scope_of;
use crate::stack::ids::{InterfaceId, TcpId};
use crate::stack::ip::NatKind;
use crate::stack::packet::{Flow, Label};
use crate::stack::path::{Route, RouteError};
use crate::stack::tuple::Tuple;
use crate::stack::{Call, Stack};
use crate::tcp::{Connection, SeqNum, Setup, TcpOptions};

/// How long a connection is in TIME-WAIT at least before a new one takes its name: timestamps tick each millisecond, and
/// the peer's may tick once in a second (RFC 7323 §5.4; Linux waits as long).
const LEAST_WAIT: Duration = Duration::from_secs(1);

impl Stack {
    /// Opens a connection to `remote`; CONNECTED or FAILED tells how it went.
    ///
    /// `local` may name the address (else the route chooses, RFC 6724) and the port (else 0: an
    /// ephemeral one, RFC 6056). What is written before it is established is sent then.
    ///
    /// # Errors
    /// [`ConnectError`], when it cannot even be tried.
    pub fn tcp_connect(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local: Option<SocketAddr>,
        options: TcpOptions,
    ) -> Result<TcpId, ConnectError> {
        self.note_call(Some(now), |_| {
            Call::TcpConnect(remote, local, options.clone())
        });
        let now = self.net.clamp(now);
        let opened = self.open_tcp(now, (remote, None), local, options);
        self.note_outcome(opened)
    }

    /// The same by the interface `on` alone (`SO_BINDTODEVICE`): its routes and addresses are asked, and what comes in on
    /// another interface does not reach the connection. Its last records (FIN-WAIT-2 without a user, TIME-WAIT) answer there too.
    ///
    /// # Errors
    /// [`ConnectError`], when it cannot even be tried. No interface leads to the host itself.
    pub fn tcp_connect_on(
        &mut self,
        now: Instant,
        on: InterfaceId,
        remote: SocketAddr,
        local: Option<SocketAddr>,
        options: TcpOptions,
    ) -> Result<TcpId, ConnectError> {
        self.note_call(Some(now), |_| {
            Call::TcpConnectOn(on, remote, local, options.clone())
        });
        let now = self.net.clamp(now);
        let opened = self.open_tcp(now, (remote, Some(on)), local, options);
        if let Ok(id) = opened
            && let Some(slot) = self.tcp.slots.get_mut(id)
        {
            slot.held = true;
        }
        self.note_outcome(opened)
    }

    fn open_tcp(
        &mut self,
        now: Instant,
        (remote, on): (SocketAddr, Option<InterfaceId>),
        local: Option<SocketAddr>,
        options: TcpOptions,
    ) -> Result<TcpId, ConnectError> {
        if self.has_no_memory() {
            self.net.counters.tcp_connects_short_of_memory += 1;
            return Err(ConnectError::NoMemory);
        }
        let route = self.route_to_peer((remote, on), local)?;
        let source = self.local_address(&route, remote, local)?;
        let port = self
            .local_port(&route, source, remote, local)
            .or_else(|none| {
                self.port_in_time_wait(now, &route, source, remote, &options)
                    .ok_or(none)
            })?;
        let tuple = Tuple::new(route.on, (source, port), (remote.ip(), remote.port()));
        let floor = self.take_over(now, &tuple, &options)?;
        let ends = (
            SocketAddr::new(source, port),
            SocketAddr::new(remote.ip(), remote.port()),
        );
        let setup = Setup {
            local_port: port,
            remote_port: remote.port(),
            iss: self.initial_number(now, ends, floor),
            ts_offset: self.tcp.isn.timestamp_offset(ends.0, ends.1),
            link_mss: self.net.link_mss(route.on, source),
            peer_mss: default_mss(source),
            steps: self.net.mss_steps(source),
            options: self.tcp.options.share(options),
        };
        let ttl = setup.options.ttl_setting();
        let flow = Flow {
            src: source,
            dst: remote.ip(),
            next_hop: route.next_hop,
            ttl: ttl.unwrap_or_else(|| self.net.ttl_to(route.on, remote.ip())),
            tos: setup.options.tos_setting(),
            label: Label::asked(setup.options.flow_label_setting()),
        };
        let path = self.net.path(route.on, flow);
        let mut connection = Connection::connect(now, setup, path_mss(&path));
        self.try_fast_open(now, route.on, remote.ip(), &mut connection);
        let id = self.enter(Box::new(connection), path);
        self.net.counters.tcp_opened += 1;
        self.after_tcp(now, id);
        Ok(id)
    }

    fn route_to_peer(
        &self,
        (remote, on): (SocketAddr, Option<InterfaceId>),
        local: Option<SocketAddr>,
    ) -> Result<Route, ConnectError> {
        let ip = remote.ip();
        let group = match ip {
            IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_multicast(),
        };
        if group || ip.is_unspecified() || remote.port() == 0 {
            return Err(ConnectError::Destination);
        }
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let from = local.map_or(any, |local| local.ip());
        let scope = scope_of(remote);
        let route = self.net.route_from(from, ip, on.or(scope))?;
        // That of another link, or a way within.
        let differs = |on: InterfaceId| on != route.on || scope.is_some_and(|named| named != on);
        if on.is_some_and(differs) {
            return Err(RouteError::NoRoute(ip).into());
        }
        let interface = &self.net.interfaces[route.on.index()];
        if let IpAddr::V4(v4) = ip
            && interface.groups.is_broadcast(v4)
        {
            return Err(ConnectError::Destination);
        }
        Ok(route)
    }

    fn local_address(
        &self,
        route: &Route,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Result<IpAddr, ConnectError> {
        match local.map(|local| local.ip()) {
            Some(ip) if ip.is_ipv4() != remote.is_ipv4() => Err(ConnectError::AddressNotAvailable),
            None => Ok(route.source),
            Some(ip) if ip.is_unspecified() => Ok(route.source),
            Some(ip) if self.net.takes(ip, Some(route.on)) => Ok(ip),
            Some(_) => Err(ConnectError::AddressNotAvailable),
        }
    }

    fn local_port(
        &mut self,
        route: &Route,
        source: IpAddr,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Result<u16, ConnectError> {
        if let Some(port) = local.map(|local| local.port()).filter(|&port| port != 0) {
            let own = SocketAddr::new(source, port);
            let mapped = self.net.is_mapped(NatKind::Tcp, own);
            return (!mapped).then_some(port).ok_or(ConnectError::InUse);
        }
        let ports = &mut self.ephemeral;
        let port = self.demux.tcp.search(|table, taken| {
            let free = |port: core::num::NonZeroU16| {
                let tuple =
                    Tuple::new(route.on, (source, port.get()), (remote.ip(), remote.port()));
                let own = SocketAddr::new(source, port.get());
                table.flows.candidate(&tuple).is_none()
                    && !table.has_own(route.on, source, port.get())
                    && !self.net.is_mapped(NatKind::Tcp, own)
            };
            ports.for_flow((source, remote), taken, free)
        });
        Ok(port.ok_or(ConnectError::NoPort)?.get())
    }

    /// Where no ephemeral port is left: that of a connection to the same peer that only waits, if it may be had.
    #[cold]
    fn port_in_time_wait(
        &self,
        now: Instant,
        route: &Route,
        source: IpAddr,
        remote: SocketAddr,
        options: &TcpOptions,
    ) -> Option<u16> {
        let latest = self.latest_end(now, options)?;
        let tuple = Tuple::new(route.on, (source, 0), (remote.ip(), remote.port()));
        let fit = |port: u16| {
            let is_bound = self.demux.tcp.has_own(route.on, source, port);
            self.config.ephemeral_ports.contains(&port) && !is_bound
        };
        let waits = &self.tcp.time_wait;
        waits.reusable(route.on, &tuple, latest, fit)
    }

    /// The end of the youngest TIME-WAIT record that may give its name to a new connection with these options; `None`:
    /// none may.
    fn latest_end(&self, now: Instant, options: &TcpOptions) -> Option<Instant> {
        let whole = self.config.time_wait;
        // Without ours the peer could not tell old from new either.
        let may = options.timestamps && whole >= LEAST_WAIT;
        may.then(|| now + (whole - LEAST_WAIT))
    }

    /// The name is free, or a TIME-WAIT record gives it up, which the new numbers start above then. A chosen port is no reason
    /// for it: RFC 9293 §3.10.1 has an error for who opens what is in TIME-WAIT, and its MAY-2 (§3.6.1) is for a SYN of
    /// the peer's.
    fn take_over(
        &mut self,
        now: Instant,
        tuple: &Tuple,
        options: &TcpOptions,
    ) -> Result<Option<SeqNum>, ConnectError> {
        let index = match self.tcp.owner(&self.demux.tcp.flows, tuple) {
            None => return Ok(None),
            Some(Owner::TimeWait(index)) => index,
            Some(_) => return Err(ConnectError::InUse),
        };
        let latest = self.latest_end(now, options).ok_or(ConnectError::InUse)?;
        if !self.tcp.time_wait.gives_way(index, latest) {
            return Err(ConnectError::InUse);
        }
        let record = self.remove_time_wait(index);
        Ok(record.map(|record| record.iss_floor()))
    }
}
