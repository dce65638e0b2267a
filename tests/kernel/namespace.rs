//! Namespaces for the tests, and the bound in time for each.

use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use libtest_mimic::{Completion, Failed, Trial};
use netloom::device::Tap;
use nix::sched::{CloneFlags, unshare};

use crate::Test;

#[path = "../../src/bin/netloom/namespace.rs"]
mod own;

/// No test takes longer; what does is stuck.
const LIMIT: Duration = Duration::from_secs(60);

/// Enters a network namespace, with a user namespace before it when that is what it takes, and opens a
/// TAP in it. Before any thread is started.
pub(crate) fn enter() -> Result<(), String> {
    own::enter()?;
    Tap::builder()
        .open()
        .map(drop)
        .map_err(|error| error.to_string())
}

/// A test, which says why when it cannot run here.
pub(crate) struct Case {
    name: String,
    body: Box<dyn FnOnce() -> Option<String> + Send>,
}

impl From<Test> for Case {
    fn from((name, test): Test) -> Self {
        Self::new(name, test)
    }
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, body: impl FnOnce() + Send + 'static) -> Self {
        let body = move || {
            body();
            None
        };
        Self {
            name: name.into(),
            body: Box::new(body),
        }
    }

    /// A test that needs more than the others; what it returns is the reason why it did not run.
    pub(crate) fn with_reason(
        name: impl Into<String>,
        body: impl FnOnce() -> Option<String> + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            body: Box::new(body),
        }
    }

    /// Wraps the test so that it runs in a thread with a network namespace of its own.
    pub(crate) fn trial(self, rights: &Result<(), String>, required: bool) -> Trial {
        let rights = rights.clone();
        let name = self.name.clone();
        Trial::ignorable_test(name, move || match rights {
            Ok(()) => self.run(),
            Err(reason) if required => Err(reason.into()),
            Err(reason) => Ok(Completion::ignored_with(reason)),
        })
    }

    fn run(self) -> Result<Completion, Failed> {
        let (running, ended) = mpsc::channel::<()>();
        let body = self.body;
        let thread = thread::Builder::new().name(self.name).spawn(move || {
            let _dropped_at_the_end = running;
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            ip("link set lo up");
            body()
        })?;
        if ended.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            // Its thread stays behind, in its own namespace, until the process ends.
            return Err(format!("stuck: did not end within {LIMIT:?}").into());
        }
        match thread.join() {
            Ok(None) => Ok(Completion::Completed),
            Ok(Some(reason)) => Ok(Completion::ignored_with(reason)),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                Err(Failed::from(text.unwrap_or("the test panicked")))
            }
        }
    }
}

/// Runs `ip` with these words in the calling thread's namespace and returns what it printed.
pub(crate) fn ip(words: &str) -> String {
    let output = Command::new("ip")
        .args(words.split_whitespace())
        .output()
        .expect("the `ip` command (package iproute2) is there");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {words}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
