//! Opens TUN and TAP devices and sets up the kernel's side of them.
//!
//! tuntap.rst, linux/if_tun.h. *Owns* the order of the steps: attach, offloads, link up, addresses,
//! persistence last, so that whatever fails on the way leaves nothing behind. The kernel's side is
//! usable when `open` returns.

use std::fs::{File, OpenOptions};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

use super::kernel_watch::KernelWatch;
use super::netlink::{Link, LinkChange, Netlink};
use super::open::{OpenError, check_name};
use super::sys::{self, IfReq};
use super::tuntap::Memory;
use super::tuntap::{Offloads, Queue, TunTap};
use super::{Medium, virtio};
use crate::base::Cidr;

const IFF_TUN: u16 = 0x0001;
const IFF_TAP: u16 = 0x0002;
const IFF_MULTI_QUEUE: u16 = 0x0100;
const IFF_NO_PI: u16 = 0x1000;
const IFF_VNET_HDR: u16 = 0x4000;

/// Asked for from the first on until one is granted. USO4 and USO6 only come together.
const OFFLOAD_SETS: [u32; 5] = {
    let checksum = libc::TUN_F_CSUM;
    let tso = checksum | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
    let ecn = tso | libc::TUN_F_TSO_ECN;
    let uso = ecn | libc::TUN_F_USO4 | libc::TUN_F_USO6;
    [uso, ecn, tso, checksum, 0]
};

/// Frames that the kernel queues for an interface that is new (docs/choices.md).
const QUEUE_FRAMES: u32 = 10_000;

/// Builds a [`Tap`](super::Tap) or a [`Tun`](super::Tun). What is not set stays as it is on an interface that exists; on a
/// new one it is the kernel's default, but for [`txqueuelen`](Self::txqueuelen). The link is set up in any case.
#[derive(Debug)]
#[must_use]
pub struct Builder<D> {
    name: Option<String>,
    addresses: Vec<Cidr>,
    mtu: Option<u32>,
    queue: Option<u32>,
    offload: bool,
    persist: Option<bool>,
    owner: Option<u32>,
    path: PathBuf,
    memory: Memory,
    device: PhantomData<fn() -> D>,
}

/// The kinds of device that a [`Builder`] builds.
pub(super) trait Kind {
    const MEDIUM: Medium;
    /// For messages.
    const NAME: &'static str;
}

impl<D> Builder<D> {
    pub(super) fn new() -> Self {
        Self {
            name: None,
            addresses: Vec::new(),
            mtu: None,
            queue: None,
            offload: true,
            persist: None,
            owner: None,
            path: PathBuf::from("/dev/net/tun"),
            memory: Memory::DEFAULT,
            device: PhantomData,
        }
    }

    /// The interface's name, at most 15 bytes; a `%d` in it becomes the first free number. Without
    /// one the kernel chooses `tapN` or `tunN`. An interface that exists is opened as it is.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Gives the kernel's side an address, as in `10.7.0.1/24`. May be repeated, for both families. IPv6
    /// addresses are usable at once: the kernel does no duplicate detection for them (RFC 4862 §5.4 leaves
    /// that to the interface's setting).
    pub fn kernel_address(mut self, address: Cidr) -> Self {
        self.addresses.push(address);
        self
    }

    /// The MTU in bytes: the largest IP packet.
    pub const fn mtu(mut self, bytes: u32) -> Self {
        self.mtu = Some(bytes);
        self
    }

    /// How many frames the kernel queues for us (`txqueuelen`): 10,000 by default on an interface that
    /// is made here (docs/choices.md); one that exists keeps what it has. What comes on top is lost,
    /// and counted: [`Device::watch`](super::Device::watch).
    pub const fn txqueuelen(mut self, frames: u32) -> Self {
        self.queue = Some(frames);
        self
    }

    /// May the kernel and we leave checksums and segmentation to each other? On by default.
    pub const fn offload(mut self, offload: bool) -> Self {
        self.offload = offload;
        self
    }

    /// Does the interface stay when the device is dropped?
    pub const fn persist(mut self, persist: bool) -> Self {
        self.persist = Some(persist);
        self
    }

    /// The user id that may open the interface without rights.
    pub const fn owner(mut self, user: u32) -> Self {
        self.owner = Some(user);
        self
    }

    /// Bytes of each chunk of the receive buffer, 256 KiB by default and at least the longest frame.
    /// Received payload is a slice of a chunk and keeps the whole of it in memory.
    pub const fn receive_chunk(mut self, bytes: usize) -> Self {
        self.memory.chunk = bytes;
        self
    }

    /// Bytes of such chunks that slices may keep, 32 MiB by default and two chunks at least. Beyond it
    /// each frame is copied into memory of its own size, until a chunk comes back.
    pub const fn kept_memory(mut self, bytes: usize) -> Self {
        self.memory.kept = bytes;
        self
    }

    /// The device node, `/dev/net/tun` by default.
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = path.into();
        self
    }
}

#[expect(private_bounds, reason = "only TAP and TUN are kinds")]
impl<D: Kind + From<TunTap>> Builder<D> {
    /// Opens the device.
    ///
    /// # Errors
    /// An [`OpenError`] that says what is wrong and what helps. Nothing stays behind then.
    pub fn open(self) -> Result<D, OpenError> {
        let mut netlink = Netlink::open().map_err(setup("reach the kernel by netlink"))?;
        let name = self.checked_name()?;
        let new = is_new(&mut netlink, &name);
        let queue = self.attach(&mut netlink, &name, 0)?;
        let link = self.finish(&mut netlink, &queue, new)?;
        let watch = watch(netlink, link.index);
        Ok(TunTap::new(queue, D::MEDIUM, &link, self.memory, watch).into())
    }

    /// Opens the device with several queues, each a device of its own; the kernel spreads flows over
    /// them by hash. An interface that exists must have been made with several queues as well.
    ///
    /// For programs that read them all. A stack for each queue does not work: what answers a packet
    /// that was sent by one may come by another. So no [`Host`](crate::host::Host) takes one of
    /// several.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_queues(self, queues: usize) -> Result<Vec<D>, OpenError> {
        let mut netlink = Netlink::open().map_err(setup("reach the kernel by netlink"))?;
        let mut opened: Vec<Queue> = Vec::with_capacity(queues);
        let mut name = self.checked_name()?;
        let new = is_new(&mut netlink, &name);
        for _ in 0..queues.max(1) {
            let queue = self.attach(&mut netlink, &name, IFF_MULTI_QUEUE)?;
            name.clone_from(&queue.name);
            opened.push(queue);
        }
        let link = self.finish(&mut netlink, &opened[0], new)?;
        let watch = watch(netlink, link.index);
        let one_of_several = opened.len() > 1;
        let device = |queue| {
            let queue = Queue {
                one_of_several,
                ..queue
            };
            TunTap::new(queue, D::MEDIUM, &link, self.memory, watch.clone()).into()
        };
        Ok(opened.into_iter().map(device).collect())
    }

    /// Takes a descriptor that is attached already, and makes it non-blocking. Of the settings only
    /// `offload` acts on it; `mtu` states what the interface has, and is looked up when not stated.
    ///
    /// # Errors
    /// [`OpenError::NotAttached`], [`OpenError::WrongKind`], [`OpenError::PacketInformation`] when it is not what
    /// it should be; [`OpenError::Elsewhere`] when the MTU is neither stated nor to be found, as the
    /// interface is in another network namespace. (Who may not ask for that, without CAP_NET_ADMIN, gets
    /// what the interface of this name has in the caller's.)
    pub fn from_fd(self, fd: OwnedFd) -> Result<D, OpenError> {
        let request = sys::attached(&fd).map_err(|errno| OpenError::NotAttached {
            source: errno.into(),
        })?;
        let name = request.name();
        if request.flags() & (IFF_TUN | IFF_TAP) != kind_flag::<D>() {
            let wanted = D::NAME;
            return Err(OpenError::WrongKind {
                name,
                wanted,
                tun_tap: true,
            });
        }
        if request.flags() & IFF_NO_PI == 0 {
            return Err(OpenError::PacketInformation { name });
        }
        set_non_blocking(&fd).map_err(setup("make the descriptor non-blocking"))?;
        let virtio = request.flags() & IFF_VNET_HDR != 0;
        let offloads = self.negotiate(&fd, virtio)?;
        let (found, watch) = match interface_of(&fd, &name) {
            Ok((link, netlink)) => {
                let index = link.index;
                (Ok(link), watch(netlink, index))
            }
            Err(errno) => (Err(errno), None),
        };
        let link = match (found, self.mtu) {
            (Ok(link), None) => link,
            (found, Some(mtu)) => Link {
                mtu: usize::try_from(mtu).unwrap_or(usize::MAX),
                ..found.unwrap_or_default()
            },
            (Err(_), None) => return Err(OpenError::Elsewhere { name }),
        };
        let queue = Queue {
            fd,
            name,
            virtio,
            offloads,
            one_of_several: request.flags() & IFF_MULTI_QUEUE != 0 && link.queues != Some(1),
        };
        Ok(TunTap::new(queue, D::MEDIUM, &link, self.memory, watch).into())
    }

    /// The name asked for; empty when the kernel is to choose.
    fn checked_name(&self) -> Result<String, OpenError> {
        self.name.as_deref().map_or(Ok(()), check_name)?;
        Ok(self.name.clone().unwrap_or_default())
    }

    /// Opens the node and attaches it to the interface.
    fn attach(&self, netlink: &mut Netlink, name: &str, extra: u16) -> Result<Queue, OpenError> {
        let fd = self.open_node()?;
        let features = sys::features(&fd).map_err(setup("ask for the driver's features"))?;
        let virtio = self.offload && features & u32::from(IFF_VNET_HDR) != 0;
        let flags = kind_flag::<D>() | IFF_NO_PI | extra | if virtio { IFF_VNET_HDR } else { 0 };
        let name = sys::attach(&fd, IfReq::new(name, flags))
            .map_err(|errno| attach_error::<D>(netlink, name, errno))?;
        let offloads = self.negotiate(&fd, virtio)?;
        Ok(Queue {
            fd,
            name,
            virtio,
            offloads,
            one_of_several: false,
        })
    }

    fn open_node(&self) -> Result<OwnedFd, OpenError> {
        let path = self.path.clone();
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path);
        match opened {
            Ok(file) => Ok(file.into()),
            Err(source) => Err(match source.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => OpenError::NoDriver { path },
                Some(Errno::EACCES | Errno::EPERM) => OpenError::NodeDenied { path },
                _ => OpenError::Node { path, source },
            }),
        }
    }

    /// Asks for the offloads, set by set. An interface that existed may have others left from its last
    /// holder, so they are set in any case (r68 in docs/regressions.md).
    fn negotiate(&self, fd: &OwnedFd, virtio: bool) -> Result<Offloads, OpenError> {
        if virtio {
            sys::set_virtio_header(fd, virtio::LEN).map_err(setup("set the virtio header"))?;
        }
        let wanted = if virtio && self.offload {
            &OFFLOAD_SETS[..]
        } else {
            &[0]
        };
        let mut refused = Errno::EINVAL;
        for &set in wanted {
            match sys::set_offload(fd, set) {
                Ok(()) => return Ok(granted(set)),
                Err(errno) => refused = errno,
            }
        }
        Err(setup("set the offloads")(refused))
    }

    /// Sets up the interface behind `queue`; what it is then.
    fn finish(&self, netlink: &mut Netlink, queue: &Queue, new: bool) -> Result<Link, OpenError> {
        let name = &queue.name;
        let link = netlink.link(name).map_err(setup("find the interface"))?;
        if let Some(user) = self.owner {
            sys::set_owner(&queue.fd, user)
                .map_err(|errno| denied(name, errno, setup("set the owner")))?;
        }
        let frames = self.queue.or_else(|| new.then_some(QUEUE_FRAMES));
        self.change_link(netlink, name, &link, frames)?;
        for &address in &self.addresses {
            netlink.add_address(link.index, address).map_err(|errno| {
                denied(name, errno, |errno| OpenError::Address {
                    address,
                    source: errno.into(),
                })
            })?;
        }
        wait_until_routed(netlink, link.index, &self.addresses)?;
        if let Some(persist) = self.persist {
            sys::set_persistent(&queue.fd, persist)
                .map_err(|errno| denied(name, errno, setup("set the persistence")))?;
        }
        netlink.link(name).map_err(setup("find the interface"))
    }

    fn change_link(
        &self,
        netlink: &mut Netlink,
        name: &str,
        link: &Link,
        queue: Option<u32>,
    ) -> Result<(), OpenError> {
        if let Some(mtu) = self.mtu {
            let change = LinkChange {
                mtu: Some(mtu),
                ..LinkChange::default()
            };
            netlink.change(link.index, change).map_err(|errno| {
                denied(name, errno, |errno| OpenError::Mtu {
                    mtu,
                    source: errno.into(),
                })
            })?;
        }
        if !link.up || queue.is_some() {
            let change = LinkChange {
                up: true,
                queue,
                ..LinkChange::default()
            };
            netlink
                .change(link.index, change)
                .map_err(|errno| denied(name, errno, setup("set the interface up")))?;
        }
        Ok(())
    }
}

/// The interface that `fd` is attached to; ENODEV when it is in another namespace than this thread,
/// where an interface of the same name is a stranger.
fn interface_of(fd: &OwnedFd, name: &str) -> Result<(Link, Netlink), Errno> {
    if let Ok(theirs) = sys::namespace(fd)
        && let Ok(ours) = std::fs::metadata("/proc/thread-self/ns/net")
        && let Ok(theirs) = File::from(theirs).metadata()
        && (ours.dev(), ours.ino()) != (theirs.dev(), theirs.ino())
    {
        return Err(Errno::ENODEV);
    }
    let mut netlink = Netlink::open()?;
    let link = netlink.link(name)?;
    if link.tun_tap {
        Ok((link, netlink))
    } else {
        Err(Errno::ENODEV)
    }
}

/// Will an interface of this name be made? Empty, or with a `%d`, it becomes one that is free.
fn is_new(netlink: &mut Netlink, name: &str) -> bool {
    name.is_empty() || name.contains('%') || netlink.link(name).is_err()
}

/// Counters are a help, not a need: without them the device works all the same.
fn watch(netlink: Netlink, index: u32) -> Option<Arc<KernelWatch>> {
    KernelWatch::new(netlink, index).ok().map(Arc::new)
}

fn kind_flag<D: Kind>() -> u16 {
    match D::MEDIUM {
        Medium::Ethernet => IFF_TAP,
        Medium::Ip => IFF_TUN,
    }
}

const fn granted(set: u32) -> Offloads {
    Offloads {
        checksum: set & libc::TUN_F_CSUM != 0,
        tso: set & libc::TUN_F_TSO4 != 0,
        tso_ecn: set & libc::TUN_F_TSO_ECN != 0,
        uso: set & libc::TUN_F_USO4 != 0,
    }
}

fn attach_error<D: Kind>(netlink: &mut Netlink, name: &str, errno: Errno) -> OpenError {
    let existing = netlink.link(name).ok();
    let name = name.to_owned();
    match (errno, existing) {
        (Errno::EPERM | Errno::EACCES, _) => OpenError::NotPermitted {
            what: format!("open the interface {name}"),
        },
        (Errno::EBUSY, _) => OpenError::Busy { name },
        (Errno::EINVAL, Some(link)) => OpenError::WrongKind {
            name,
            wanted: D::NAME,
            tun_tap: link.tun_tap,
        },
        _ => setup("make the interface")(errno),
    }
}

/// Says that a right is missing where it is, else what `otherwise` makes of it.
fn denied(name: &str, errno: Errno, otherwise: impl FnOnce(Errno) -> OpenError) -> OpenError {
    if errno == Errno::EPERM {
        OpenError::NotPermitted {
            what: format!("set up the interface {name}"),
        }
    } else {
        otherwise(errno)
    }
}

fn setup(what: &'static str) -> impl Fn(Errno) -> OpenError {
    move |errno| OpenError::Setup {
        what,
        source: io::Error::from(errno),
    }
}

/// Waits until the kernel takes packets to the IPv6 addresses among these. It inserts the route in a work
/// item of its own, usually within a few microseconds of the acknowledgement.
fn wait_until_routed(
    netlink: &mut Netlink,
    index: u32,
    addresses: &[Cidr],
) -> Result<(), OpenError> {
    const STEP: Duration = Duration::from_micros(100);
    const STEPS: u32 = 20_000;
    for &cidr in addresses.iter().filter(|cidr| cidr.address().is_ipv6()) {
        let mut steps = 0;
        while !netlink
            .is_local(index, cidr.address())
            .map_err(setup("look up the route to its address"))?
        {
            if steps == STEPS {
                return Err(OpenError::Address {
                    address: cidr,
                    source: io::ErrorKind::TimedOut.into(),
                });
            }
            std::thread::sleep(STEP);
            steps += 1;
        }
    }
    Ok(())
}

fn set_non_blocking(fd: impl AsFd) -> Result<(), Errno> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Tap, Tun};

    #[test]
    fn what_was_granted_is_what_is_said() {
        let [all, ecn, tso, checksum, none] = OFFLOAD_SETS.map(granted);
        assert!(all.uso && all.tso_ecn && all.tso && all.checksum);
        assert!(!ecn.uso && ecn.tso_ecn && !tso.tso_ecn && tso.tso);
        assert!(checksum.checksum && !checksum.tso);
        assert_eq!(none, Offloads::default());
    }

    #[test]
    fn a_bad_name_or_node_is_said_before_anything_is_made() {
        let long = Tap::builder().name("abcdefghijklmnop").open();
        assert!(matches!(long, Err(OpenError::NameTooLong { .. })));
        let path = "/nonexistent/tun";
        let missing = Tun::builder().path(path).open();
        assert!(matches!(missing, Err(OpenError::NoDriver { .. })));
        let strange = Tun::builder().path("/dev/null").open();
        assert!(matches!(strange, Err(OpenError::Setup { .. })));
    }

    #[test]
    fn a_descriptor_of_another_kind_is_refused() {
        let file = File::open("/dev/null").unwrap();
        let device = Tap::builder().from_fd(file.into());
        assert!(matches!(device, Err(OpenError::NotAttached { .. })));
    }
}
