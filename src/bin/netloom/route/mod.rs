//! `netloom route`: packets passed on between several devices, until SIGINT or SIGTERM; SIGUSR1 asks for its counters.

mod sides;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use netloom::device::{Builder, Device, HostReceive, HostTransmit, Tap, Tun};
use netloom::host::{Host, HostBuilder, Interface};
use netloom::stack::{AddressState, DhcpOptions, ForwardOptions, InterfaceConfig, NatOptions};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;

use crate::control::ControlArgs;
use crate::failure::Failure;
use crate::interface_args::{LEASE_WITHIN, LOOK_EACH, READY_WITHIN, note_lease};
use crate::output::{note, note_made};
use crate::running;
use crate::signals::{END_WITHIN, Signals};
use crate::written_args::WrittenArgs;
use sides::{Side, Sides};

/// What `netloom route` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    sides: Sides,
    #[command(flatten)]
    written: WrittenArgs,
    #[command(flatten)]
    control: ControlArgs,
}

/// Passes packets on until a signal comes or the last device fails.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    args.sides.check()?;
    let signals = Signals::block_with_user()?;
    let mut control = args.control.bind()?;
    let host = Arc::new(spawn(args)?);
    if let Err(failure) = ready(args, &host, &signals) {
        host.shutdown(END_WITHIN);
        return Err(failure);
    }
    if let Some(control) = &mut control {
        control.serve(&host)?;
    }
    for (interface, side) in host.interfaces().into_iter().zip(&args.sides.0) {
        tell_of_addresses(&interface);
        tell_of_end(&host, &interface, side.name.clone())?;
        running::tell_conflicts(interface)?;
    }
    let ended = running::until_a_signal(&host, &signals, || running::print_counters(&host, []));
    args.written.note_ends(&host);
    ended
}

/// A device that was opened.
enum Opened {
    Tap(Tap),
    Tun(Tun),
}

/// Opens all devices, and spawns a host on them.
fn spawn(args: &Args) -> Result<Host, Failure> {
    let mut more = args.sides.0.iter();
    let Some(first) = more.next() else {
        return Err(Failure::new("there is no interface"));
    };
    match open(first)? {
        Opened::Tap(tap) => spawn_on(Host::builder(tap), first, more, &args.written),
        Opened::Tun(tun) => spawn_on(Host::builder(tun), first, more, &args.written),
    }
}

fn spawn_on<'a, D>(
    builder: HostBuilder<D>,
    first: &Side,
    more: impl Iterator<Item = &'a Side>,
    written: &WrittenArgs,
) -> Result<Host, Failure>
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    let mut builder = builder.interface(|config| configured(first, config));
    for side in more {
        builder = match open(side)? {
            Opened::Tap(tap) => builder.attach(tap, |config| configured(side, config)),
            Opened::Tun(tun) => builder.attach(tun, |config| configured(side, config)),
        };
    }
    written.spawn(builder)
}

/// Opens a device, in its namespace.
fn open(side: &Side) -> Result<Opened, Failure> {
    let Some(name) = &side.netns else {
        return open_here(side);
    };
    let path = if name.contains('/') {
        PathBuf::from(name)
    } else {
        PathBuf::from("/run/netns").join(name)
    };
    // The namespace is that of the thread that opens it.
    thread::scope(|scope| {
        let opener = scope.spawn(|| {
            let entered = File::open(&path).and_then(|namespace| {
                setns(namespace, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)
            });
            entered.map_err(|error| {
                Failure::with_cure(
                    format_args!("--netns {name}: {error}"),
                    "`ip netns` lists those that have names; to enter one takes CAP_SYS_ADMIN",
                )
            })?;
            open_here(side)
        });
        let panicked = |_| Err(Failure::new("the thread that opens a device panicked"));
        opener.join().unwrap_or_else(panicked)
    })
}

fn open_here(side: &Side) -> Result<Opened, Failure> {
    let opened = if side.ethernet {
        let tap = prepared(side, Tap::builder().name(&side.name)).open();
        tap.map(|tap| (tap.name().to_owned(), Opened::Tap(tap)))
    } else {
        let tun = prepared(side, Tun::builder().name(&side.name)).open();
        tun.map(|tun| (tun.name().to_owned(), Opened::Tun(tun)))
    };
    let (made, opened) = opened.map_err(Failure::new)?;
    note_made(&side.name, &made);
    Ok(opened)
}

fn prepared<D>(side: &Side, builder: Builder<D>) -> Builder<D> {
    let mut builder = builder.offload(!side.no_offload);
    for &address in &side.kernel_address {
        builder = builder.kernel_address(address);
    }
    if let Some(mtu) = side.mtu {
        builder = builder.mtu(mtu);
    }
    if let Some(frames) = side.txqueuelen {
        builder = builder.txqueuelen(frames);
    }
    builder
}

fn configured(side: &Side, mut config: InterfaceConfig) -> InterfaceConfig {
    for &address in &side.address {
        config = config.address(address);
    }
    for &gateway in &side.gateway {
        config = config.gateway(gateway);
    }
    for &(to, via) in &side.route {
        config = config.route(to, Some(via));
    }
    if side.auto {
        config = config.router_discovery(true);
    }
    if side.asks() {
        config = config.dhcp(DhcpOptions::new());
    }
    let mut forwarding = ForwardOptions::new();
    if side.nat {
        let mut nat = NatOptions::new();
        for forward in &side.forward {
            nat = nat.forward(forward.protocol, forward.port, forward.inside);
        }
        config = config.nat(nat);
        // Who is outside reaches ports that are mapped, and nobody by the addresses inside.
        forwarding = forwarding.v4(false);
    }
    // Who is told to ask routers does so, though it is one.
    config.forwarding(forwarding.accept_routers(side.auto))
}

/// Waits for the addresses, or for a signal.
fn ready(args: &Args, host: &Host, signals: &Signals) -> Result<(), Failure> {
    let begun = Instant::now();
    let limit = if args.sides.0.iter().any(Side::asks) {
        LEASE_WITHIN + READY_WITHIN
    } else {
        READY_WITHIN
    };
    loop {
        match host.wait_ready(LOOK_EACH) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::TimedOut => {
                return Err(Failure::host(error));
            }
            Err(error) if begun.elapsed() >= limit => {
                return Err(Failure::with_cure(
                    error,
                    "does anybody on that link give addresses? without one give --address",
                ));
            }
            Err(_) => {}
        }
        if matches!(signals.take(), Some(Signal::SIGINT | Signal::SIGTERM)) {
            return Err(Failure::new("stopped by a signal"));
        }
    }
}

/// Tells what others gave, and what others have.
fn tell_of_addresses(interface: &Interface) {
    if let Some(lease) = interface.lease() {
        note_lease(&lease);
    }
    for (cidr, state) in interface.addresses() {
        if state == AddressState::Duplicate {
            let address = cidr.address();
            note(format_args!(
                "another station has {address}: it is not used"
            ));
        }
    }
}

/// Says when an interface ends before its host.
fn tell_of_end(host: &Arc<Host>, interface: &Interface, name: String) -> Result<(), Failure> {
    let (host, interface) = (Arc::downgrade(host), interface.clone());
    let teller = thread::Builder::new().name("netloom-changes".to_owned());
    let tell = move || {
        interface.changes().iter().for_each(drop);
        let runs = host.upgrade().is_some_and(|host| host.error().is_none());
        if runs {
            note(format_args!(
                "the device {name} is gone, and its interface with it; the others go on"
            ));
        }
    };
    teller.spawn(tell).map_err(Failure::new)?;
    Ok(())
}
