//! A captured device is waited for as the device inside.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::device::{CaptureRx, CaptureTx};
use crate::device::Pollable;

impl<R: Pollable> Pollable for CaptureRx<R> {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        self.inner.descriptor()
    }
}

impl<T: Pollable> Pollable for CaptureTx<T> {
    fn descriptor(&self) -> io::Result<Arc<OwnedFd>> {
        self.inner.descriptor()
    }
}
