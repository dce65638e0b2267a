//! The controller of a connection, as the core has it: what it answers is used within bounds.
//!
//! *Owns* the controller, what it allowed last, and the gliding down that it asked for (RFC 9937).
//! *Does not* know connections: who calls it hands it what it is to tell.
//! Invariant: a window of a segment at least, and a rate and a quantum that still move something.

use core::time::Duration;

use super::choice::Choice;
use super::control::CongestionControl;
use super::event::{
    AckSample, CongestionEvent, CongestionKind, Cx, EpisodeKind, LostEvent, Output, Pacing,
    Response, SendEvent, Start, UndoEvent,
};
use super::parts::{MAX_CWND, Prr, PrrAck};

/// A connection's controller.
#[derive(Debug)]
pub(crate) struct Controller {
    inner: Box<dyn CongestionControl>,
    /// What it allowed last, within bounds.
    output: Output,
    /// The reduction that runs, and what it lets be in flight.
    glide: Option<Box<(Prr, u32)>>,
    /// How often what it answered had to be brought within them.
    clamped: u64,
}

impl Controller {
    /// The controller of this choice, before its start.
    pub(crate) fn new(choice: &Choice) -> Self {
        Self {
            inner: choice.make(),
            output: Output::window(1, u32::MAX),
            glide: None,
            clamped: 0,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.inner.name()
    }

    /// Names and values of what it knows.
    pub(crate) fn inspect(&self, visit: &mut dyn FnMut(&'static str, i128)) {
        self.inner.inspect(visit);
    }

    /// What is allowed now.
    pub(crate) fn output(&self) -> Output {
        self.output
    }

    /// What may be in flight now: the window, or what gliding down to it leaves.
    pub(crate) fn window(&self) -> u32 {
        self.glide
            .as_deref()
            .map_or(self.output.cwnd, |&(_, gate)| gate)
    }

    /// Does a reduction run?
    pub(crate) fn glides(&self) -> bool {
        self.glide.is_some()
    }

    /// How often an answer had to be brought within bounds.
    pub(crate) fn clamped(&self) -> u64 {
        self.clamped
    }

    pub(crate) fn start(&mut self, cx: &Cx, begin: &Start) {
        self.inner.start(cx, begin);
        self.settle(cx);
    }

    /// Another controller takes over, with what this one allows; a reduction goes on.
    pub(crate) fn replace(&mut self, choice: &Choice, cx: &Cx, seed: u64) {
        let mut begin = Start::new(seed);
        begin.inherited = Some(self.output);
        self.inner = choice.make();
        self.start(cx, &begin);
    }

    pub(crate) fn on_restart(&mut self, cx: &Cx, idle: Duration) {
        self.inner.on_restart(cx, idle);
        self.settle(cx);
    }

    /// Is it to be told of the next transmission?
    pub(crate) fn hears_sends(&self) -> bool {
        self.inner.hears_sends()
    }

    pub(crate) fn on_send(&mut self, cx: &Cx, event: &SendEvent) {
        self.inner.on_send(cx, event);
        self.settle(cx);
    }

    pub(crate) fn on_lost(&mut self, cx: &Cx, event: &LostEvent) {
        self.inner.on_lost(cx, event);
        self.settle(cx);
    }

    /// An episode starts or worsens; `flight` was in flight before the ACK, or the timer, that told it.
    pub(crate) fn on_congestion(&mut self, cx: &Cx, event: &CongestionEvent, flight: u32) {
        let response = self.inner.on_congestion(cx, event);
        self.settle(cx);
        match response {
            // Nothing ends a reduction that no episode runs for.
            Response::Prr { .. } if event.kind == CongestionKind::TlpRepairedLoss => {
                self.glide = None;
            }
            Response::Prr { target } => {
                let prr = Prr::new(target.clamp(cx.smss, MAX_CWND.max(cx.smss)), flight);
                // Until the ACK is processed to its end the first retransmission is all that leaves.
                self.glide = Some(Box::new((prr, cx.inflight.saturating_add(cx.smss))));
            }
            Response::Direct => self.glide = None,
            Response::Ignore => {}
        }
    }

    /// An ACK of the episode, told after all the rest.
    pub(crate) fn glide(&mut self, ack: &PrrAck, smss: u32) {
        if let Some((prr, gate)) = self.glide.as_deref_mut() {
            *gate = prr.on_ack(ack, smss);
        }
    }

    /// A full segment had `before` bytes of text.
    pub(crate) fn on_mtu_change(&mut self, cx: &Cx, before: u32) {
        self.inner.on_mtu_change(cx, before, cx.smss);
        self.settle(cx);
    }

    /// So much left, new or again.
    pub(crate) fn on_sent(&mut self, bytes: u32) {
        if let Some((prr, _)) = self.glide.as_deref_mut() {
            prr.on_send(bytes);
        }
    }

    pub(crate) fn on_ack(&mut self, cx: &Cx, sample: &AckSample) {
        self.inner.on_ack(cx, sample);
        self.settle(cx);
    }

    pub(crate) fn on_recovery_exit(&mut self, cx: &Cx, kind: EpisodeKind) {
        self.glide = None;
        self.inner.on_recovery_exit(cx, kind);
        self.settle(cx);
    }

    pub(crate) fn on_undo(&mut self, cx: &Cx, event: &UndoEvent) {
        self.inner.on_undo(cx, event);
        // Nothing is to be glided down to any more.
        self.glide = None;
        self.settle(cx);
    }

    /// Asks what is allowed now.
    fn settle(&mut self, cx: &Cx) {
        let said = self.inner.output();
        self.output = bounded(said, cx.smss);
        self.clamped += u64::from(self.output != said);
    }
}

/// What `said` means at most and at least: a window of one segment to what 30 bits tell, a segment
/// a second, a segment at a time.
fn bounded(said: Output, smss: u32) -> Output {
    let pacing = match said.pacing {
        Pacing::Rate(rate) => Pacing::Rate(rate.max(u64::from(smss))),
        other => other,
    };
    Output {
        cwnd: said.cwnd.clamp(smss, MAX_CWND.max(smss)),
        ssthresh: said.ssthresh,
        pacing,
        send_quantum: said.send_quantum.map(|bytes| bytes.max(smss)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Instant;

    /// Reduces whatever it hears of, which are no transmissions.
    #[derive(Clone, Debug)]
    struct Glider;

    impl CongestionControl for Glider {
        fn name(&self) -> &'static str {
            "glider"
        }

        fn start(&mut self, _: &Cx, _: &Start) {}

        fn on_congestion(&mut self, _: &Cx, _: &CongestionEvent) -> Response {
            Response::Prr { target: 5000 }
        }

        fn on_ack(&mut self, _: &Cx, _: &AckSample) {}

        fn output(&self) -> Output {
            Output::window(20_000, 5000)
        }

        fn boxed_clone(&self) -> Box<dyn CongestionControl> {
            Box::new(self.clone())
        }
    }

    /// A loss that a probe repaired starts no episode: nothing would end a reduction for it, and the
    /// window would count no more.
    #[test]
    fn a_reduction_runs_in_an_episode_only() {
        let cx = Cx::new(Instant::ZERO, 1000);
        let mut controller = Controller::new(&Choice::custom(|| Box::new(Glider)));
        controller.start(&cx, &Start::new(1));
        let repaired = CongestionEvent::new(CongestionKind::TlpRepairedLoss, 10_000);
        controller.on_congestion(&cx, &repaired, 10_000);
        assert_eq!((controller.glides(), controller.window()), (false, 20_000));
        let entered = CongestionEvent::new(CongestionKind::EnterRecovery, 10_000);
        controller.on_congestion(&cx, &entered, 10_000);
        assert!(controller.glides());
    }
}
