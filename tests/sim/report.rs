//! What a failing seed leaves behind: its number, the smallest scenario, and that one's packets.
//!
//! *Owns* the catching of a run that panics, without its noise, and the text for whoever has to
//! find out why.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, SystemTime};

use netloom::capture::{CaptureSettings, Recorder};

use super::end::{self, Watch};
use super::scenario::Scenario;
use super::shrink::shrink;
use super::world::{self, Ran};

/// Where and how a run failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// File and line.
    pub(crate) place: String,
    pub(crate) message: String,
}

thread_local! {
    /// Are this thread's panics kept instead of printed?
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static CAUGHT: RefCell<Option<Failure>> = const { RefCell::new(None) };
}

/// Keeps what a panic of a run says.
fn keep_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                return usual(info);
            }
            let place = info
                .location()
                .map_or_else(String::new, ToString::to_string);
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            let message = text.unwrap_or_default().to_owned();
            CAUGHT.set(Some(Failure { place, message }));
        }));
    });
}

/// Runs a scenario; a panic is its failure.
pub(crate) fn attempt(scenario: &Scenario) -> Result<Ran, Failure> {
    attempt_watched(scenario, &Watch::default())
}

fn attempt_watched(scenario: &Scenario, watch: &Watch) -> Result<Ran, Failure> {
    keep_panics();
    QUIET.set(true);
    let ran = panic::catch_unwind(AssertUnwindSafe(|| world::run(scenario, watch)));
    QUIET.set(false);
    ran.map_err(|_| CAUGHT.take().expect("a panic is kept"))
}

/// What is told of a failing scenario.
pub(crate) struct Report {
    pub(crate) smallest: Scenario,
    pub(crate) captures: [PathBuf; 2],
    pub(crate) text: String,
}

/// Shrinks a failing scenario, and writes what its packets were into `dir`.
pub(crate) fn explain(scenario: &Scenario, failure: &Failure, dir: &Path) -> Report {
    let seed = scenario.seed;
    let (smallest, last) = shrink(scenario, failure);
    let captures = [0, 1].map(|end| dir.join(format!("netloom-seed-{seed}-end-{end}.pcapng")));
    let medium = end::medium(&smallest);
    let recorders = captures.each_ref().map(|path| {
        // Far in the past, so that no start overflows the file's 64 bits.
        let settings = CaptureSettings::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1))
            .queue(1 << 20, 1 << 30);
        Some(Recorder::create(path, medium, &settings).expect("a capture can be written"))
    });
    let watch = Watch {
        trace: std::env::var_os("NETLOOM_TRACE").is_some(),
        recorders,
        ..Watch::default()
    };
    let again = attempt_watched(&smallest, &watch);
    drop(watch);
    let same = again.is_err_and(|again| again.place == last.place);
    let text = format!(
        "seed {seed} fails: {}\n  at {}\n\
         its smallest world{}: {}\n  at {}\n{smallest:?}\n\
         packets: {}\n         {}\n\
         run it again: NETLOOM_SEED={seed} cargo test --test sim adversary\n\
         (NETLOOM_TRACE=1 and -- --nocapture print the packets)",
        failure.message,
        failure.place,
        if same {
            ""
        } else {
            ", WHICH DID NOT FAIL AGAIN"
        },
        last.message,
        last.place,
        captures[0].display(),
        captures[1].display(),
    );
    Report {
        smallest,
        captures,
        text,
    }
}
