//! `netloom.*`: what a script's code may ask about the stack, beside what other kernels tell.
//!
//! *Owns* the names: a counter by its own, a reason to drop behind `drop_`, an event of the connection
//! behind `event_`, how many connections there are, and what only netloom's `TcpInfo` has. *Does not* count: the stack does, and `World` the events.

use super::world::World;
use crate::base::DropReason;
use crate::stack::{Counters, Readiness, Stack};
use crate::tcp::TcpInfo;

/// What a name of these begins with.
const PREFIX: &str = "netloom.";

/// Names, and how each is read.
type Table<T, V> = &'static [(&'static str, fn(&T) -> V)];

/// Of the connection, what no `tcpi_` name tells.
const OF_INFO: Table<TcpInfo, i128> = &[
    ("cwnd_bytes", |info| info.cwnd.into()),
    ("ssthresh_bytes", |info| info.ssthresh.into()),
    ("in_flight", |info| info.in_flight.into()),
    ("unread", |info| info.unread.into()),
    ("rcv_wnd", |info| info.rcv_wnd.into()),
    ("rcv_buffer", |info| info.rcv_buffer.into()),
    ("snd_buffer", |info| info.snd_buffer.into()),
    ("tail_probes", |info| info.tail_probes.into()),
    ("undos", |info| info.undos.into()),
    ("urgent", |info| info.urgent.into()),
    ("reordering", |info| info.reordering.into()),
    ("ce_received", |info| info.ce_received.into()),
    ("ece_received", |info| info.ece_received.into()),
    ("ecn_reductions", |info| info.ecn_reductions.into()),
];

/// Of the stack, what is no counter.
const OF_STACK: Table<Stack, usize> = &[
    ("open_connections", |stack| stack.tcp_open_count()),
    ("time_waiting", |stack| stack.tcp_time_wait_count()),
];

/// Is it a name of these? Then whether there is such a one.
pub(super) fn is_known(name: &str) -> Option<bool> {
    let name = name.strip_prefix(PREFIX)?;
    let known = of_info(name).is_some()
        || of_stack(name).is_some()
        || event(name).is_some()
        || reason(name).is_some()
        || Counters::default().iter().any(|(known, _)| known == name);
    Some(known)
}

/// Its value now; `None` when there is no connection to ask.
pub(super) fn value(world: &World, info: Option<&TcpInfo>, name: &str) -> Option<i128> {
    let name = name.strip_prefix(PREFIX)?;
    if let Some(read) = of_info(name) {
        return info.map(read);
    }
    if let Some(read) = of_stack(name) {
        return i128::try_from(read(&world.stack)).ok();
    }
    if let Some(bits) = event(name) {
        return Some(world.event_count(bits).into());
    }
    let counters = world.stack.counters();
    if let Some(reason) = reason(name) {
        return Some(counters.drops.get(reason).into());
    }
    let found = counters.iter().find(|(known, _)| *known == name);
    found.map(|(_, count)| count.into())
}

fn of_info(name: &str) -> Option<fn(&TcpInfo) -> i128> {
    let known = OF_INFO.iter().find(|(known, _)| *known == name);
    known.map(|(_, read)| *read)
}

fn of_stack(name: &str) -> Option<fn(&Stack) -> usize> {
    let known = OF_STACK.iter().find(|(known, _)| *known == name);
    known.map(|(_, read)| *read)
}

fn reason(name: &str) -> Option<DropReason> {
    let name = name.strip_prefix("drop_")?;
    DropReason::ALL.iter().copied().find(|r| r.name() == name)
}

/// `event_readable`
fn event(name: &str) -> Option<Readiness> {
    let name = name.strip_prefix("event_")?;
    Readiness::from_name(&name.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_kind() {
        for name in [
            "netloom.tcp_opened",
            "netloom.drop_tcp_bad_ack",
            "netloom.event_closed",
            "netloom.undos",
        ] {
            assert_eq!(is_known(name), Some(true), "{name}");
        }
        assert_eq!(is_known("netloom.drop_"), Some(false));
        assert_eq!(is_known("netloom.colour"), Some(false));
        assert_eq!(is_known("tcpi_rtt"), None);
    }

    /// The page for users has what is a table here; counters and reasons have their own pages.
    #[test]
    fn the_names_are_documented() {
        let page = include_str!("../../../docs/scripts.md");
        let of_stack = OF_STACK.iter().map(|(name, _)| name);
        for name in OF_INFO.iter().map(|(name, _)| name).chain(of_stack) {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }
}
