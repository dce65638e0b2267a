//! A picture of a trace: sequence numbers, window, round-trip time and queue over one time axis.
//!
//! *Owns* what is drawn of [`Row`]s. *Does not* take them. The same rows give the same text, on every
//! machine.
//!
//! | file | owns |
//! |---|---|
//! | `panel.rs` | one panel: which points are drawn, and where |
//! | `axis.rs` | spans, ticks, units |
//! | `svg.rs` | the syntax, the colours |

mod axis;
mod panel;
mod svg;

use core::fmt;
use std::collections::BTreeMap;

use self::axis::{Axis, Quantity};
use self::panel::{Panel, Room, Series, Shape, px};
use self::svg::{Anchor, COLOURS, Drawing, Tenths};
use super::trace::Row;
use crate::base::Instant;
use crate::stack::TcpId;
use crate::tcp::TcpInfo;

/// Width of the picture, and the room around panels, in pixels.
const WIDTH: u32 = 960;
const LEFT: u32 = 64;
const RIGHT: u32 = 20;
const TOP: u32 = 52;
const PANEL: u32 = 130;
const BETWEEN: u32 = 34;
const BOTTOM: u32 = 40;
/// Steps between ticks of the time axis.
const TICKS: u64 = 10;

/// A picture of the rows of a trace as SVG, in four panels over one time axis: what was sent and what
/// was acknowledged, with a stroke where something was sent again; the congestion window with what was in
/// flight under it and the slow-start threshold; round-trip times; and what waited on the wire.
///
/// Its colours follow the reader's setting of a light or a dark page. With several connections each has a colour, and
/// only what tells them apart is drawn.
///
/// ```
/// use std::time::Duration;
/// use netloom::device::WireConfig;
/// use netloom::sim::{Bulk, Pair, Plot, Sampling, Sink};
///
/// let link = WireConfig::perfect().rate(10_000_000).delay(Duration::from_millis(10));
/// let mut pair = Pair::new(1, link)?;
/// let to = (Pair::RIGHT, 9).into();
/// pair.network.add_app(pair.right, Sink::new(to));
/// pair.network.add_app(pair.left, Bulk::new(to).bytes(1_000_000));
/// let every = Sampling::Every(Duration::from_millis(1));
/// let trace = pair.network.trace(pair.left, every, Some(pair.link.forth()));
/// pair.network.run_for(Duration::from_secs(2))?;
/// let svg = Plot::new("A megabyte", &pair.network.take_rows(trace)).to_string();
/// assert!(svg.contains("A megabyte"));
/// # Ok::<(), netloom::sim::SimError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Plot<'a> {
    title: &'a str,
    note: &'a str,
    rows: &'a [Row],
}

impl<'a> Plot<'a> {
    /// A picture of rows, which are in the order of time, with this title.
    pub const fn new(title: &'a str, rows: &'a [Row]) -> Self {
        Self {
            title,
            note: "",
            rows,
        }
    }

    /// A line under the title.
    pub const fn note(self, note: &'a str) -> Self {
        Self { note, ..self }
    }
}

/// The SVG.
impl fmt::Display for Plot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let panels = panels(self.rows);
        let count = u32::try_from(panels.len()).unwrap_or(0);
        let height = TOP + count * (PANEL + BETWEEN) - BETWEEN + BOTTOM;
        let mut drawing = Drawing::new(WIDTH, height, self.title);
        drawing.text((px(LEFT), px(20)), Anchor::Start, "title", self.title);
        let note = (px(WIDTH - RIGHT), px(20));
        drawing.text(note, Anchor::End, "", self.note);
        let time = time_axis(self.rows);
        let mut room = Room {
            left: LEFT,
            top: TOP,
            width: WIDTH - LEFT - RIGHT,
            height: PANEL,
        };
        for panel in &panels {
            panel.draw(&mut drawing, room, &time);
            room.top += PANEL + BETWEEN;
        }
        let bottom = room.top - BETWEEN;
        for (at, label) in time.ticks() {
            let below = (room.x(&time, at), px(bottom + 16));
            drawing.text(below, Anchor::Middle, "", &label);
        }
        let middle = Tenths(px(room.left).0 + px(room.width).0 / 2);
        let name = format!("time, {}", time.unit());
        drawing.text((middle, px(bottom + 34)), Anchor::Middle, "head", &name);
        f.write_str(&drawing.finish())
    }
}

fn time_axis(rows: &[Row]) -> Axis {
    let of = |row: Option<&Row>| row.map_or(0, |row| row.at.as_nanos());
    Axis::exact(Quantity::Time, of(rows.first()), of(rows.last()), TICKS)
}

/// The four panels of these rows; that of the queue only when rows tell of one.
fn panels(rows: &[Row]) -> Vec<Panel> {
    let mut connections: BTreeMap<TcpId, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        connections.entry(row.id).or_default().push(row);
    }
    let mut sequence = Vec::new();
    let mut window = Vec::new();
    let mut round_trip = Vec::new();
    if let [rows] = &connections.values().collect::<Vec<_>>()[..] {
        sequence = vec![
            line("sent", "c6", rows, |info| Some(sent(info))),
            line("acknowledged", "c0", rows, |info| Some(info.bytes_acked)),
            again(rows),
        ];
        window = vec![
            line("in flight", "c6 thin", rows, |info| {
                Some(info.in_flight.into())
            }),
            line("ssthresh", "c3 dash", rows, |info| {
                (info.ssthresh < u32::MAX).then_some(info.ssthresh.into())
            }),
            line("cwnd", "c0", rows, |info| Some(info.cwnd.into())),
        ];
        round_trip = vec![
            line("latest", "c6 thin", rows, |info| nanos(info.latest_rtt)),
            line("smoothed", "c0", rows, |info| nanos(info.rtt)),
        ];
    } else {
        for (number, rows) in connections.values().enumerate() {
            let label = rows.first().map_or(0, |row| row.local.port()).to_string();
            let class = format!("c{}", number % COLOURS);
            sequence.push(line(&label, &class, rows, |info| Some(info.bytes_acked)));
            window.push(line(&label, &class, rows, |info| Some(info.cwnd.into())));
            round_trip.push(line(&label, &class, rows, |info| nanos(info.rtt)));
        }
    }
    let mut panels = vec![
        panel("sequence", Quantity::Bytes, sequence),
        panel("window", Quantity::Bytes, window),
        panel("round-trip time", Quantity::Time, round_trip),
    ];
    let queue: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row.at, u64::try_from(row.queue?.bytes).ok()?)))
        .collect();
    if !queue.is_empty() {
        let series = series("waiting", "c2", Shape::Line, queue);
        panels.push(panel("queue", Quantity::Bytes, vec![series]));
    }
    panels
}

/// A panel of those series that have a point.
fn panel(title: &'static str, quantity: Quantity, mut series: Vec<Series>) -> Panel {
    series.retain(|series| !series.points.is_empty());
    Panel {
        title,
        quantity,
        series,
    }
}

fn line(label: &str, class: &str, rows: &[&Row], of: impl Fn(&TcpInfo) -> Option<u64>) -> Series {
    let points = rows
        .iter()
        .filter_map(|row| Some((row.at, of(&row.info)?)))
        .collect();
    series(label, class, Shape::Line, points)
}

/// Where more had been sent again than in the row before, at what was acknowledged by then.
fn again(rows: &[&Row]) -> Series {
    let points = rows
        .windows(2)
        .filter(|pair| pair[0].info.retransmits < pair[1].info.retransmits)
        .map(|pair| (pair[1].at, pair[1].info.bytes_acked))
        .collect();
    series("sent again", "c1", Shape::Strokes, points)
}

fn series(label: &str, class: &str, shape: Shape, points: Vec<(Instant, u64)>) -> Series {
    Series {
        label: label.to_owned(),
        class: class.to_owned(),
        shape,
        points,
    }
}

/// Text bytes that have been sent at least once.
fn sent(info: &TcpInfo) -> u64 {
    info.bytes_acked.saturating_add(info.unacked.into())
}

fn nanos(time: Option<core::time::Duration>) -> Option<u64> {
    u64::try_from(time?.as_nanos()).ok()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
