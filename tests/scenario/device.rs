//! The receiving half of the device at a scenario's port: frames that somebody made.

use std::collections::VecDeque;

use netloom::Instant;
use netloom::device::{DeviceError, Receive, RxBatch};
use netloom::link::RxFrame;

/// Frames that wait to be read.
#[derive(Default)]
pub(crate) struct Inbox(pub(crate) VecDeque<RxFrame>);

impl Receive for Inbox {
    fn receive(&mut self, _: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let count = batch.room().min(self.0.len());
        self.0.drain(..count).for_each(|frame| batch.push(frame));
        Ok(count)
    }
}
