//! Pictures of what senders said of themselves: windows, and what they sent again.
//!
//! *Owns* the drawing. *Does not* ask them.

use std::fmt::Write as _;

use super::looks::Look;
use super::rig::Station;

/// Of a panel, and around it, in pixels.
const SIZE: (f64, f64) = (860.0, 180.0);
const LEFT: f64 = 70.0;
const TOP: f64 = 56.0;
const BETWEEN: f64 = 46.0;

/// What a panel shows, in words, and of a look.
type Panel = (&'static str, fn(&Look) -> f64);

/// An SVG of one seed's runs, over one time axis. The kernel's are orange, netloom's are blue.
pub(crate) fn picture(title: &str, senders: &[(Station, Vec<Look>)]) -> String {
    let (width, height) = (LEFT + SIZE.0 + 20.0, TOP + 2.0 * (SIZE.1 + BETWEEN));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>{title}</title>\n<style>text{{font:12px sans-serif}}polyline{{fill:none;stroke-width:1.4}}\
         .kernel{{stroke:#d55e00}}.own{{stroke:#0072b2}}.frame{{fill:none;stroke:#999}}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-weight=\"600\">{title}: Linux orange, netloom blue</text>\n"
    );
    let looks = || senders.iter().flat_map(|(_, looks)| looks);
    let end = looks()
        .map(|look| look.at.as_secs_f64())
        .fold(0.1, f64::max);
    let panels: [Panel; 2] = [
        ("congestion window, segments", |look| look.window),
        ("sent again, segments", |look| look.again),
    ];
    for ((name, of), top) in panels.into_iter().zip([TOP, TOP + SIZE.1 + BETWEEN]) {
        let most = looks().map(of).fold(1.0, f64::max);
        let place = |look: &Look| {
            let x = LEFT + SIZE.0 * look.at.as_secs_f64() / end;
            (x, top + SIZE.1 * (1.0 - of(look) / most))
        };
        // Writing into a `String` never fails.
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{}\">{name}, up to {most:.0}; {end:.1} s</text>\n\
             <rect class=\"frame\" x=\"{LEFT}\" y=\"{top}\" width=\"{}\" height=\"{}\"/>",
            top - 8.0,
            SIZE.0,
            SIZE.1
        );
        for (station, looks) in senders {
            let class = if *station == Station::Own {
                "own"
            } else {
                "kernel"
            };
            let mut points = String::new();
            for (x, y) in looks.iter().map(place) {
                let _ = write!(points, "{x:.1},{y:.1} ");
            }
            let _ = writeln!(
                svg,
                "<polyline class=\"{class}\" points=\"{}\"/>",
                points.trim_end()
            );
        }
    }
    svg + "</svg>\n"
}
