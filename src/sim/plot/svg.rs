//! A drawing as SVG text.
//!
//! *Owns* the syntax and the colours. *Does not* know what is drawn. Lengths are tenths of a pixel,
//! integers, so that the same drawing is the same text on every machine.

use core::fmt::{self, Write as _};

/// A length or place, in tenths of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tenths(pub(super) u32);

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{}", self.0 / 10),
            tenth => write!(f, "{}.{tenth}", self.0 / 10),
        }
    }
}

/// Where a text stands relative to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Colours that are told apart by readers who see no red or no green (after Okabe and Ito), darker on
/// light ground and lighter on dark ground. An SVG in a page follows the reader's setting.
const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#333}\
.title{font-size:15px;font-weight:600}\
.head{font-weight:600}\
.ground{fill:#fff}\
.grid{stroke:#e4e4e4}\
.frame{stroke:#999;fill:none}\
polyline{fill:none;stroke-width:1.4;stroke-linejoin:round}\
.thin{stroke-width:.8}\
.dash{stroke-dasharray:5 4}\
.c0{stroke:#0072b2}.c1{stroke:#d55e00}.c2{stroke:#008560}.c3{stroke:#a8538a}\
.c4{stroke:#8a6d00}.c5{stroke:#2a2a2a}.c6{stroke:#3d8fc4}.c7{stroke:#7a4bb5}\
@media(prefers-color-scheme:dark){\
text{fill:#d6d6d6}.ground{fill:#14171a}.grid{stroke:#2b3035}.frame{stroke:#777}\
.c0{stroke:#56b4e9}.c1{stroke:#f0873a}.c2{stroke:#1fc79a}.c3{stroke:#e39cc8}\
.c4{stroke:#e8c840}.c5{stroke:#e0e0e0}.c6{stroke:#93cdf0}.c7{stroke:#b795e6}}";

/// How many colours there are: classes `c0`, `c1` and so on.
pub(super) const COLOURS: usize = 8;

/// A drawing that grows.
#[derive(Debug)]
pub(super) struct Drawing {
    text: String,
}

impl Drawing {
    /// An empty drawing of this size in pixels, with what it shows as words for those who do not see it.
    pub(super) fn new(width: u32, height: u32, title: &str) -> Self {
        let mut text = String::new();
        // Writing into a `String` never fails.
        let _ = write!(
            text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\">\n<title>{}</title>\n\
             <style>{STYLE}</style>\n<rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n",
            Escaped(title)
        );
        Self { text }
    }

    pub(super) fn text(
        &mut self,
        (x, y): (Tenths, Tenths),
        anchor: Anchor,
        class: &str,
        text: &str,
    ) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let class = Class(class);
        let text = Escaped(text);
        self.push(format_args!(
            "<text x=\"{x}\" y=\"{y}\"{anchor}{class}>{text}</text>"
        ));
    }

    pub(super) fn line(&mut self, from: (Tenths, Tenths), to: (Tenths, Tenths), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let class = Class(class);
        self.push(format_args!(
            "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"{class}/>"
        ));
    }

    pub(super) fn frame(&mut self, at: (Tenths, Tenths), size: (Tenths, Tenths)) {
        let ((x, y), (width, height)) = (at, size);
        self.push(format_args!(
            "<rect class=\"frame\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
        ));
    }

    pub(super) fn polyline(&mut self, points: &[(Tenths, Tenths)], class: &str) {
        let mut places = String::new();
        for (number, (x, y)) in points.iter().enumerate() {
            let between = if number == 0 { "" } else { " " };
            let _ = write!(places, "{between}{x},{y}");
        }
        let class = Class(class);
        self.push(format_args!("<polyline{class} points=\"{places}\"/>"));
    }

    /// Short strokes upwards from these places.
    pub(super) fn strokes(&mut self, feet: &[(Tenths, Tenths)], height: Tenths, class: &str) {
        let mut path = String::new();
        for (x, y) in feet {
            let _ = write!(path, "M{x} {y}v-{height}");
        }
        let class = Class(class);
        self.push(format_args!("<path{class} d=\"{path}\"/>"));
    }

    /// The whole text.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn push(&mut self, element: fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{element}");
    }
}

struct Class<'a>(&'a str);

impl fmt::Display for Class<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            class => write!(f, " class=\"{class}\""),
        }
    }
}

/// Text as XML 1.0 §2.4 wants it.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                // XML has no way to write them.
                c if c.is_control() => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_what_they_are() {
        let mut drawing = Drawing::new(20, 10, "a < b & \"c\"\u{1}");
        let at = (Tenths(15), Tenths(20));
        drawing.text(at, Anchor::End, "head", "1 > 0");
        drawing.polyline(&[at, (Tenths(30), Tenths(41))], "c0");
        drawing.line(at, (Tenths(0), Tenths(1)), "grid");
        drawing.strokes(&[at], Tenths(50), "c1");
        drawing.frame(at, at);
        let text = drawing.finish();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "<title>a &lt; b &amp; &quot;c&quot; </title>");
        assert_eq!(
            lines[4..],
            [
                "<text x=\"1.5\" y=\"2\" text-anchor=\"end\" class=\"head\">1 &gt; 0</text>",
                "<polyline class=\"c0\" points=\"1.5,2 3,4.1\"/>",
                "<line x1=\"1.5\" y1=\"2\" x2=\"0\" y2=\"0.1\" class=\"grid\"/>",
                "<path class=\"c1\" d=\"M1.5 2v-5\"/>",
                "<rect class=\"frame\" x=\"1.5\" y=\"2\" width=\"1.5\" height=\"2\"/>",
                "</svg>"
            ]
        );
    }

    #[test]
    fn every_colour_is_there_on_light_and_on_dark_ground() {
        for colour in 0..COLOURS {
            let class = format!(".c{colour}{{");
            assert_eq!(STYLE.matches(&class).count(), 2, "{class}");
        }
    }
}
