//! The settings of a ping socket.
//!
//! *Owns* them, with the source of each default. *Does not* heed them.

/// Settings of a ping socket.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct PingOptions {
    pub(crate) ttl: Option<u8>,
    pub(crate) queue: usize,
    pub(crate) flow_label: Option<u32>,
    pub(crate) broadcast: bool,
}

impl Default for PingOptions {
    fn default() -> Self {
        Self {
            ttl: None,
            queue: 64,
            flow_label: None,
            broadcast: false,
        }
    }
}

impl PingOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// TTL or hop limit of the requests (default: the stack's, and 1 to groups, RFC 1112 §6.1); never 0.
    pub fn ttl(self, ttl: u8) -> Self {
        Self {
            ttl: Some(ttl.max(1)),
            ..self
        }
    }

    /// Flow label of requests over IPv6 (RFC 6437), of which the low 20 bits count (default none: it is 0).
    pub fn flow_label(self, label: Option<u32>) -> Self {
        Self {
            flow_label: label,
            ..self
        }
    }

    /// May it ask all at a broadcast address (default no; `SO_BROADCAST`)?
    pub fn broadcast(self, may: bool) -> Self {
        Self {
            broadcast: may,
            ..self
        }
    }

    /// Answers that may wait to be received (default 64).
    pub fn queue(self, answers: usize) -> Self {
        Self {
            queue: answers.max(1),
            ..self
        }
    }
}
