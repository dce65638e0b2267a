//! The congestion controls that are drawn: those of the library, and one of a user's own.

use core::time::Duration;

use netloom::tcp::congestion::{
    AckSample, Choice, CongestionControl, CongestionEvent, Cx, EpisodeKind, Output, Pacing, Reno,
    Response, Start, UndoEvent,
};

/// How many there are.
pub(crate) const COUNT: usize = Choice::NAMED.len() + 1;

/// One of them, by number.
pub(crate) fn choice(number: usize) -> Choice {
    let named = Choice::NAMED.get(number).cloned();
    named.unwrap_or_else(|| Choice::custom(|| Box::new(PacedReno(Reno::new()))))
}

/// Reno, paced by its window and the round trip.
#[derive(Clone, Debug)]
struct PacedReno(Reno);

impl CongestionControl for PacedReno {
    fn name(&self) -> &'static str {
        "paced-reno"
    }

    fn start(&mut self, cx: &Cx, begin: &Start) {
        self.0.start(cx, begin);
    }

    fn on_restart(&mut self, cx: &Cx, idle: Duration) {
        self.0.on_restart(cx, idle);
    }

    fn on_congestion(&mut self, cx: &Cx, event: &CongestionEvent) -> Response {
        self.0.on_congestion(cx, event)
    }

    fn on_ack(&mut self, cx: &Cx, sample: &AckSample) {
        self.0.on_ack(cx, sample);
    }

    fn on_recovery_exit(&mut self, cx: &Cx, kind: EpisodeKind) {
        self.0.on_recovery_exit(cx, kind);
    }

    fn on_undo(&mut self, cx: &Cx, event: &UndoEvent) {
        self.0.on_undo(cx, event);
    }

    fn output(&self) -> Output {
        self.0.output().paced(Pacing::FromWindow)
    }

    fn boxed_clone(&self) -> Box<dyn CongestionControl> {
        Box::new(self.clone())
    }
}
