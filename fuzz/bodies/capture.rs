//! Capture files: reading is total, does not depend on how the bytes arrive, and what was read can be
//! written and read again.

use std::io::{self, Read};
use std::time::SystemTime;

use netloom::Instant;
use netloom::capture::{
    CaptureSettings, Counts, Direction, Ended, Frame, LinkType, Reader, Writer, Written,
};

/// Input: a file, pcap or pcapng.
pub fn run(input: &[u8]) {
    let (frames, counts, ended) = read(input);
    let (same, same_counts, same_ended) = read(Drops(input));
    assert_eq!((&frames, counts, ended), (&same, same_counts, same_ended));
    let len = u64::try_from(input.len()).expect("small");
    assert!(counts.bytes <= len);
    assert_eq!(counts.frames, u64::try_from(frames.len()).expect("small"));
    let cut = frames.iter().filter(|frame| frame.is_cut()).count();
    assert_eq!(counts.cut_frames, u64::try_from(cut).expect("small"));
    let data: usize = frames.iter().map(|frame| frame.data.len()).sum();
    assert!(data <= input.len());
    write(&frames);
}

fn read(source: impl Read) -> (Vec<Frame>, Counts, String) {
    let mut reader = Reader::new(source);
    let frames: Vec<Frame> = reader.by_ref().collect();
    let counts = reader.counts();
    let ended = reader.ended().expect("it has no more frames");
    match ended {
        Ended::Cut { at, missing } => assert!(*missing > 0 && *at >= counts.bytes),
        Ended::Corrupt { at, .. } => assert!(*at <= counts.bytes),
        Ended::Complete => assert!(reader.has_begun()),
        other => panic!("{other}"),
    }
    let ended = ended.to_string();
    assert!(reader.next().is_none());
    assert_eq!(reader.counts(), counts);
    (frames, counts, ended)
}

/// Gives few bytes at a time.
struct Drops<'a>(&'a [u8]);

impl Read for Drops<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.0.len() % 7;
        if len == 0 && !self.0.is_empty() {
            buf[0] = self.0[0];
            self.0 = &self.0[1..];
            return Ok(1);
        }
        let (mut front, back) = self.0.split_at(len.min(buf.len()));
        self.0 = back;
        front.read(buf)
    }
}

/// Writes what was read and reads it again.
fn write(frames: &[Frame]) {
    let settings = CaptureSettings::new(SystemTime::UNIX_EPOCH).snap_len(u32::MAX);
    let mut writer = Writer::new(vec![], &settings).expect("a vector");
    let mut links: Vec<LinkType> = vec![];
    let mut numbers = vec![];
    for frame in frames {
        let place = links.iter().position(|link| *link == frame.link);
        let place = place.unwrap_or_else(|| {
            links.push(frame.link);
            numbers.push(writer.interface(frame.link, "fuzz").expect("a vector"));
            links.len() - 1
        });
        let at = Instant::from_nanos(frame.at.unwrap_or(0));
        let direction = frame.direction.unwrap_or(Direction::Inbound);
        let kept = writer.frame(numbers[place], at, direction, &frame.data, &[]);
        assert_eq!(kept.expect("a vector"), Written::Kept);
    }
    let file = writer.finish().expect("a vector");
    let (again, _, ended) = read(&file[..]);
    assert_eq!(ended, Ended::Complete.to_string());
    assert_eq!(again.len(), frames.len());
    for (again, frame) in again.iter().zip(frames) {
        assert_eq!((again.at, again.link), (frame.at.or(Some(0)), frame.link));
        assert_eq!(again.data, frame.data);
        let direction = frame.direction.unwrap_or(Direction::Inbound);
        assert_eq!(again.direction, Some(direction));
    }
}
