//! Devices: the traits, and what implements them.
//!
//! *Owns* every frame's way in and out of the program: [`Tap`] and [`Tun`], the in-memory [`pair`],
//! wrappers for what a device cannot do itself ([`Segmented`], [`Coalesce`]), one direction of a link
//! as a value ([`Wire`]), and a device behind two of them ([`Impair`]). Wrappers stand in the order coalesce(segment(capture(impair(device)))). *Does not* know
//! addresses, sockets or time: a caller's `now` is all there is.

mod coalesce;
mod impair;
mod impair_control;
mod layout;
mod pair;
mod segment;
#[cfg(all(target_os = "linux", feature = "host"))]
mod singles;
mod traits;
mod wire;

#[cfg(all(target_os = "linux", feature = "host"))]
mod builder;
#[cfg(all(target_os = "linux", feature = "host"))]
mod kernel_watch;
#[cfg(all(target_os = "linux", feature = "host"))]
mod netlink;
#[cfg(all(target_os = "linux", feature = "host"))]
mod open;
#[cfg(all(target_os = "linux", feature = "host"))]
mod signal;
#[cfg(not(all(target_os = "linux", feature = "host")))]
#[path = "signal_none.rs"]
mod signal;
#[cfg(all(target_os = "linux", feature = "host"))]
mod sys;
#[cfg(all(target_os = "linux", feature = "host"))]
mod tap;
#[cfg(all(target_os = "linux", feature = "host"))]
mod tun;
#[cfg(all(target_os = "linux", feature = "host"))]
mod tuntap;
#[cfg(all(target_os = "linux", feature = "host"))]
mod virtio;
#[cfg(all(target_os = "linux", feature = "host"))]
mod wait;

/// Bytes of a chunk of a receive arena unless a setting says otherwise.
const CHUNK: usize = 256 * 1024;
/// Bytes of such chunks that slices may keep unless a setting says otherwise: more than the text that
/// waits in a stack pins (17 MiB of frames, docs/choices.md), so that only users' own slices reach it.
const KEPT: usize = 32 << 20;

pub use coalesce::{Coalesce, CoalesceRx};
pub use impair::{Impair, ImpairCounters, ImpairRx, ImpairTx};
pub use impair_control::ImpairControl;
pub use pair::{PAIR_QUEUE_FRAMES, Pair, PairRx, PairTx, pair};
pub use segment::{Segmented, SegmentedTx};
pub use traits::{
    Capabilities, Device, DeviceCounters, DeviceDrop, DeviceError, DeviceWatch, Medium, Receive,
    RxBatch, Sent, Transmit,
};
pub use wire::{
    AckAggregation, AckThinning, Chance, Displacement, GilbertElliott, Pick, QueueLimit, Queued,
    TokenBucket, Wire, WireConfig, WireCounters,
};

#[cfg(all(target_os = "linux", feature = "host"))]
pub use self::{
    builder::Builder,
    open::OpenError,
    tap::Tap,
    tun::Tun,
    tuntap::{Offloads, TunTapRx, TunTapTx},
    wait::{HostReceive, HostTransmit, Pollable},
};
