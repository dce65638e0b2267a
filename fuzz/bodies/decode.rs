//! The packet printer: any bytes give one line of bounded length, and something to filter by.

use netloom::decode::{Decoder, Link};
use netloom::link::{PartialChecksum, RxChecksum};

/// The links that a capture can name.
const LINKS: [u16; 8] = [1, 101, 0, 108, 113, 276, 228, 147];

/// No line is longer, whatever the frame.
const LONGEST: usize = 4096;

/// Input: a byte for the link, one for what is known of the checksum, one for how many bytes the
/// frame had beyond those that are there, then the frame.
pub fn run(input: &[u8]) {
    let [link, checksum, cut, frame @ ..] = input else {
        return;
    };
    let link = Link::from_linktype(LINKS[usize::from(*link) % LINKS.len()]);
    let checksum = match checksum % 3 {
        0 => RxChecksum::Unknown,
        1 => RxChecksum::Verified,
        _ => RxChecksum::Partial(PartialChecksum {
            start: u16::from(*checksum),
            offset: 16,
        }),
    };
    let cut = usize::from(*cut);
    let flow = Decoder::new(link).flow(frame);
    assert!(flow.ports.is_none() || flow.protocol.is_some(), "{flow:?}");
    let line = Decoder::new(link).line(frame, frame.len() + cut, checksum);
    let text = line.to_string();
    assert!(
        !text.is_empty() && text.len() <= LONGEST,
        "{} bytes",
        text.len()
    );
    assert!(!text.contains(char::is_control), "{text:?}");
    assert_eq!(text.contains("cut, "), cut > 0, "{text}");
    assert_eq!(text, line.to_string());
}
