//! Devices: the traits, and what implements them.

mod traits;

pub use traits::{
    Capabilities, Device, DeviceDrop, DeviceError, Medium, Receive, RxBatch, Sent, Transmit,
};
