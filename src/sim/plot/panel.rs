//! One panel: series over time in one unit.
//!
//! *Owns* which points of a series are drawn, and where. *Does not* choose series.

use super::axis::{Axis, Quantity};
use super::svg::{Anchor, Drawing, Tenths};
use crate::base::Instant;

/// Room that a panel has, in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// What a series looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Its points joined.
    Line,
    /// A short stroke at each point.
    Strokes,
}

/// Values over time, in the order of time.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) label: String,
    /// Classes of the drawing.
    pub(super) class: String,
    pub(super) shape: Shape,
    pub(super) points: Vec<(Instant, u64)>,
}

/// Series that share an axis.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) quantity: Quantity,
    pub(super) series: Vec<Series>,
}

/// Steps between ticks of a value axis.
const TICKS: u64 = 4;
/// Points closer than this along the time are drawn as one stroke from the least to the greatest.
const COLUMN: Tenths = Tenths(20);
const STROKE: Tenths = Tenths(60);

impl Panel {
    /// Draws the panel, without its time axis but with the grid of that.
    pub(super) fn draw(&self, drawing: &mut Drawing, room: Room, time: &Axis) {
        let values = self.series.iter().flat_map(|series| &series.points);
        let greatest = values.map(|&(_, value)| value).max().unwrap_or(0);
        let axis = Axis::from_zero(self.quantity, greatest, TICKS);
        let (right, bottom) = (room.left + room.width, room.top + room.height);
        let head = room.top - 8;
        let title = format!("{}, {}", self.title, axis.unit());
        drawing.text((px(room.left), px(head)), Anchor::Start, "head", &title);
        self.legend(drawing, right, head);
        for (at, label) in axis.ticks() {
            let y = room.y(&axis, at);
            drawing.line((px(room.left), y), (px(right), y), "grid");
            let beside = Tenths(y.0 + 40);
            drawing.text((px(room.left - 6), beside), Anchor::End, "", &label);
        }
        for (at, _) in time.ticks() {
            let x = room.x(time, at);
            drawing.line((x, px(room.top)), (x, px(bottom)), "grid");
        }
        for series in &self.series {
            series.draw(drawing, room, time, &axis);
        }
        drawing.frame(
            (px(room.left), px(room.top)),
            (px(room.width), px(room.height)),
        );
    }

    /// From the right edge on, the last series first.
    fn legend(&self, drawing: &mut Drawing, right: u32, y: u32) {
        let mut x = right;
        for series in self.series.iter().rev() {
            drawing.text((px(x), px(y)), Anchor::End, "", &series.label);
            // The mean width of a letter at 12 px is 6 to 7.
            let letters = u32::try_from(series.label.chars().count()).unwrap_or(0);
            let Some(text) = x.checked_sub(letters.saturating_mul(7) + 6) else {
                return;
            };
            let sample = [
                (px(text.saturating_sub(18)), px(y - 4)),
                (px(text), px(y - 4)),
            ];
            match series.shape {
                Shape::Line => drawing.polyline(&sample, &series.class),
                Shape::Strokes => {
                    let middle = (px(text.saturating_sub(6)), px(y - 1));
                    drawing.strokes(&[middle], STROKE, &series.class);
                }
            }
            x = text.saturating_sub(18 + 14);
        }
    }
}

impl Series {
    fn draw(&self, drawing: &mut Drawing, room: Room, time: &Axis, axis: &Axis) {
        let place =
            |&(at, value): &(Instant, u64)| (room.x(time, at.as_nanos()), room.y(axis, value));
        let places: Vec<_> = self.points.iter().map(place).collect();
        match self.shape {
            Shape::Line => {
                let points = thinned(&places);
                if !points.is_empty() {
                    drawing.polyline(&points, &self.class);
                }
            }
            Shape::Strokes => {
                let mut feet = places;
                feet.dedup_by_key(|foot| foot.0.0 / COLUMN.0);
                if !feet.is_empty() {
                    drawing.strokes(&feet, STROKE, &self.class);
                }
            }
        }
    }
}

impl Room {
    pub(super) fn x(self, time: &Axis, at: u64) -> Tenths {
        Tenths(px(self.left).0 + time.place(at, px(self.width).0))
    }

    fn y(self, axis: &Axis, value: u64) -> Tenths {
        let height = px(self.height).0;
        Tenths(px(self.top).0 + height - axis.place(value, height))
    }
}

/// Pixels as tenths of them.
pub(super) const fn px(pixels: u32) -> Tenths {
    Tenths(pixels * 10)
}

/// The same line in far fewer points: of those in one column the first, the lowest, the highest and
/// the last, in their order. So no peak is lost, be it ever so short.
fn thinned(places: &[(Tenths, Tenths)]) -> Vec<(Tenths, Tenths)> {
    let mut points: Vec<(Tenths, Tenths)> = Vec::new();
    for column in places.chunk_by(|a, b| a.0.0 / COLUMN.0 == b.0.0 / COLUMN.0) {
        let extreme = |least: bool| {
            let by = |&at: &usize| {
                if least {
                    column[at].1.0
                } else {
                    u32::MAX - column[at].1.0
                }
            };
            (0..column.len()).min_by_key(by).unwrap_or(0)
        };
        let mut kept = [0, extreme(true), extreme(false), column.len() - 1];
        kept.sort_unstable();
        for at in kept {
            let point = column[at];
            // What lies between two equal heights says nothing.
            if let [.., before, last] = &mut points[..]
                && before.1 == point.1
                && last.1 == point.1
            {
                *last = point;
            } else if points.last() != Some(&point) {
                points.push(point);
            }
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_peaks_and_ends_and_few_points() {
        let saw = |x: u32| {
            (
                Tenths(x / 50),
                Tenths(if x == 31_234 { 900 } else { 400 + x % 7 }),
            )
        };
        let places: Vec<_> = (0..100_000).map(saw).collect();
        let thin = thinned(&places);
        assert!(thin.len() <= 4 * (100_000 / 50 / 20 + 1), "{}", thin.len());
        assert!(thin.contains(&(Tenths(31_234 / 50), Tenths(900))));
        assert_eq!((thin.first(), thin.last()), (places.first(), places.last()));
        assert!(thin.is_sorted_by_key(|point| point.0));
    }

    #[test]
    fn a_level_line_is_two_points() {
        let level: Vec<_> = (0..5000).map(|x| (Tenths(x), Tenths(7))).collect();
        assert_eq!(thinned(&level), [level[0], level[4999]]);
        assert_eq!(thinned(&[]), []);
        assert_eq!(thinned(&level[..1]), level[..1]);
    }
}
