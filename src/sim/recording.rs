//! All that a host's stack was told in a run, and its twin: a fresh stack that is told the same alone.
//!
//! *Owns* the inputs (frames, times, calls, the device's answers) and a hash of each frame that the stack
//! offered. *Does not* hold the network, the applications or chance: a stack knows none of them.
//! Invariant: the twin offers the same frames at the same turns, or says which is the first that
//! differs.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::base::{Digest, Instant};
use crate::device::{DeviceError, Receive, RxBatch, Sent, Transmit};
use crate::link::{RxFrame, TxFrame};
use crate::stack::{
    Call, Config, ConfigError, Event, InterfaceConfig, Port, PortError, Stack, turn_all,
};

/// What a stack was told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// It was given an interface.
    Interface(Instant, Box<InterfaceConfig>),
    /// A call between two turns.
    Call(Instant, Call),
    /// A turn of all its ports.
    Turn(Turn),
}

/// A turn of all ports of a stack.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Turn {
    /// When.
    pub at: Instant,
    /// What each port read, by its number, in the order of reading.
    pub frames: Vec<(usize, RxFrame)>,
    /// What each device answered to each frame that it was offered, by its port's number.
    pub answers: Vec<(usize, Sent)>,
    /// What its user called, for each event that it was told.
    pub calls: Vec<Vec<Call>>,
}

/// A host's inputs from its start on.
#[derive(Clone, Debug)]
pub struct Recording {
    config: Config,
    inputs: Vec<Input>,
    /// A hash of each frame that was offered to a device, in order.
    offered: Vec<u64>,
    /// Is the last input a turn that goes on?
    turning: bool,
}

/// How a twin came not to be one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TwinError {
    /// An interface that the first stack took was refused.
    #[error("the twin refused an interface: {0}")]
    Interface(#[from] ConfigError),
    /// A device failed, which none of a twin's does.
    #[error("the twin's device failed: {0}")]
    Device(#[from] PortError),
    /// A frame differs, or one of the two offered more than the other.
    #[error("frame {number} differs at {at:?}")]
    Frame {
        /// Frames before it.
        number: usize,
        /// The time of the turn, or of the last one.
        at: Instant,
    },
    /// The twin was told another number of events in a turn.
    #[error("{events} events at {at:?} where there were {recorded}")]
    Events {
        /// The time of the turn.
        at: Instant,
        /// Events of the twin.
        events: usize,
        /// Events of the first stack.
        recorded: usize,
    },
}

impl Recording {
    pub(super) const fn new(config: Config) -> Self {
        Self {
            config,
            inputs: Vec::new(),
            offered: Vec::new(),
            turning: false,
        }
    }

    /// The inputs, in order.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Frames that the stack offered to its devices.
    pub fn frames(&self) -> usize {
        self.offered.len()
    }

    /// Feeds all of it to a fresh stack, and compares what that offers to its devices.
    ///
    /// # Errors
    /// [`TwinError`] says where the two part.
    pub fn twin(&self) -> Result<Stack, TwinError> {
        let mut stack = Stack::new(self.config.clone());
        let mut ports = Vec::new();
        let fed: Rc<RefCell<Fed>> = Rc::default();
        let mut last = Instant::ZERO;
        for input in &self.inputs {
            match input {
                Input::Interface(at, config) => {
                    let on = stack.add_interface(*at, (**config).clone())?;
                    let half = || Half(ports.len(), Rc::clone(&fed));
                    ports.push(Port::new(on, (half(), half())));
                }
                Input::Call(at, call) => call.make(*at, &mut stack),
                Input::Turn(turn) => {
                    last = turn.at;
                    self.turn(turn, &mut stack, &mut ports, &fed)?;
                }
            }
        }
        let number = fed.borrow().offered;
        if number != self.offered.len() {
            return Err(TwinError::Frame { number, at: last });
        }
        Ok(stack)
    }

    fn turn(
        &self,
        turn: &Turn,
        stack: &mut Stack,
        ports: &mut [Port<Half, Half>],
        fed: &Rc<RefCell<Fed>>,
    ) -> Result<(), TwinError> {
        {
            let mut fed = fed.borrow_mut();
            fed.frames.extend(turn.frames.iter().cloned());
            fed.answers.extend(turn.answers.iter().copied());
            fed.expected = self.offered.get(fed.offered..).unwrap_or(&[]).to_vec();
            fed.expected.truncate(turn.answers.len());
            fed.first = fed.offered;
        }
        let mut events = 0;
        let mut user = |stack: &mut Stack, now: Instant, _: Event| {
            for call in turn.calls.get(events).into_iter().flatten() {
                call.make(now, stack);
            }
            events += 1;
        };
        turn_all(ports, turn.at, stack, &mut user)?;
        let fed = fed.borrow();
        let at = turn.at;
        if let Some(number) = fed.wrong {
            return Err(TwinError::Frame { number, at });
        }
        if !fed.answers.is_empty() {
            let number = fed.offered;
            return Err(TwinError::Frame { number, at });
        }
        let recorded = turn.calls.len();
        if events != recorded {
            return Err(TwinError::Events {
                at,
                events,
                recorded,
            });
        }
        Ok(())
    }
}

/// What a recording is written into while the host runs.
pub(super) type Log = Rc<RefCell<Recording>>;

impl Recording {
    pub(super) fn interface(&mut self, at: Instant, config: &InterfaceConfig) {
        let config = Box::new(config.clone());
        self.inputs.push(Input::Interface(at, config));
    }

    pub(super) fn begin_turn(&mut self, at: Instant) {
        self.turning = true;
        self.inputs.push(Input::Turn(Turn {
            at,
            frames: Vec::new(),
            answers: Vec::new(),
            calls: Vec::new(),
        }));
    }

    pub(super) const fn end_turn(&mut self) {
        self.turning = false;
    }

    /// The turn that goes on.
    fn current(&mut self) -> Option<&mut Turn> {
        match self.inputs.last_mut() {
            Some(Input::Turn(turn)) if self.turning => Some(turn),
            _ => None,
        }
    }

    /// An event is told; calls that follow are its user's.
    pub(super) fn event(&mut self) {
        if let Some(turn) = self.current() {
            turn.calls.push(Vec::new());
        }
    }

    pub(super) fn call(&mut self, at: Instant, call: Call) {
        match self.current().and_then(|turn| turn.calls.last_mut()) {
            Some(calls) => calls.push(call),
            None => self.inputs.push(Input::Call(at, call)),
        }
    }

    fn read(&mut self, port: usize, frames: &[RxFrame]) {
        if let Some(turn) = self.current() {
            turn.frames
                .extend(frames.iter().map(|frame| (port, frame.clone())));
        }
    }

    fn answered(&mut self, port: usize, frame: &TxFrame<'_>, answer: Sent) {
        self.offered.push(hash_of(port, frame));
        if let Some(turn) = self.current() {
            turn.answers.push((port, answer));
        }
    }
}

/// All that a device is told of a frame.
fn hash_of(port: usize, frame: &TxFrame<'_>) -> u64 {
    let mut digest = Digest::new();
    digest.number(u64::try_from(port).unwrap_or(u64::MAX));
    digest.bytes(&frame.to_vec());
    if let Some(checksum) = frame.meta.checksum {
        digest.number(u64::from(checksum.start) << 16 | u64::from(checksum.offset));
    }
    if let Some(segment) = frame.meta.segment {
        digest.number(u64::from(segment.size.get()));
    }
    digest.value()
}

/// A port's halves whose inputs are recorded.
pub(super) fn recorded(port: usize, log: &Log, (rx, tx): Halves) -> Halves {
    let rx = Recorded(port, Rc::clone(log), rx);
    let tx = Recorded(port, Rc::clone(log), tx);
    (Box::new(rx), Box::new(tx))
}

/// A device taken apart.
type Halves = (Box<dyn Receive>, Box<dyn Transmit>);

struct Recorded<T>(usize, Log, T);

impl Receive for Recorded<Box<dyn Receive>> {
    fn receive(&mut self, now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let before = batch.len();
        let received = self.2.receive(now, batch)?;
        self.1.borrow_mut().read(self.0, &batch.frames()[before..]);
        Ok(received)
    }

    fn next_ready(&self) -> Option<Instant> {
        self.2.next_ready()
    }
}

impl Transmit for Recorded<Box<dyn Transmit>> {
    fn transmit(&mut self, now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let answer = self.2.transmit(now, frame)?;
        self.1.borrow_mut().answered(self.0, frame, answer);
        Ok(answer)
    }

    fn poll(&mut self, now: Instant) -> Result<Option<Instant>, DeviceError> {
        self.2.poll(now)
    }

    fn wants_room(&self) -> bool {
        self.2.wants_room()
    }
}

/// What the devices of a twin give in one turn, and what they were offered.
#[derive(Debug, Default)]
struct Fed {
    frames: VecDeque<(usize, RxFrame)>,
    answers: VecDeque<(usize, Sent)>,
    /// The frames of this turn, and the number of the first of them.
    expected: Vec<u64>,
    first: usize,
    /// Frames offered in all turns.
    offered: usize,
    /// The first frame that differs.
    wrong: Option<usize>,
}

/// A half of a twin's device, at the port of this number.
#[derive(Debug)]
struct Half(usize, Rc<RefCell<Fed>>);

impl Receive for Half {
    fn receive(&mut self, _now: Instant, batch: &mut RxBatch) -> Result<usize, DeviceError> {
        let mut fed = self.1.borrow_mut();
        let before = batch.len();
        while batch.room() > 0
            && let Some((_, frame)) = fed.frames.pop_front_if(|(port, _)| *port == self.0)
        {
            batch.push(frame);
        }
        Ok(batch.len() - before)
    }
}

impl Transmit for Half {
    fn transmit(&mut self, _now: Instant, frame: &TxFrame<'_>) -> Result<Sent, DeviceError> {
        let mut fed = self.1.borrow_mut();
        let number = fed.offered;
        fed.offered += 1;
        let expected = fed.expected.get(number - fed.first).copied();
        if expected != Some(hash_of(self.0, frame)) {
            fed.wrong.get_or_insert(number);
        }
        // One too many is lost: the difference is told already.
        let answer = fed.answers.pop_front().map(|(_, answer)| answer);
        Ok(answer.unwrap_or(Sent::Taken))
    }
}

#[cfg(test)]
#[path = "recording_tests.rs"]
mod tests;
