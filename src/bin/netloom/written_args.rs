//! The options that say what is written of a run: a capture, a recording.
//!
//! *Owns* what is said when these end early. *Does not* write.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::UNIX_EPOCH;

use netloom::capture::{CaptureError, CaptureWatch, RecordingSettings};
use netloom::device::{Device, HostReceive, HostTransmit};
use netloom::host::{Host, HostBuilder, SpawnError};

use crate::failure::Failure;
use crate::output::note;

/// What is written of a host's run.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WrittenArgs {
    /// Write everything that is sent and received to this pcapng file.
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// Record the run into this file, for `netloom replay`: a pcapng that also holds all else that
    /// happened, the keys included.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Record no payload: less than a tenth of the file, and a replay compares all but the payload.
    #[arg(long, requires = "record")]
    record_headers: bool,
}

impl WrittenArgs {
    /// Spawns a host of which all that is written.
    pub(crate) fn spawn<D>(&self, mut builder: HostBuilder<D>) -> Result<Host, Failure>
    where
        D: Device,
        D::Rx: HostReceive,
        D::Tx: HostTransmit,
    {
        if let Some(path) = &self.capture {
            builder = builder.capture(path);
        }
        if let Some(path) = &self.record {
            let settings = RecordingSettings::new(UNIX_EPOCH).payload(!self.record_headers);
            builder = builder.record_with(path, settings);
        }
        let host = builder.spawn().map_err(|error| match &error {
            // Some of these do not name the file themselves.
            SpawnError::Capture(cause) => self.not_written(cause),
            _ => Failure::host(error),
        })?;
        if let (Some(path), Some(capture)) = (self.capture.clone(), host.capture().cloned()) {
            let watcher = thread::Builder::new().name("netloom-watch".to_owned());
            let watch = move || {
                if let Some(error) = capture.wait() {
                    note_failure(&path, error);
                }
            };
            watcher.spawn(watch).map_err(Failure::new)?;
        }
        Ok(host)
    }

    /// Says that the capture or the recording of a host that has ended holds less than it should, when
    /// that was not said as it happened.
    pub(crate) fn note_ends(&self, host: &Host) {
        let failure = host.capture().and_then(CaptureWatch::failure);
        if let (Some(path), Some(error)) = (&self.capture, failure) {
            note_failure(path, error);
        }
        let recording = host.recording();
        let failure = recording.and_then(|recording| Some((recording, recording.failure()?)));
        if let (Some(path), Some((recording, why))) = (&self.record, failure) {
            let (path, lost) = (path.display(), recording.stats().lost);
            note(format_args!(
                "the recording {path} {why}; {lost} entries are missing, those before replay"
            ));
        }
    }

    /// The capture or the recording cannot begin.
    fn not_written(&self, cause: &CaptureError) -> Failure {
        let of = match (cause, &self.record) {
            (CaptureError::Create { path, .. }, Some(record)) if path == record => "--record",
            (_, Some(_)) if self.capture.is_none() => "--record",
            _ => "--capture",
        };
        Failure::with_cure(
            format_args!("{of}: {cause}"),
            "name a file in a directory that you may write to, on a disk with room",
        )
    }
}

/// Says once that the capture has failed.
fn note_failure(path: &Path, error: &io::Error) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        let path = path.display();
        note(format_args!(
            "the capture {path} ended early: {error}; what it holds can be read"
        ));
    }
}
