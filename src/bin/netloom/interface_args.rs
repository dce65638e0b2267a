//! The options that say which interface a command uses, and the host made from them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use netloom::base::Cidr;
use netloom::device::{Device, HostReceive, HostTransmit, Tap, Tun};
use netloom::host::{Host, HostBuilder};

use crate::failure::Failure;

/// How long duplicate detection and the like may take before the addresses count as unusable.
const READY_WITHIN: Duration = Duration::from_secs(15);

/// The interface options that `serve`, `get`, `send` and `ping` share.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct InterfaceArgs {
    /// Use the TAP device NAME (Ethernet frames); it is made when it does not exist.
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "tun",
        conflicts_with = "tun"
    )]
    tap: Option<String>,
    /// Use the TUN device NAME (IP packets); it is made when it does not exist.
    #[arg(long, value_name = "NAME")]
    tun: Option<String>,
    /// Give the kernel's side of the device this address, as in 10.7.0.1/24. May be repeated.
    #[arg(long, value_name = "CIDR")]
    kernel_address: Vec<Cidr>,
    /// An address of the netloom host, as in 10.7.0.2/24 or fd07::2/64. May be repeated.
    #[arg(long, value_name = "CIDR", required = true)]
    address: Vec<Cidr>,
    /// A default gateway of the netloom host. May be repeated.
    #[arg(long, value_name = "IP")]
    gateway: Vec<IpAddr>,
    /// The MTU of the device, in bytes.
    #[arg(long, value_name = "N")]
    mtu: Option<u32>,
    /// Do without checksum and segmentation offload.
    #[arg(long)]
    no_offload: bool,
    /// The congestion control: only `reno` is there yet.
    #[arg(long, value_name = "NAME", value_parser = congestion)]
    congestion: Option<String>,
    /// Write everything that is sent and received to this pcapng file.
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
}

impl InterfaceArgs {
    /// Opens the device and spawns the host on it; its addresses are usable on return.
    ///
    /// # Errors
    /// The device's, the host's or duplicate detection's, with what helps.
    pub(crate) fn ready_host(&self) -> Result<Host, Failure> {
        let host = self.host()?;
        host.wait_ready(READY_WITHIN).map_err(Failure::new)?;
        Ok(host)
    }

    fn host(&self) -> Result<Host, Failure> {
        if let Some(name) = &self.tun {
            let mut builder = Tun::builder().name(name).offload(!self.no_offload);
            for &address in &self.kernel_address {
                builder = builder.kernel_address(address);
            }
            if let Some(mtu) = self.mtu {
                builder = builder.mtu(mtu);
            }
            return self.spawn(Host::builder(builder.open().map_err(Failure::new)?));
        }
        let name = self.tap.as_deref().unwrap_or_default();
        let mut builder = Tap::builder().name(name).offload(!self.no_offload);
        for &address in &self.kernel_address {
            builder = builder.kernel_address(address);
        }
        if let Some(mtu) = self.mtu {
            builder = builder.mtu(mtu);
        }
        self.spawn(Host::builder(builder.open().map_err(Failure::new)?))
    }

    fn spawn<D>(&self, mut builder: HostBuilder<D>) -> Result<Host, Failure>
    where
        D: Device,
        D::Rx: HostReceive,
        D::Tx: HostTransmit,
    {
        for &address in &self.address {
            builder = builder.address(address);
        }
        for &gateway in &self.gateway {
            builder = builder.gateway(gateway);
        }
        if let Some(path) = &self.capture {
            builder = builder.capture(path);
        }
        builder.spawn().map_err(Failure::new)
    }
}

fn congestion(name: &str) -> Result<String, String> {
    if name == "reno" {
        Ok(name.to_owned())
    } else {
        Err("only `reno` is there yet".to_owned())
    }
}
