//! How a host is made: its addresses, its options, its capture; then the driver thread.

use std::io;
use std::iter;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::Host;
use super::clock;
use super::drive::Driver;
use super::driver;
use super::error::SpawnError;
use super::interface::Interface;
use super::names;
use super::open::{self, Opened, Waiting};
use super::shared::{Manners, Shared};
use crate::base::{Cidr, MacAddr, Seed};
use crate::capture::{CaptureSettings, Recorder, Recording, RecordingSettings, RecordingWatch};
use crate::device::{Capabilities, Device, HostReceive, HostTransmit};
use crate::stack::{Config, DhcpOptions, ForwardOptions, InterfaceConfig, Stack};
use crate::tcp::congestion::Choice;
use crate::tcp::{Ecn, TcpOptions};

/// The most that a receive window grows to on a device that gives super-segments (measured, see
/// `docs/choices.md`).
const RECV_BUFFER: usize = 4 << 20;

/// The least that the window is bounded to on other devices: eight full frames, or slow start
/// never begins.
const BUFFER_LEAST: usize = 16 << 10;

/// How long the device may wait for a thread that led and has not come back: well below the
/// delayed ACK of any peer, and long beside the microseconds that a thread takes which only looks
/// at what it read (docs/choices.md).
const LEAD_GRACE: Duration = Duration::from_millis(1);

/// Frames that a turn reads at most.
const TURN_FRAMES: usize = 64;

/// Makes a [`Host`].
#[derive(Debug)]
pub struct HostBuilder<D> {
    pub(super) device: D,
    interface: InterfaceConfig,
    /// The other devices.
    pub(super) more: Vec<Waiting>,
    /// VLANs of the first.
    pub(super) vlans: Vec<InterfaceConfig>,
    config: Config,
    seed: Option<Seed>,
    busy_poll: Duration,
    lead_grace: Duration,
    turn_frames: Option<usize>,
    capture: Option<(PathBuf, CaptureSettings)>,
    record: Option<(PathBuf, RecordingSettings)>,
    tcp: Option<TcpOptions>,
    congestion: Option<Choice>,
    ecn: Option<Ecn>,
    pub(super) dns: names::Settings,
    release: bool,
}

impl<D> HostBuilder<D>
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    pub(super) fn new(device: D) -> Self {
        let interface = InterfaceConfig::new(device.capabilities());
        Self {
            device,
            interface,
            more: Vec::new(),
            vlans: Vec::new(),
            // The seed is replaced when the host is spawned.
            config: Config::new(Seed::new([0; 32])),
            seed: None,
            busy_poll: Duration::ZERO,
            lead_grace: LEAD_GRACE,
            turn_frames: None,
            capture: None,
            record: None,
            tcp: None,
            congestion: None,
            ecn: None,
            dns: names::Settings::default(),
            release: true,
        }
    }

    /// One more address, with the prefix that is on the link.
    #[must_use]
    pub fn address(mut self, address: Cidr) -> Self {
        self.interface = self.interface.address(address);
        self
    }

    /// One more default gateway; the first that is not known to be dead is used.
    #[must_use]
    pub fn gateway(mut self, gateway: IpAddr) -> Self {
        self.interface = self.interface.gateway(gateway);
        self
    }

    /// One more route, over a gateway or on the link.
    #[must_use]
    pub fn route(mut self, to: Cidr, via: Option<IpAddr>) -> Self {
        self.interface = self.interface.route(to, via);
        self
    }

    /// Routers are asked for, and what they say is heeded
    /// ([`InterfaceConfig::router_discovery`]): addresses, routers, MTU, and DNS servers where there are none that are
    /// given. Without an address that is given,
    /// [`Host::wait_ready`] waits for one that is made of what they say.
    #[must_use]
    pub fn router_discovery(mut self) -> Self {
        self.interface = self.interface.router_discovery(true);
        self
    }

    /// The IPv4 address, routes, MTU, and DNS servers where there are none that are given, come from a DHCP server
    /// (RFC 2131), with the default settings:
    /// [`Host::wait_ready`] waits for them.
    ///
    /// Servers know a host by its MAC address, which is another one in each run unless it or the seed is
    /// [given](Self::mac).
    #[must_use]
    pub fn dhcp(self) -> Self {
        self.dhcp_with(DhcpOptions::new())
    }

    /// The same with these settings.
    #[must_use]
    pub fn dhcp_with(mut self, options: DhcpOptions) -> Self {
        self.interface = self.interface.dhcp(options);
        self
    }

    /// Is the lease given back at the host's end (default yes, as systemd-networkd's `SendRelease`)? Without that
    /// [`Host::lease`] tells what to ask for in the next run ([`DhcpOptions::previous`]).
    #[must_use]
    pub const fn dhcp_release_at_end(mut self, released: bool) -> Self {
        self.release = released;
        self
    }

    /// All that a host does by itself on a link that it knows nothing of: [routers](Self::router_discovery) are asked, and
    /// [DHCP servers](Self::dhcp), for addresses, routes, MTU and, with the feature `dns`, DNS servers. What is made by
    /// hand beside that stays. [`Host::wait_ready`] waits for one address of either.
    ///
    /// Other settings of the client are given behind it ([`dhcp_with`](Self::dhcp_with)). It needs Ethernet frames.
    #[must_use]
    pub fn auto(self) -> Self {
        self.router_discovery().dhcp()
    }

    /// The MAC address (default: locally administered, from the seed).
    #[must_use]
    pub fn mac(mut self, mac: MacAddr) -> Self {
        self.interface = self.interface.mac(mac);
        self
    }

    /// Duplicate detection probes for each IPv6 address (RFC 4862 §5.1, default 1); 0 for none.
    #[must_use]
    pub fn dad_transmits(mut self, probes: u8) -> Self {
        self.interface = self.interface.dad_transmits(probes);
        self
    }

    /// Are IPv4 addresses probed for before they are used (RFC 5227 §2.1, default no)?
    #[must_use]
    pub fn probe_v4(mut self, probed: bool) -> Self {
        self.interface = self.interface.probe_v4(probed);
        self
    }

    /// Is an IPv4 address of 169.254.0.0/16 chosen where there is no other (RFC 3927, default no;
    /// [`InterfaceConfig::link_local_v4`])?
    #[must_use]
    pub fn link_local_v4(mut self, chosen: bool) -> Self {
        self.interface = self.interface.link_local_v4(chosen);
        self
    }

    /// Are packets for other hosts that come in by this device passed on ([`InterfaceConfig::forwarding`], default no)? It is of use
    /// with [another device](Self::attach).
    #[must_use]
    pub fn forwarding(mut self, options: ForwardOptions) -> Self {
        self.interface = self.interface.forwarding(options);
        self
    }

    /// All other settings of the interface. Changes are made to what was set before.
    #[must_use]
    pub fn interface(mut self, change: impl FnOnce(InterfaceConfig) -> InterfaceConfig) -> Self {
        self.interface = change(self.interface);
        self
    }

    /// Settings of the stack: limits, TIME-WAIT, neighbours, ports, trust in partial checksums.
    ///
    /// ```no_run
    /// # let tap = netloom::device::Tap::builder().open()?;
    /// use netloom::host::Host;
    ///
    /// let host = Host::builder(tap).config(|config| config.orphan_limit(100).ttl(32)).spawn()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Changes are made to what was set before. Of a whole [`Config`] that `change` returns instead,
    /// all but the seed counts, for which there is [`seed`](Self::seed).
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(Config) -> Config) -> Self {
        self.config = change(self.config);
        self
    }

    /// The seed of every key (default: the system's entropy). A fixed one is for tests only.
    #[must_use]
    pub const fn seed(mut self, seed: Seed) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How long a thread that waits for the device spins before it sleeps (default zero). It trades
    /// a whole processor for the time of a wake-up; 50 us is worth a try.
    #[must_use]
    pub const fn busy_poll(mut self, time: Duration) -> Self {
        self.busy_poll = time;
        self
    }

    /// How long frames may wait for a thread that *led* (default and most 1 ms).
    ///
    /// A blocking call that has to wait drives the host itself where nobody else does, which saves
    /// the hop from thread to thread. When it returns, its thread mostly comes back at once; if it
    /// does not within this time, the host's own thread takes over, and leads become rarer. Zero
    /// leaves everything to the host's own thread.
    #[must_use]
    pub fn lead_grace(mut self, time: Duration) -> Self {
        self.lead_grace = time.min(LEAD_GRACE);
        self
    }

    /// Frames that one turn takes and writes at most for each device (default 64 and 128: 0.25 to 0.5 ms
    /// at worst, during which users wait; docs/choices.md). Replaces [`Config::transmit_budget`].
    #[must_use]
    pub const fn turn_frames(mut self, frames: usize) -> Self {
        self.turn_frames = Some(frames);
        self
    }

    /// Writes everything that is sent and received to a pcapng file, whole frames, no size limit. Each device is an interface
    /// of that file.
    #[must_use]
    pub fn capture(self, path: impl Into<PathBuf>) -> Self {
        let settings = CaptureSettings::new(clock::wall_of_epoch());
        self.capture_with(path, settings)
    }

    /// Writes a capture with other settings; their epoch is replaced by the host's.
    #[must_use]
    pub fn capture_with(mut self, path: impl Into<PathBuf>, settings: CaptureSettings) -> Self {
        let settings = settings.epoch(clock::wall_of_epoch());
        self.capture = Some((path.into(), settings));
        self
    }

    /// Records the run into a file: all that its stack is told, so that a
    /// [`Replay`](crate::capture::Replay) brings about the same bytes without a network. The file holds
    /// the seed, hence the keys of this run, and what was sent and received. It is a capture too.
    #[must_use]
    pub fn record(self, path: impl Into<PathBuf>) -> Self {
        let settings = RecordingSettings::new(clock::wall_of_epoch());
        self.record_with(path, settings)
    }

    /// Records with other settings, such as without payload; their epoch is replaced by the host's.
    #[must_use]
    pub fn record_with(mut self, path: impl Into<PathBuf>, settings: RecordingSettings) -> Self {
        let settings = settings.epoch(clock::wall_of_epoch());
        self.record = Some((path.into(), settings));
        self
    }

    /// The TCP options of connections that are given none (default: those of [`TcpOptions`]; where
    /// a device gives no super-segments, the receive window bounded to half of what its queue holds,
    /// and what is in flight to the rest; of several devices the shortest queue counts).
    #[must_use]
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.tcp = Some(options);
        self
    }

    /// The congestion control of connections that are given none, whatever their other options.
    #[must_use]
    pub fn congestion(mut self, choice: Choice) -> Self {
        self.congestion = Some(choice);
        self
    }

    /// Whether connections that are given no options use ECN (RFC 3168), whatever [`tcp`](Self::tcp) says.
    #[must_use]
    pub fn ecn(mut self, ecn: Ecn) -> Self {
        self.ecn = Some(ecn);
        self
    }

    /// Starts the host. Returns at once: IPv6 addresses become usable when duplicate detection is
    /// over ([`Host::wait_ready`]).
    ///
    /// # Errors
    /// When the configuration contradicts itself, the capture or the recording cannot be written, or the system
    /// gives no thread, descriptor or entropy.
    pub fn spawn(self) -> Result<Host, SpawnError> {
        let host = self.open()?;
        let drives = Arc::clone(&host.shared);
        let thread = thread::Builder::new()
            .name("netloom-driver".to_owned())
            .spawn(move || driver::run(&drives))
            .map_err(system("a thread"))?;
        *host.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(host)
    }

    /// Makes a host without a thread, and what is to drive it in a loop of one's own, or as a task: see [`Driver`]. There is no
    /// [busy polling](Self::busy_poll).
    ///
    /// # Errors
    /// Those of [`spawn`](Self::spawn).
    pub fn build(mut self) -> Result<(Host, Driver), SpawnError> {
        self.busy_poll = Duration::ZERO;
        let host = self.open()?;
        let driver = Driver::new(&host.shared).map_err(system("a descriptor to wait on"))?;
        Ok((host, driver))
    }

    fn open(self) -> Result<Host, SpawnError> {
        let device = self.device.without_software();
        let native = *device.capabilities();
        let all = || iter::once(&native).chain(self.more.iter().map(|waiting| &waiting.native));
        all().try_for_each(open::check)?;
        let tcp = self.tcp.unwrap_or_else(|| default_options(all()));
        let tcp = match self.congestion {
            Some(choice) => tcp.congestion(choice),
            None => tcp,
        };
        let tcp = match self.ecn {
            Some(ecn) => tcp.ecn(ecn),
            None => tcp,
        };
        let recorder = match self.capture {
            Some((path, settings)) => Some(Recorder::create(path, native.medium, &settings)?),
            None => None,
        };
        let first = (open::open(device, recorder.clone())?, self.interface);
        let more = self.more.into_iter();
        let more = more.map(|waiting| waiting.open(recorder.as_ref()));
        let more = more.collect::<Result<Vec<_>, _>>()?;
        let seed = self.seed.map_or_else(entropy, Ok)?;
        let settings = Settings {
            config: configured(self.config, seed, self.turn_frames),
            names: self.dns.names(seed).map_err(SpawnError::Dns)?,
            manners: Manners {
                busy_poll: self.busy_poll,
                grace: self.lead_grace,
                turn_frames: self.turn_frames.unwrap_or(TURN_FRAMES),
            },
            tcp,
            recorder,
            record: self.record,
            release: self.release,
            vlans: self.vlans,
        };
        settings.open(first, more)
    }
}

/// What is left to do with once the devices are complete.
struct Settings {
    config: Config,
    names: names::Names,
    manners: Manners,
    tcp: TcpOptions,
    recorder: Option<Recorder>,
    record: Option<(PathBuf, RecordingSettings)>,
    release: bool,
    vlans: Vec<InterfaceConfig>,
}

impl Settings {
    fn open(
        self,
        first: (Opened, InterfaceConfig),
        more: Vec<(Opened, InterfaceConfig)>,
    ) -> Result<Host, SpawnError> {
        let (stack, recording) = recorded(self.config, self.record)?;
        let capture = self.recorder.as_ref().map(Recorder::watch);
        let shared = Shared::new(stack, self.tcp, &self.manners).map_err(system("an eventfd"))?;
        let (now, turn_frames) = (clock::now(), shared.turn_frames);
        let mut core = shared.lock();
        core.names = self.names;
        core.keeps_lease = !self.release;
        core.devices.recorder = self.recorder;
        let mut attach = |device| {
            let attached = core.attach(now, device, turn_frames);
            attached.map_err(|refused| refused.why)
        };
        let first = attach(first)?;
        for device in more {
            attach(device)?;
        }
        for vlan in self.vlans {
            core.add_vlan(now, vlan.over(first.on), first.capabilities)?;
        }
        drop(core);

        Ok(Host {
            first: Interface::new(&shared, first),
            shared,
            thread: Mutex::new(None),
            capture,
            recording,
        })
    }
}

/// The stack with its recording if there is to be one.
fn recorded(
    config: Config,
    record: Option<(PathBuf, RecordingSettings)>,
) -> Result<(Stack, Option<RecordingWatch>), SpawnError> {
    let Some((path, settings)) = record else {
        return Ok((Stack::new(config), None));
    };
    let recording = Recording::create(path, &config, &settings)?;
    let watch = recording.watch();
    Ok((Stack::recorded(config, Box::new(recording)), Some(watch)))
}

/// Without receive super-segments the window stays below half of what the device's queue holds, or
/// one burst overflows it (docs/choices.md). What is in flight gets what the window leaves: its
/// acknowledgements, at most one for each segment, are in the same queue.
fn default_options<'a>(devices: impl IntoIterator<Item = &'a Capabilities>) -> TcpOptions {
    let options = TcpOptions::default().recv_buffer_max(RECV_BUFFER);
    let half_of_queue = |capabilities: &Capabilities| {
        let slow = !capabilities.receives_super_segments;
        let frames = capabilities.queue_frames.filter(|_| slow)?;
        let queue = frames.saturating_mul(capabilities.mtu);
        Some((queue / 2).max(BUFFER_LEAST))
    };
    match devices.into_iter().filter_map(half_of_queue).min() {
        Some(half) => options
            .recv_buffer_max(half.min(RECV_BUFFER))
            .both_ways_max(half.saturating_mul(2)),
        None => options,
    }
}

/// The stack's settings, with what the host's own ones say.
fn configured(mut config: Config, seed: Seed, turn_frames: Option<usize>) -> Config {
    config.seed = seed;
    match turn_frames {
        Some(frames) => config.transmit_budget(frames),
        None => config,
    }
}

fn entropy() -> Result<Seed, SpawnError> {
    let mut bytes = [0; 32];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(Seed::new(bytes)),
        Err(error) => Err(system("entropy")(io::Error::other(error))),
    }
}

fn system(what: &'static str) -> impl Fn(io::Error) -> SpawnError {
    move |error| SpawnError::System { what, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Medium;
    use crate::stack::TimeWaitReuse;

    #[test]
    fn both_ways_without_super_segments_fit_into_the_queue() {
        let full = Capabilities::full(Medium::Ethernet, 1500);
        let plain = Capabilities::plain(Medium::Ethernet, 1500);
        let queue = |frames, base| Capabilities {
            queue_frames: Some(frames),
            ..base
        };
        let options = TcpOptions::default();
        for (capabilities, window, both) in [
            (queue(1000, full), 4 << 20, usize::MAX),
            (queue(1000, plain), 750_000, 1_500_000),
            (queue(500, plain), 375_000, 750_000),
            (queue(2, plain), 16 << 10, 32 << 10),
            (queue(usize::MAX, plain), 4 << 20, usize::MAX - 1),
            (plain, 4 << 20, usize::MAX),
        ] {
            let expected = options.clone().recv_buffer_max(window);
            let expected = expected.both_ways_max(both);
            let used = default_options([&capabilities]);
            assert_eq!(used, expected, "{capabilities:?}");
        }
        // Of several the shortest counts.
        let (short, long) = (queue(500, plain), queue(1000, plain));
        let used = default_options([&full, &long, &short, &plain]);
        assert_eq!(used, default_options([&short]));
    }

    fn earlier_settings(config: Config) -> Config {
        config
            .neighbour_limit(11)
            .neighbour_queue(12)
            .neighbour_queue_bytes(13)
            .outbox_limit(14)
            .transmit_budget(15)
            .ephemeral_ports(5000..=5999)
            .icmp_errors_per_second(16)
            .icmp_errors_per_peer(17)
            .ttl(18)
    }

    fn later_settings(config: Config) -> Config {
        config
            .copy_below(19)
            .trust_partial_checksums(false)
            .time_wait(Duration::from_secs(20))
            .time_wait_limit(21)
            .orphan_limit(22)
            .timer_budget(23)
            .socket_memory(24)
            .reassembly_bytes(25)
            .reassembly_datagrams(26)
            .path_mtu_limit(27)
            .path_mtu_life(Some(Duration::from_secs(328)))
            .least_path_mtu(129)
            .flow_labels(false)
            .time_wait_reuse(TimeWaitReuse::Off)
            .reachable_time(Duration::from_secs(31))
    }

    /// Taken apart field by field: who adds a setting adds it here, and sees whether it is reached.
    #[test]
    fn every_setting_of_the_stack_is_reached() {
        let device = || crate::device::pair(Medium::Ip, 1500).0;
        let seed = Seed::from_number(9);
        let host = Host::builder(device())
            .config(earlier_settings)
            .seed(seed)
            .config(later_settings)
            .spawn()
            .unwrap();
        let used = host.shared.lock().stack.config.clone();
        let Config {
            seed: seed_used,
            neighbour_limit,
            neighbour_queue,
            neighbour_queue_bytes,
            outbox_limit,
            transmit_budget,
            timer_budget,
            ephemeral_ports,
            icmp_errors_per_second,
            icmp_errors_per_peer,
            ttl,
            copy_below,
            trust_partial,
            time_wait,
            time_wait_limit,
            orphan_limit,
            socket_memory,
            reassembly_bytes,
            reassembly_datagrams,
            path_mtu_limit,
            path_mtu_life,
            least_path_mtu,
            flow_labels,
            time_wait_reuse,
            reachable_time,
        } = used;
        assert!(seed_used == seed && !trust_partial && !flow_labels);
        assert_eq!(time_wait_reuse, TimeWaitReuse::Off);
        let queues = [neighbour_limit, neighbour_queue, neighbour_queue_bytes];
        assert_eq!((queues, outbox_limit), ([11, 12, 13], 14));
        assert_eq!((transmit_budget, ephemeral_ports), (15, 5000..=5999));
        assert_eq!([icmp_errors_per_second, icmp_errors_per_peer], [16, 17]);
        assert_eq!((ttl, copy_below, socket_memory), (18, 19, 24));
        assert_eq!((reassembly_bytes, reassembly_datagrams), (25, 26));
        let times = [20, 31].map(Duration::from_secs);
        assert_eq!([time_wait, reachable_time], times);
        assert_eq!([time_wait_limit, orphan_limit, timer_budget], [21, 22, 23]);
        assert_eq!((path_mtu_limit, least_path_mtu), (27, 129));
        assert_eq!(path_mtu_life, Some(Duration::from_secs(328)));

        let host = Host::builder(device()).turn_frames(7).spawn().unwrap();
        let used = host.shared.lock().stack.config.clone();
        assert_eq!(used.transmit_budget, 7);
        assert!(used.seed != Seed::new([0; 32]), "keys that anybody knows");
    }
}
