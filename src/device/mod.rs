//! Devices: the traits, and what implements them.

mod pair;
mod traits;

#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod signal;
#[cfg(not(all(target_os = "linux", not(netloom_portable))))]
#[path = "signal_none.rs"]
mod signal;
#[cfg(all(target_os = "linux", not(netloom_portable)))]
mod wait;

pub use pair::{PAIR_QUEUE_FRAMES, Pair, PairRx, PairTx, pair};
pub use traits::{
    Capabilities, Device, DeviceDrop, DeviceError, Medium, Receive, RxBatch, Sent, Transmit,
};

#[cfg(all(target_os = "linux", not(netloom_portable)))]
pub use wait::{HostReceive, HostTransmit, Pollable};
