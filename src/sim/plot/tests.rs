//! Pictures of real runs.

use core::time::Duration;

use super::*;
use crate::device::{Chance, QueueLimit, WireConfig};
use crate::sim::{Bulk, Pair, Sampling, Sink};

/// Rows of `flows` flows over a slow link that loses some frames, for five seconds.
fn rows(flows: u16, queue: bool) -> Vec<Row> {
    let link = WireConfig::perfect()
        .rate(10_000_000)
        .delay(Duration::from_millis(20))
        .queue(QueueLimit::Bytes(50_000))
        .loss(Chance::percent(1));
    let mut pair = Pair::new(3, link).unwrap();
    for flow in 0..flows {
        let to = (Pair::RIGHT, 9 + flow).into();
        pair.network.add_app(pair.right, Sink::new(to));
        pair.network.add_app(pair.left, Bulk::new(to));
    }
    let every = Sampling::Every(Duration::from_millis(1));
    let wire = queue.then_some(pair.link.forth());
    let trace = pair.network.trace(pair.left, every, wire);
    pair.network.run_for(Duration::from_secs(5)).unwrap();
    pair.network.take_rows(trace)
}

/// All tags that were opened were closed, and nothing stands outside of the root.
fn assert_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag ends");
        let name = tag.split([' ', '/']).find(|part| !part.is_empty());
        let name = name.expect("a tag has a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
}

#[test]
fn one_connection_is_drawn_in_four_panels() {
    let rows = rows(1, true);
    let svg = Plot::new("one <flow>", &rows).note("seed 3").to_string();
    assert_well_formed(&svg);
    for text in [
        "one &lt;flow&gt;",
        "seed 3",
        ">sequence, MB<",
        ">window, kB<",
        ">round-trip time, ms<",
        ">queue, kB<",
        ">time, s<",
        ">sent again<",
        ">ssthresh<",
        ">cwnd<",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(svg.len() < 150_000, "{} bytes", svg.len());
    assert_eq!(
        svg,
        Plot::new("one <flow>", &rows).note("seed 3").to_string()
    );
}

/// A line is drawn where its values are: the highest point of the window is the highest window.
#[test]
fn points_stand_where_their_values_are() {
    let rows = rows(1, true);
    let panels = panels(&rows);
    let window = &panels[1];
    let cwnd = window.series.last().expect("cwnd is drawn last");
    assert_eq!(cwnd.label, "cwnd");
    let (at, greatest) = *cwnd.points.iter().max_by_key(|point| point.1).unwrap();
    let row = rows.iter().find(|row| row.at == at).unwrap();
    assert_eq!(u64::from(row.info.cwnd), greatest);
    let again = &panels[0].series[2];
    assert!(!again.points.is_empty(), "losses are repaired");
    let last = &rows[rows.len() - 1].info;
    assert_eq!(
        panels[0].series[0].points.last().map(|point| point.1),
        Some(last.bytes_acked + u64::from(last.unacked))
    );
}

#[test]
fn several_connections_have_a_colour_each() {
    let svg = Plot::new("three", &rows(3, false)).to_string();
    assert_well_formed(&svg);
    for class in ["\"c0\"", "\"c1\"", "\"c2\""] {
        // A line and its sample in three panels.
        assert_eq!(svg.matches(class).count(), 6, "{class}");
    }
    assert!(!svg.contains("queue"), "nobody asked for it");
}

#[test]
fn a_picture_of_nothing_is_one() {
    let svg = Plot::new("nothing", &[]).to_string();
    assert_well_formed(&svg);
    assert!(svg.contains(">time, ns<"));
}
