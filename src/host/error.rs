//! Why a host ended, and why one could not begin.

use std::io;
use std::sync::Arc;

use crate::capture::CaptureError;
use crate::device::DeviceError;
use crate::stack::ConfigError;

/// Why a host does nothing any more.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// It was shut down or dropped.
    #[error("the host was shut down")]
    Closed,
    /// A thread panicked inside it: a bug. Nothing of it can be trusted any more.
    #[error("a thread panicked inside the host")]
    Panicked,
    /// Its device failed, or the last one that it had.
    #[error("the host's device failed: {0}")]
    Device(#[source] Arc<DeviceError>),
}

impl From<DeviceError> for HostError {
    fn from(error: DeviceError) -> Self {
        Self::Device(Arc::new(error))
    }
}

impl From<HostError> for io::Error {
    fn from(error: HostError) -> Self {
        let kind = match error {
            HostError::Closed | HostError::Panicked => io::ErrorKind::NotConnected,
            HostError::Device(_) => io::ErrorKind::NetworkDown,
        };
        Self::new(kind, error)
    }
}

/// Why a host could not be spawned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The addresses, routes or options contradict each other or the device.
    #[error("bad configuration: {0}")]
    Config(#[from] ConfigError),
    /// The device is one of several queues of its interface.
    #[error(
        "the device is one of several queues, and answers to what a host sends may come by another: open it with one queue"
    )]
    OneOfSeveralQueues,
    /// The capture could not be begun.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The settings of the resolver of names are none.
    #[error("bad DNS settings: {0}")]
    Dns(#[source] io::Error),
    /// The system refused a thread, a descriptor or entropy.
    #[error("cannot get {what}: {error}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What the system said.
        #[source]
        error: io::Error,
    },
}

impl From<SpawnError> for io::Error {
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::Config(error) => error.into(),
            SpawnError::Capture(error) => error.into(),
            SpawnError::OneOfSeveralQueues => Self::new(io::ErrorKind::InvalidInput, error),
            SpawnError::Dns(ref error) | SpawnError::System { ref error, .. } => {
                Self::new(error.kind(), error.to_string())
            }
        }
    }
}
