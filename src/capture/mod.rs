//! Captures: pcapng out of a running stack, pcap and pcapng of any origin back in as frames.
//!
//! pcapng as in draft-ietf-opsawg-pcapng, pcap as in draft-ietf-opsawg-pcap; both little and big
//! endian are read, little endian is written.
//!
//! *Owns* the two file formats, the [`Capture`] device and the thread that writes behind it.
//! *Does not* look into a frame but for its checksum ([`Frame::to_rx`]): what its bytes mean is `decode`'s.
//!
//! | file | owns |
//! |---|---|
//! | `format.rs` | numbers of the formats, [`LinkType`], [`Direction`] |
//! | `writer.rs` | [`Writer`]: pcapng into any `Write`, no thread, no clock |
//! | `settings.rs` | [`CaptureSettings`], [`CaptureStats`], [`CaptureError`] |
//! | `recorder.rs`, `drain.rs` | [`Recorder`]: the bounded queue, and the thread that drains it |
//! | `device.rs` | [`Capture`]: the wrapper device |
//! | `wait.rs` | the descriptor of the device inside, for a host |
//! | `read/` | [`Reader`]: frames out of a file, total on any bytes |
//! | `rx.rs` | frames as a stack receives them: [`Frame::to_rx`] |
//! | `foreign/` | [`ForeignReplay`]: what others captured, fed to a stack |
//! | `replay/` | [`Recording`] and [`Replay`]: all that a stack was told, kept and told again |
//!
//! Invariants: recording takes reference counts, not copies of payload; it never blocks and never
//! fails the traffic; every frame that is seen is counted as written, as waiting, or as lost by
//! exactly one cause.

mod device;
mod drain;
mod foreign;
mod format;
mod read;
mod recorder;
mod replay;
mod rx;
mod settings;
#[cfg(test)]
mod tests;
#[cfg(all(target_os = "linux", feature = "host"))]
mod wait;
mod writer;

pub use device::{Capture, CaptureRx, CaptureTx};
pub use foreign::{
    Breach, BreachKind, DifferenceClass, Done, Fed, ForeignDifference, ForeignError, ForeignReplay,
    ForeignReport, MadeUp, SentFrame, Skipped, Step,
};
pub use format::{Direction, LinkType};
pub use read::{Corrupt, Counts, Ended, Frame, Reader};
pub use recorder::{CaptureWatch, Recorder};
pub use replay::{
    Nonsense, Recording, RecordingSettings, RecordingStats, RecordingWatch, Replay,
    ReplayDifference, ReplayEnd, ReplayError, Why,
};
pub use settings::{CaptureError, CaptureSettings, CaptureStats};
pub use writer::{InterfaceNumber, Writer, Written};
