//! The controller of a connection, as the core has it: what it answers is used within bounds.
//!
//! *Owns* the controller and what it allowed last. *Does not* know connections: who calls it hands it
//! what it is to tell.
//! Invariant: a window of a segment at least, and a rate and a quantum that still move something.

use core::time::Duration;

use super::choice::Choice;
use super::control::CongestionControl;
use super::event::{
    AckSample, CongestionEvent, Cx, EpisodeKind, Output, Pacing, Response, SendEvent, Start,
};
use super::parts::MAX_CWND;

/// A connection's controller.
#[derive(Debug)]
pub(crate) struct Controller {
    inner: Box<dyn CongestionControl>,
    /// What it allowed last, within bounds.
    output: Output,
    /// How often what it answered had to be brought within them.
    clamped: u64,
}

impl Controller {
    /// The controller of this choice, before its start.
    pub(crate) fn new(choice: &Choice) -> Self {
        Self {
            inner: choice.make(),
            output: Output::window(1, u32::MAX),
            clamped: 0,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.inner.name()
    }

    /// What is allowed now.
    pub(crate) fn output(&self) -> Output {
        self.output
    }

    pub(crate) fn start(&mut self, cx: &Cx, begin: &Start) {
        self.inner.start(cx, begin);
        self.settle(cx);
    }

    pub(crate) fn on_restart(&mut self, cx: &Cx, idle: Duration) {
        self.inner.on_restart(cx, idle);
        self.settle(cx);
    }

    pub(crate) fn on_send(&mut self, cx: &Cx, event: &SendEvent) {
        self.inner.on_send(cx, event);
        self.settle(cx);
    }

    pub(crate) fn on_congestion(&mut self, cx: &Cx, event: &CongestionEvent) -> Response {
        let response = self.inner.on_congestion(cx, event);
        self.settle(cx);
        response
    }

    pub(crate) fn on_ack(&mut self, cx: &Cx, sample: &AckSample) {
        self.inner.on_ack(cx, sample);
        self.settle(cx);
    }

    pub(crate) fn on_recovery_exit(&mut self, cx: &Cx, kind: EpisodeKind) {
        self.inner.on_recovery_exit(cx, kind);
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
