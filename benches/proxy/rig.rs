//! Namespaces, the proxy, and the host that it is measured beside.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio, id};
use std::thread;

use netloom::bytes::Bytes;
use netloom::device::Tun;
use netloom::host::{Host, TcpStream};
use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::common::{ip, new_namespace};
use super::socks5::{self, Service};

/// Who takes the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// A host of netloom's itself.
    Own,
    /// Somebody behind the proxy.
    Proxy,
}

impl Way {
    pub(crate) const ALL: [Self; 2] = [Self::Own, Self::Proxy];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Own => "netloom itself",
            Self::Proxy => "netloom proxy",
        }
    }

    pub(crate) fn to(self, service: Service) -> SocketAddr {
        let ip = match self {
            Self::Own => Ipv4Addr::new(10, 8, 0, 2),
            Self::Proxy => Ipv4Addr::new(192, 0, 2, 7),
        };
        (ip, service.port()).into()
    }
}

/// All that runs beside the clients, in whose namespace the devices are.
pub(crate) struct Rig {
    proxy: Child,
    _own: Host,
}

impl Rig {
    /// Before any thread is started.
    pub(crate) fn make() -> Result<Self, Box<dyn Error>> {
        raise_descriptors()?;
        new_namespace()?;
        settle()?;
        let far = File::open("/proc/thread-self/ns/net")?;
        new_namespace()?;
        settle()?;
        let path = format!("/proc/{}/fd/{}", id(), far.as_raw_fd());
        ip(&format!("link add v0 type veth peer name v1 netns {path}"))?;
        ip("addr add 10.9.0.1/24 dev v0")?;
        ip("link set v0 up")?;
        thread::scope(|scope| {
            let start = || -> Result<(), String> {
                setns(&far, CloneFlags::CLONE_NEWNET).map_err(|error| error.to_string())?;
                ip("addr add 10.9.0.2/24 dev v1")?;
                ip("link set v1 up")?;
                socks5::serve((Ipv4Addr::new(10, 9, 0, 2), 1080).into())
                    .map_err(|error| error.to_string())
            };
            let started = scope.spawn(start).join();
            started.map_err(|_| "the SOCKS5 server panicked".to_owned())?
        })?;
        let own = own()?;
        Ok(Self {
            proxy: proxy()?,
            _own: own,
        })
    }

    pub(crate) fn stop(mut self) {
        // It is ours, and has nothing to say any more.
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

/// The tool, when it is ready.
fn proxy() -> Result<Child, Box<dyn Error>> {
    let mut proxy = Command::new(env!("CARGO_BIN_EXE_netloom"));
    proxy.args(["proxy", "--tun", "nl0", "--socks5", "10.9.0.2:1080"]);
    proxy.args([
        "--kernel-address",
        "10.7.0.1/24",
        "--address",
        "10.7.0.2/24",
    ]);
    let mut proxy = proxy.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let words = proxy.stdout.take().ok_or("it says nothing")?;
    let mut words = BufReader::new(words).lines();
    for word in words.by_ref() {
        if word?.contains("ready") {
            break;
        }
    }
    // It is not to wait for who reads it.
    thread::spawn(move || words.count());
    ip("route add 192.0.2.0/24 dev nl0")?;
    Ok(proxy)
}

/// A host that takes and gives bytes itself.
fn own() -> Result<Host, Box<dyn Error>> {
    let tun = Tun::builder()
        .name("nl1")
        .kernel_address("10.8.0.1/24".parse()?)
        .open()?;
    let host = Host::builder(tun).address("10.8.0.2/24".parse()?).spawn()?;
    for service in [Service::Discard, Service::Source] {
        let listener = host.tcp_listen(("0.0.0.0", service.port()))?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that has enough resets.
                let _ = answer(service, &stream);
            }
        });
    }
    Ok(host)
}

fn answer(service: Service, stream: &TcpStream) -> std::io::Result<()> {
    if service == Service::Source {
        let block = Bytes::from(vec![0x5a; 256 << 10]);
        loop {
            stream.write_all_chunk(block.clone())?;
        }
    }
    while !stream.read_chunk(1 << 20)?.is_empty() {}
    Ok(())
}

fn settle() -> Result<(), String> {
    ip("link set lo up")?;
    for (name, value) in [
        ("ipv4/ip_local_port_range", "10000 65000"),
        ("ipv4/tcp_max_tw_buckets", "0"),
        ("core/somaxconn", "4096"),
        ("ipv4/tcp_max_syn_backlog", "4096"),
    ] {
        let path = format!("/proc/sys/net/{name}");
        fs::write(&path, value).map_err(|error| format!("cannot set {name}: {error}"))?;
    }
    Ok(())
}

/// Clients and the SOCKS5 server are in this process.
fn raise_descriptors() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}
