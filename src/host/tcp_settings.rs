//! What can be set on a [`TcpStream`], with what it is set to: the calls of `std::net`.
//!
//! *Owns* nothing: the settings are the stack's.

use std::io;
use std::time::Duration;

use super::tcp::TcpStream;
use crate::tcp::Keepalive;

impl TcpStream {
    /// Switches Nagle's algorithm (RFC 9293 §3.7.4 MUST-17) off or on.
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.change_options(|options| options.nodelay(nodelay))
    }

    /// Is Nagle's algorithm off?
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(self.options()?.nodelay_setting())
    }

    /// What closing does with data that was not yet sent: `None` sends it behind the caller's back,
    /// zero resets at once. Any other time is as `None`, for closing never waits.
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.change_options(|options| options.linger(linger))
    }

    /// What closing does, as set by [`set_linger`](Self::set_linger).
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(self.options()?.linger_setting())
    }

    /// Probes of an idle connection (RFC 9293 §3.8.4); off by default.
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn set_keepalive(&self, keepalive: Option<Keepalive>) -> io::Result<()> {
        self.change_options(|options| options.keepalive(keepalive))
    }

    /// The probes of an idle connection, where they are on.
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn keepalive(&self) -> io::Result<Option<Keepalive>> {
        Ok(self.options()?.keepalive_setting())
    }

    /// The time to live, or hop limit, of what is sent.
    ///
    /// # Errors
    /// `InvalidInput` when it is 0 or above 255; `NotConnected` when there is no connection.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let ttl = u8::try_from(ttl).ok().filter(|&ttl| ttl > 0);
        let ttl = ttl.ok_or(io::ErrorKind::InvalidInput)?;
        self.change_options(|options| options.ttl(ttl))
    }

    /// The time to live, or hop limit, of what is sent now: as set, or by default.
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn ttl(&self) -> io::Result<u32> {
        self.command(|core, _, id| Ok(core.stack.tcp_ttl(id)?.into()))
    }
}
