//! Namespaces for the tests, and what they share in them.

use std::fs;
use std::process::Command;
use std::thread;

use libtest_mimic::{Completion, Failed, Trial};
use netloom::device::Tap;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

/// Enters a network namespace, with a user namespace before it when that is what it takes, and opens a
/// TAP in it. Before any thread is started.
pub(crate) fn enter() -> Result<(), String> {
    if unshare(CloneFlags::CLONE_NEWNET).is_err() {
        let (user, group) = (geteuid(), getegid());
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).map_err(|errno| {
            format!(
                "no user namespace ({errno}): run with sudo, or on Ubuntu 24.04 \
                 `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
            )
        })?;
        for (file, text) in [
            ("setgroups", "deny".to_owned()),
            ("uid_map", format!("0 {user} 1")),
            ("gid_map", format!("0 {group} 1")),
        ] {
            fs::write(format!("/proc/self/{file}"), text)
                .map_err(|error| format!("cannot write {file} of the user namespace: {error}"))?;
        }
    }
    Tap::builder()
        .open()
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Wraps a test so that it runs in a thread with a network namespace of its own.
pub(crate) fn trial(name: &str, test: fn(), rights: &Result<(), String>, required: bool) -> Trial {
    let rights = rights.clone();
    Trial::ignorable_test(name, move || {
        match rights {
            Ok(()) => {}
            Err(reason) if required => return Err(reason.into()),
            Err(reason) => return Ok(Completion::ignored_with(reason)),
        }
        let run = move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            ip("link set lo up");
            test();
        };
        let thread = thread::Builder::new().name(name_of(test)).spawn(run)?;
        match thread.join() {
            Ok(()) => Ok(Completion::Completed),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                Err(Failed::from(text.unwrap_or("the test panicked")))
            }
        }
    })
}

fn name_of(test: fn()) -> String {
    format!("test {test:p}")
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
