//! A network namespace of one's own, so that nothing outside it is touched.

use std::fs;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

/// Moves the calling thread, and those it starts, into a new network namespace; into a new user
/// namespace before that when it takes one. Call it before any thread is started: a process with
/// threads can enter no user namespace.
///
/// # Errors
/// One line with the cause and the cure.
pub(crate) fn enter() -> Result<(), String> {
    if unshare(CloneFlags::CLONE_NEWNET).is_ok() {
        return Ok(());
    }
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
    Ok(())
}
