//! The trait of a congestion controller.
//!
//! *Owns* [`CongestionControl`]. A controller decides how much may be in flight and how fast it
//! leaves, and nothing else: the core counts what is in flight, detects losses and what was not one,
//! measures times and rates, paces, and glides down. A controller that wants something done otherwise
//! says so in what it answers; the core never asks which algorithm it is.

use core::fmt;
use core::time::Duration;

use super::event::{
    AckSample, CongestionEvent, Cx, EpisodeKind, LostEvent, Output, Response, SendEvent, Start,
    UndoEvent,
};

/// A congestion controller: a pure state machine, without clock and without I/O.
///
/// It answers with the same outputs to the same calls. What it draws at random comes from
/// [`Start::seed`].
///
/// # The order of calls
/// For one ACK: [`on_recovery_exit`](Self::on_recovery_exit) when a reduction for a mark is over,
/// [`on_undo`](Self::on_undo) when it shows that an episode was for nothing,
/// [`on_lost`](Self::on_lost) for each record it shows lost, [`on_congestion`](Self::on_congestion) when
/// an episode starts or worsens, [`on_recovery_exit`](Self::on_recovery_exit) when one of loss is over, and last
/// [`on_ack`](Self::on_ack) with the finished rate sample. For the retransmission timer: `on_lost`, then
/// `on_congestion`. For a transmission: [`on_restart`](Self::on_restart) before it is planned if the
/// sender was idle, and [`on_send`](Self::on_send) before it counts as in flight.
/// [`output`](Self::output) is asked after each.
///
/// # Nonsense
/// What [`output`](Self::output) says is used within bounds: a window of a segment at least, a rate and
/// a quantum that still move something.
pub trait CongestionControl: Send + fmt::Debug {
    /// The algorithm's name, as Linux writes it.
    fn name(&self) -> &'static str;

    /// Once, when the connection is established or this controller takes it over. The round-trip time
    /// may be unknown.
    fn start(&mut self, cx: &Cx, begin: &Start);

    /// Nothing is in flight, and nothing left for longer than the RTO (RFC 5681 §4.1); something is
    /// about to be planned. `idle` is for how long. It may be told more than once before that leaves.
    fn on_restart(&mut self, _cx: &Cx, _idle: Duration) {}

    /// Does it want to hear of the next transmission? Asked before each: one of which it is not told costs less,
    /// and changes nothing that it would [answer](Self::output). By default it hears of all.
    fn hears_sends(&self) -> bool {
        true
    }

    /// A transmission, new or again, is about to leave, and [it is to hear of it](Self::hears_sends); in-flight does
    /// not hold it yet.
    fn on_send(&mut self, _cx: &Cx, _event: &SendEvent) {}

    /// A record was newly taken for lost. Once for each.
    fn on_lost(&mut self, _cx: &Cx, _event: &LostEvent) {}

    /// An episode starts or worsens. Never once per duplicate ACK, nor per record.
    fn on_congestion(&mut self, cx: &Cx, event: &CongestionEvent) -> Response;

    /// An ACK moved something. Once per ACK.
    fn on_ack(&mut self, cx: &Cx, sample: &AckSample);

    /// The episode's recovery point was passed. Of one that was undone while it ran this is not told.
    fn on_recovery_exit(&mut self, _cx: &Cx, _kind: EpisodeKind) {}

    /// The episode was for nothing, and is over if it still ran: what it changed is to be as it was.
    fn on_undo(&mut self, _cx: &Cx, _event: &UndoEvent) {}

    /// The size of a full segment changed from `old` to `new` bytes of text, which is [`Cx::smss`] from now on: the
    /// path has another MTU. What is allowed stays as it is in bytes (RFC 4821 §4).
    fn on_mtu_change(&mut self, _cx: &Cx, _old: u32, _new: u32) {}

    /// What is allowed now.
    fn output(&self) -> Output;

    /// A copy that goes on by itself.
    fn boxed_clone(&self) -> Box<dyn CongestionControl>;

    /// Names and values of what it knows, for tests and traces.
    fn inspect(&self, _visit: &mut dyn FnMut(&'static str, i128)) {}
}
