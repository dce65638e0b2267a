//! The namespaces, their settings, the host and the bridge between them.

use std::error::Error;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use netloom::device::{Pair, Tap};
use netloom::host::Host;
use netloom::tcp::congestion::Choice;
use netloom::tcp::{Ecn, TcpOptions};
use nix::sched::{CloneFlags, setns};

use super::bridge::{Bridge, Idle, Port, capabilities};
use super::common::{command, ip, new_namespace, pin};

/// Why a measurement did not come about; goes from one thread to another.
pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// Who takes part: each is a port of the bridge, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Station {
    /// The kernel of the first namespace.
    Near = 0,
    /// The kernel of the second.
    Far = 1,
    /// netloom.
    Own = 2,
}

impl Station {
    const fn ip(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 9, 0, self as u8 + 1)
    }

    pub(crate) fn at(self, port: u16) -> SocketAddr {
        (self.ip(), port).into()
    }
}

/// Frames that wait at the host's port on the bridge, each way: a burst of its send buffer.
const PAIR_FRAMES: usize = 10_000;

/// The kernel's settings in both namespaces, below `/proc/sys/net/`.
pub(crate) const SETTINGS: [(&str, &str); 4] = [
    ("ipv4/tcp_wmem", "4096 16384 67108864"),
    ("ipv4/tcp_rmem", "4096 131072 67108864"),
    ("ipv4/tcp_no_metrics_save", "1"),
    ("ipv6/conf/all/disable_ipv6", "1"),
];

/// What netloom's send buffers may grow to: the kernels', as above. By default they end at a quarter of that, which is less
/// than what is under way at 1 Gbit/s and 100 ms when some of it is late. All else is what the host makes of its
/// device: what is in flight is bound by its queue.
const SEND_BUFFER_MAX: usize = 64 << 20;

/// All that a measurement runs on.
pub(crate) struct Rig {
    kernels: [Kernel; 2],
    pub(crate) host: Host,
    pub(crate) bridge: Bridge,
    pub(crate) cpus: usize,
    /// Why all runs among whatever else the machine does, if it does.
    pub(crate) no_priority: Option<String>,
    /// The congestion control of netloom's connections, and do they ask for ECN?
    own: Mutex<(Choice, Ecn)>,
}

/// A namespace with one TAP.
struct Kernel {
    namespace: File,
    device: &'static str,
    /// Why it takes what comes on the bridge's processor, if it does.
    steers: Result<(), String>,
}

impl Rig {
    /// Makes it all, and captures what netloom sends and receives. Before any thread is started.
    pub(crate) fn make(capture: Option<&Path>) -> Result<Self, Failed> {
        let cpus = thread::available_parallelism()?.get();
        if cpus < 2 {
            return Err("the bridge needs a processor of its own".into());
        }
        let (near, near_tap) = kernel("nlnear", Station::Near, cpus)?;
        let (far, far_tap) = kernel("nlfar", Station::Far, cpus)?;
        pin(0..cpus - 1)?;
        let (own, own_port) = Pair::new(capabilities(), PAIR_FRAMES);
        let no_priority = take_priority().err();
        let idle = match no_priority {
            None => Idle::Nap,
            Some(_) => Idle::Spin,
        };
        let ports = vec![Port::new(near_tap), Port::new(far_tap), Port::new(own_port)];
        let bridge = Bridge::start(ports, cpus - 1, idle);
        let mut host = Host::builder(own).address(format!("{}/24", Station::Own.ip()).parse()?);
        if let Some(file) = capture {
            host = host.capture(file);
        }
        let host = host.spawn()?;
        host.wait_ready(Duration::from_secs(10))?;
        Ok(Self {
            kernels: [near, far],
            host,
            bridge,
            cpus,
            no_priority,
            own: Mutex::default(),
        })
    }

    /// Why a kernel does its receiver's work on the bridge's processor, if one does.
    pub(crate) fn not_steered(&self) -> Option<&str> {
        let mut kernels = self.kernels.iter();
        kernels.find_map(|kernel| Some(&kernel.steers.as_ref().err()?[..]))
    }

    /// The kernel of a station; `None` for netloom's own.
    fn kernel(&self, station: Station) -> Option<&Kernel> {
        self.kernels.get(station as usize)
    }

    /// Runs `work` where a station's sockets are made.
    pub(crate) fn within<T: Send>(
        &self,
        station: Station,
        work: impl FnOnce() -> T + Send,
    ) -> Result<T, Failed> {
        let Some(kernel) = self.kernel(station) else {
            return Ok(work());
        };
        let entered = thread::scope(|scope| {
            let enter = || setns(&kernel.namespace, CloneFlags::CLONE_NEWNET).map(|()| work());
            scope.spawn(enter).join()
        });
        Ok(entered.map_err(|_| "a thread of the bench panicked")??)
    }

    /// Lets both kernels, and netloom's connections from now on, use these algorithms, and ask for ECN or not. The
    /// kernels' by the route: a socket that was born under another one keeps traits of it, and a namespace's
    /// default is not ours to allow.
    pub(crate) fn set(&self, name: &str, own: Choice, ecn: bool) -> Result<(), Failed> {
        let asks = if ecn { Ecn::Ask } else { Ecn::Accept };
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = (own, asks);
        for station in [Station::Near, Station::Far] {
            let device = self.kernels[station as usize].device;
            let own = station.ip();
            let words = format!(
                "route replace 10.9.0.0/24 dev {device} proto kernel scope link src {own} congctl {name}"
            );
            self.within(station, || -> Result<(), Failed> {
                ip(&words)?;
                set("ipv4/tcp_ecn", if ecn { "1" } else { "2" })
            })??;
        }
        Ok(())
    }

    /// The options of netloom's connections.
    pub(crate) fn options(&self) -> TcpOptions {
        let (choice, ecn) = &*self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let options = self.host.tcp_options().clone();
        options
            .send_buffer_max(SEND_BUFFER_MAX)
            .congestion(choice.clone())
            .ecn(*ecn)
    }
}

/// A setting of the calling thread's namespace, below `/proc/sys/net/`.
fn set(name: &str, value: &str) -> Result<(), Failed> {
    let path = format!("/proc/sys/net/{name}");
    fs::write(&path, value).map_err(|error| format!("cannot set {name}: {error}").into())
}

/// Moves the process into a new namespace, and opens a TAP there.
fn kernel(device: &'static str, station: Station, cpus: usize) -> Result<(Kernel, Tap), Failed> {
    new_namespace()?;
    for (name, value) in SETTINGS {
        set(name, value)?;
    }
    let tap = Tap::builder()
        .name(device)
        .mtu(1500)
        .kernel_address(format!("{}/24", station.ip()).parse()?)
        .offload(false)
        .open()?;
    let steers = steer(device, cpus);
    let namespace = File::open("/proc/thread-self/ns/net")?;
    let kernel = Kernel {
        namespace,
        device,
        steers,
    };
    Ok((kernel, tap))
}

/// Lets the kernel of the calling thread's namespace take what the bridge writes on the other processors (RPS): else
/// the bridge's thread does a receiver's work, and what that sends. A namespace's devices are in a
/// sysfs of its own only.
fn steer(device: &str, cpus: usize) -> Result<(), String> {
    let mask = (1_u32 << (cpus - 1).min(31)) - 1;
    let file = format!("/sys/class/net/{device}/queues/rx-0/rps_cpus");
    let script = format!("mount -t sysfs sysfs /sys && echo {mask:x} > {file}");
    let args = ["-m", "sh", "-c", &script];
    command("unshare", "util-linux", &args)
}

/// Frames that the kernel had no room for on their way from one processor to another, since it runs.
pub(crate) fn unsteered() -> u64 {
    let text = fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default();
    let dropped = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    text.lines().filter_map(dropped).sum()
}

/// Gives the process, and all threads it starts from now on, real-time priority: what else the machine
/// does waits for both ends and the wire between them. The least there is: it is above all that has none.
fn take_priority() -> Result<(), String> {
    let own = std::process::id().to_string();
    let words = ["--fifo", "--all-tasks", "--pid", "1", &own];
    command("chrt", "util-linux", &words)
}
