//! What is measured, in which order, and how long that takes.
//!
//! *Owns* the list, and the time of each of its jobs. *Does not* run any.

use std::time::Duration;

use netloom::tcp::congestion::Choice;

use super::cells::{Cell, Trouble};
use super::flows::Span;
use super::report::Goal;
use super::rig::Station;
use super::settings::Settings;

/// Who is held against whom: the kernel's algorithm by its name, netloom's, and the share that netloom's
/// takes beside it in one queue.
const MATCHES: [(&str, Choice, Goal); 4] = [
    ("reno", Choice::Reno, Goal::Between(0.4, 0.6)),
    ("cubic", Choice::Cubic, Goal::Between(0.4, 0.6)),
    ("bbr", Choice::Bbr, Goal::Between(0.4, 0.6)),
    // Linux has no version 3.
    ("cubic", Choice::Bbr3, Goal::Between(0.25, 0.8)),
];

/// One cell of one table.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The kernel's algorithm.
    pub(crate) kernel: &'static str,
    pub(crate) own: Choice,
    pub(crate) what: What,
    pub(crate) cell: Cell,
}

/// What two do in turns, or beside each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// Either sends to the kernel.
    Senders,
    /// The kernel sends to either.
    Receivers,
    /// Both send to the kernel through one queue of so many hundredths of the round trip, and netloom gets such
    /// a share.
    Rivals(usize, Goal),
    /// Either answers the kernel.
    Replies,
}

/// Rivals: the second begins when the first has found its rate; what counts is behind what both then do.
const RIVALS: Span = Span {
    apart: Duration::from_secs(3),
    skip: Duration::from_secs(12),
    time: Duration::from_secs(18),
};
/// Two hundred and fifty replies in a row, each of three round trips, or of a time-out.
const REPLIES: Duration = Duration::from_secs(20);
/// Between runs: handshakes, threads, and what is reset.
const BETWEEN: Duration = Duration::from_millis(300);

/// All that was asked for.
pub(crate) fn jobs(settings: &Settings) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (kernel, own, share) in MATCHES {
        let mut add = |what, cell| {
            let own = own.clone();
            jobs.push(Job {
                kernel,
                own,
                what,
                cell,
            });
        };
        let is_same = kernel == own.name();
        for &cell in &settings.cells {
            add(What::Senders, cell);
        }
        if settings.senders_only {
            continue;
        }
        // Those that leave the kernel have its own algorithm: once for each.
        for cell in Cell::few().into_iter().filter(|_| is_same) {
            add(What::Receivers, cell);
        }
        // The kernel's BBR does not hear of marks.
        for cell in Cell::marks().into_iter().filter(|_| answers_marks(&own)) {
            add(What::Senders, cell);
        }
        for cell in Cell::marks().into_iter().filter(|_| answers_marks(&own)) {
            add(What::Receivers, cell);
        }
        for queue_percent in [100, 200, 400] {
            let cell = Cell::new(Trouble::Clean, 20, 50);
            add(What::Rivals(queue_percent, share), cell);
        }
        add(What::Replies, Cell::new(Trouble::Loss(10_000), 20, 100));
    }
    jobs.retain(|job| settings.wants(&job.title()));
    jobs
}

/// Is a mark to it what a loss is (RFC 3168)?
fn answers_marks(own: &Choice) -> bool {
    matches!(own, Choice::Reno | Choice::Cubic)
}

impl Job {
    /// What stands in front of its rows, and what `--only` looks at.
    pub(crate) fn title(&self) -> String {
        let (own, cell) = (self.own.name(), self.cell);
        match self.what {
            What::Senders => format!("{own}, {cell}"),
            What::Receivers => format!("{own}, received, {cell}"),
            What::Rivals(percent, _) => format!("{own}, rivals, {cell}, {} BDP", percent / 100),
            What::Replies => format!("{own}, replies, {cell}"),
        }
    }

    /// What stands above its table.
    pub(crate) fn head(&self) -> String {
        let (own, kernel) = (self.own.name(), self.kernel);
        match self.what {
            _ if self.has_ecn() => format!("{own} and {kernel} with ECN"),
            What::Senders => format!("{own} beside {kernel}: to the kernel, Mbit/s"),
            What::Receivers => format!("{kernel}: from the kernel, Mbit/s"),
            What::Rivals(..) => format!("{own} beside {kernel}: in one queue, Mbit/s and share"),
            What::Replies => format!("{own} beside {kernel}: replies of 10 kB, ms"),
        }
    }

    /// Do all ask for ECN?
    pub(crate) fn has_ecn(&self) -> bool {
        matches!(self.cell.trouble, Trouble::Marks)
    }

    /// How much of a round trip fits into the queue, in hundredths.
    pub(crate) fn queue_percent(&self) -> usize {
        match self.what {
            What::Rivals(percent, _) => percent,
            // Marks alone tell of a queue: it holds what slow start sends until it hears of them.
            _ if self.has_ecn() => 400,
            _ => 100,
        }
    }

    /// Who sends to whom in the runs of a sample, the first of a pair the kernel's; in that order they begin.
    pub(crate) fn ways(&self, seed: u64) -> Vec<(Vec<Station>, Station)> {
        let (near, own, far) = (Station::Near, Station::Own, Station::Far);
        match self.what {
            What::Senders | What::Replies => vec![(vec![near], far), (vec![own], far)],
            What::Receivers => vec![(vec![near], far), (vec![near], own)],
            What::Rivals(..) if seed.is_multiple_of(2) => vec![(vec![own, near], far)],
            What::Rivals(..) => vec![(vec![near, own], far)],
        }
    }

    /// When what counts.
    pub(crate) fn span(&self, settings: &Settings) -> Span {
        match self.what {
            What::Rivals(..) => RIVALS,
            _ => Span {
                apart: Duration::ZERO,
                skip: Duration::ZERO,
                time: self.cell.time(settings.time),
            },
        }
    }

    /// How many of its runs go on at once.
    pub(crate) fn at_once(&self, settings: &Settings) -> usize {
        usize::try_from(settings.load / self.cell.rate)
            .unwrap_or(1)
            .max(1)
    }

    /// How long runs of it take that begin at once.
    pub(crate) fn time_of_run(&self, settings: &Settings) -> Duration {
        let time = match self.what {
            What::Replies => REPLIES,
            _ => self.span(settings).whole(self.ways(1)[0].0.len()),
        };
        time + BETWEEN
    }

    /// How long all takes, when nothing is void.
    pub(crate) fn time(&self, settings: &Settings) -> Duration {
        let runs = self.ways(1).len() * settings.samples;
        let rounds = runs.div_ceil(self.at_once(settings));
        self.time_of_run(settings) * u32::try_from(rounds).unwrap_or(u32::MAX)
    }
}
