//! The demo's two ends: a netloom host, and the kernel or a second netloom host.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use netloom::base::Cidr;
use netloom::capture::CaptureSettings;
use netloom::device::{Device, HostReceive, HostTransmit, Medium, Tap, pair};
use netloom::host::Host;

use super::kernel::Kernel;
use super::side::Side;
use crate::failure::Failure;
use crate::namespace;

const MTU: usize = 1500;
/// The other end's addresses, then netloom's.
const PEER: [&str; 2] = ["10.7.0.1/24", "fd07::1/64"];
const OURS: [&str; 2] = ["10.7.0.2/24", "fd07::2/64"];
const SNAP_LEN: u32 = 192;
const SIZE_LIMIT: u64 = 64 << 20;
const READY_WITHIN: Duration = Duration::from_secs(5);
const END_WITHIN: Duration = Duration::from_secs(2);

/// Both ends and how they are joined.
pub(crate) struct World {
    pub(crate) netloom: Host,
    pub(crate) peer: Box<dyn Side>,
    pub(crate) device: String,
    /// Why the kernel is not the other end, when it is not.
    pub(crate) fallback: Option<String>,
}

impl World {
    /// Makes both ends; with two netloom hosts where no TAP can be opened.
    pub(crate) fn make(capture: &Path, only_new: bool) -> Result<Self, Failure> {
        match open_tap() {
            Ok(tap) => {
                let device = format!("TAP {}, MTU {MTU}", tap.name());
                let netloom = spawn(tap, OURS, Some((capture, only_new)))?;
                Ok(Self {
                    netloom,
                    peer: Box::new(Kernel),
                    device,
                    fallback: None,
                })
            }
            Err(why) => {
                let (ours, theirs) = pair(Medium::Ethernet, MTU);
                let netloom = spawn(ours, OURS, Some((capture, only_new)))?;
                let peer = Box::new(spawn(theirs, PEER, None)?);
                let device = String::from("the in-memory pair");
                Ok(Self {
                    netloom,
                    peer,
                    device,
                    fallback: Some(why),
                })
            }
        }
    }

    /// netloom's end, then the other.
    pub(crate) fn sides(&self) -> [&dyn Side; 2] {
        [&self.netloom, &*self.peer]
    }

    /// The address of a side, as ordered by [`sides`](Self::sides).
    pub(crate) fn address(side: usize, v6: bool) -> IpAddr {
        let list = if side == 0 { OURS } else { PEER };
        cidr(list[usize::from(v6)]).address()
    }

    pub(crate) fn endpoint(side: usize, v6: bool, port: u16) -> SocketAddr {
        SocketAddr::new(Self::address(side, v6), port)
    }

    /// Ends connections in order and writes the capture out.
    pub(crate) fn end(self) {
        self.netloom.shutdown(END_WITHIN);
    }
}

fn open_tap() -> Result<Tap, String> {
    namespace::enter()?;
    let mut builder = Tap::builder().name("nl0").mtu(MTU as u32);
    for address in PEER {
        builder = builder.kernel_address(cidr(address));
    }
    builder.open().map_err(|error| error.to_string())
}

fn spawn<D>(
    device: D,
    addresses: [&str; 2],
    capture: Option<(&Path, bool)>,
) -> Result<Host, Failure>
where
    D: Device,
    D::Rx: HostReceive,
    D::Tx: HostTransmit,
{
    let mut builder = Host::builder(device).dad_transmits(0);
    for address in addresses {
        builder = builder.address(cidr(address));
    }
    if let Some((path, only_new)) = capture {
        let settings = CaptureSettings::new(SystemTime::now())
            .snap_len(SNAP_LEN)
            .only_new(only_new)
            .size_limit(Some(SIZE_LIMIT));
        builder = builder.capture_with(path, settings);
    }
    let host = builder.spawn().map_err(Failure::new)?;
    host.wait_ready(READY_WITHIN).map_err(Failure::new)?;
    Ok(host)
}

fn cidr(text: &str) -> Cidr {
    text.parse().expect("the demo's addresses are well formed")
}
