//! What connections and queues were like over time: rows for CSV and JSON lines.
//!
//! *Owns* the rows of each trace until they are taken. *Does not* choose: a trace names a host, when
//! to look, and the wire whose queue stands beside each row.

use core::net::SocketAddr;
use core::time::Duration;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use super::fields::{Value, of_info};
use super::link::WireId;
use super::network::HostId;
use crate::base::Instant;
use crate::device::Queued;
use crate::stack::{Stack, TcpId};
use crate::tcp::TcpInfo;

/// A trace of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub(super) usize);

/// When a trace takes a row of each connection that the host's users hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sampling {
    /// At equal distances, from the call on; a distance of 0 counts as a nanosecond.
    Every(Duration),
    /// After each turn of the host in which the connection sent or received a segment: what each ACK
    /// did.
    EachTurn,
}

/// One connection at one time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Row {
    /// When.
    pub at: Instant,
    /// Which connection of the host.
    pub id: TcpId,
    /// Its own end.
    pub local: SocketAddr,
    /// Its peer's.
    pub remote: SocketAddr,
    /// What is known about it.
    pub info: TcpInfo,
    /// What waited on the trace's wire; `None` when it has none.
    pub queue: Option<Queued>,
    /// What its congestion control said of itself.
    pub inspected: Vec<(&'static str, i128)>,
}

impl Row {
    /// A connection of this stack as it is at `at`; `None` when there is none of this number.
    pub fn of(at: Instant, stack: &Stack, id: TcpId) -> Option<Self> {
        let mut inspected = Vec::new();
        let mut visit = |name, value| inspected.push((name, value));
        stack.tcp_inspect(id, &mut visit).ok()?;
        Some(Self {
            at,
            id,
            local: stack.tcp_local_addr(id).ok()?,
            remote: stack.tcp_peer_addr(id).ok()?,
            info: stack.tcp_info(id).ok()?,
            queue: None,
            inspected,
        })
    }

    /// Every value with its name, which says the unit where it is no byte or count. What a congestion
    /// control says of itself has `cc_` before the name that it gives.
    pub fn fields(&self) -> impl Iterator<Item = (Cow<'static, str>, Value)> + '_ {
        let whole = |n: usize| Value::Number(u64::try_from(n).unwrap_or(u64::MAX));
        let queue = |of: fn(Queued) -> usize| self.queue.map_or(Value::None, |q| whole(of(q)));
        [
            ("time_ns", Value::Number(self.at.as_nanos())),
            ("local", Value::Text(self.local.to_string())),
            ("remote", Value::Text(self.remote.to_string())),
        ]
        .into_iter()
        .chain(of_info(&self.info))
        .chain([
            ("queue_frames", queue(|q| q.frames)),
            ("queue_bytes", queue(|q| q.bytes)),
        ])
        .map(|(name, value)| (Cow::Borrowed(name), value))
        .chain(
            self.inspected
                .iter()
                .map(|&(name, value)| (Cow::Owned(format!("cc_{name}")), Value::Inspected(value))),
        )
    }
}

/// Writes rows as CSV with a line of names (RFC 4180); what is unknown, or not a row's, is empty.
///
/// # Errors
/// The sink's.
pub fn write_csv(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    // Each congestion control has names of its own.
    let mut places = BTreeMap::new();
    let mut names = Vec::new();
    for (name, _) in rows.iter().flat_map(Row::fields) {
        places.entry(name.clone()).or_insert_with(|| {
            names.push(name);
            names.len() - 1
        });
    }
    if !rows.is_empty() {
        write!(out, "{}\r\n", names.join(","))?;
    }
    for row in rows {
        let mut values = vec![String::new(); names.len()];
        for (name, value) in row.fields() {
            values[places[&name]] = value.csv();
        }
        write!(out, "{}\r\n", values.join(","))?;
    }
    Ok(())
}

/// Writes rows as JSON, an object to a line; what is unknown is null.
///
/// # Errors
/// The sink's.
pub fn write_json_lines(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    for row in rows {
        let fields: Vec<_> = row
            .fields()
            .map(|(name, value)| format!("\"{name}\":{}", value.json()))
            .collect();
        writeln!(out, "{{{}}}", fields.join(","))?;
    }
    Ok(())
}

/// A trace and what it has seen.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) host: HostId,
    pub(super) wire: Option<WireId>,
    pub(super) sampling: Sampling,
    /// When the next samples are due, of those at equal distances.
    pub(super) due: Option<Instant>,
    pub(super) rows: Vec<Row>,
    /// Segments sent and received when a connection was last looked at.
    seen: BTreeMap<TcpId, (u64, u64)>,
}

impl Trace {
    pub(super) fn new(
        now: Instant,
        host: HostId,
        sampling: Sampling,
        wire: Option<WireId>,
    ) -> Self {
        Self {
            host,
            wire,
            sampling,
            due: matches!(sampling, Sampling::Every(_)).then_some(now),
            rows: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Takes the rows that are due by their time.
    pub(super) fn on_time(&mut self, now: Instant, stack: &Stack, queue: Option<Queued>) {
        let Sampling::Every(distance) = self.sampling else {
            return;
        };
        self.due = Some(now + distance.max(Duration::from_nanos(1)));
        for id in stack.tcp_connections() {
            self.take(now, stack, id, queue);
        }
    }

    /// Takes the rows of a turn.
    pub(super) fn on_turn(&mut self, now: Instant, stack: &Stack, queue: Option<Queued>) {
        // Those that are gone are forgotten.
        self.seen.retain(|&id, _| stack.tcp_info(id).is_ok());
        for id in stack.tcp_connections() {
            self.take(now, stack, id, queue);
        }
    }

    fn take(&mut self, now: Instant, stack: &Stack, id: TcpId, queue: Option<Queued>) {
        let Ok(info) = stack.tcp_info(id) else {
            return;
        };
        if self.sampling == Sampling::EachTurn {
            let segments = (info.segs_out, info.segs_in);
            if self.seen.insert(id, segments) == Some(segments) {
                return;
            }
        }
        let row = Row::of(now, stack, id);
        self.rows.extend(row.map(|row| Row { queue, ..row }));
    }
}
