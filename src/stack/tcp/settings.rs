//! The settings of a connection that lives.
//!
//! RFC 9293 §3.9.1. *Owns* no setting: the connection and its path do.

use super::StaleId;
use crate::base::Instant;
use crate::stack::ids::TcpId;
use crate::stack::packet::Label;
use crate::stack::{Call, Stack};
use crate::tcp::TcpOptions;

impl Stack {
    /// The Time To Live or Hop Limit that its segments have now: as set, or by default.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn tcp_ttl(&self, id: TcpId) -> Result<u8, StaleId> {
        Ok(self.tcp.live(id)?.path.flow.ttl)
    }

    /// The connection's settings.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn tcp_options(&self, id: TcpId) -> Result<&TcpOptions, StaleId> {
        Ok(&self.tcp.live(id)?.connection.setup.options)
    }

    /// Changes the settings of a live connection. The MSS, the initial window, and whatever else its SYN offers
    /// stay as they are.
    ///
    /// # Errors
    /// [`StaleId`] when it was closed.
    pub fn tcp_set_options(
        &mut self,
        now: Instant,
        id: TcpId,
        options: TcpOptions,
    ) -> Result<(), StaleId> {
        self.note_call(Some(now), |_| Call::TcpSetOptions(id, options.clone()));
        let now = self.net.clamp(now);
        let set = self.change_options(now, id, options);
        self.note_outcome(set)
    }

    fn change_options(
        &mut self,
        now: Instant,
        id: TcpId,
        options: TcpOptions,
    ) -> Result<(), StaleId> {
        let (slot, mut around) = self.live_tcp(id)?;
        let by_default = || around.net.ttl_to(slot.path.on, slot.path.flow.dst);
        slot.path.flow.ttl = options.ttl_setting().unwrap_or_else(by_default);
        slot.path.flow.tos = options.tos_setting();
        slot.path.flow.label = Label::asked(options.flow_label_setting());
        slot.connection.set_options(now, options);
        let rest = slot.follow(id, &mut around);
        self.finish(now, id, &rest);
        Ok(())
    }
}
