//! UDP in the stack.
//!
//! RFC 768, RFC 1122 §4.1, RFC 8085 §5.2. *Owns* the sockets and their queues. *Does not* choose ways: `path` does.
//!
//! | file | owns |
//! |---|---|
//! | `socket` | a socket, its options and queues, and the errors of its calls |
//! | `calls` | the user's calls |
//! | `datagrams` | datagrams in and out, and errors about them |

mod calls;
mod datagrams;
mod socket;

pub(super) use socket::UdpSockets;
#[cfg(all(target_os = "linux", not(netloom_portable)))] // the host's
pub(crate) use socket::charge;
pub use socket::{BindError, ConnectUdpError, Datagram, RecvError, SendError, UdpOptions};
