//! The TCP header and its options: lengths within the input; the set of options is what reading them
//! one by one gives, and emits to itself.

use netloom::tcp::{Flags, Header, Options, ParseError, TcpOption};

use super::wire::inside;

/// Input: a segment.
pub fn run(input: &[u8]) {
    let (header, text) = match Header::parse(input) {
        Ok(parsed) => parsed,
        Err(ParseError::Truncated { need, have }) => {
            assert!(need > have && have == input.len() && need <= 60);
            return;
        }
        Err(ParseError::DataOffset { words }) => return assert!(words < 5),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(header.len() + text.len(), input.len());
    assert_eq!(usize::from(input[12] >> 4) * 4, header.len());
    one_by_one(&header);
    let options = Options::parse(header.options_bytes());
    set(&header, &options);

    let mut emitted = [0xff; 60];
    let fields = header.fields();
    let len = fields.emit(&options, &mut emitted);
    assert!(len.is_multiple_of(4) && len == 20 + options.len());
    let (again, rest) = Header::parse(&emitted[..len]).expect("it was just written");
    assert!(rest.is_empty());
    assert_eq!((again.fields(), again.checksum()), (fields, 0));
    let mut reread = Options::parse(again.options_bytes());
    // SACK blocks give way to the others.
    let kept = reread.sack.len();
    assert_eq!(reread.sack.as_slice(), &options.sack.as_slice()[..kept]);
    assert!(kept == options.sack.len() || len + 8 > 60);
    reread.sack = options.sack;
    assert_eq!(reread, options);
    let mut plain = [0xff; 20];
    assert_eq!(fields.emit(&Options::NONE, &mut plain), 20);
    assert_eq!(plain[..12], input[..12]);
    assert_eq!(plain[13..16], input[13..16]);
    assert_eq!(plain[12] & 0xf, input[12] & 0xf);
    assert_eq!(plain[18..], input[18..20]);
    assert_eq!(header.flags().bits() & !0xfff, 0);
    assert_eq!(header.flags().contains(Flags::SYN), input[13] & 2 != 0);
}

fn one_by_one(header: &Header<'_>) {
    let bytes = header.options_bytes();
    let mut options = header.options();
    let mut taken = 0;
    for option in options.by_ref() {
        taken += match option {
            TcpOption::Mss(_) => 4,
            TcpOption::WindowScale(_) => 3,
            TcpOption::SackPermitted => 2,
            TcpOption::Sack(blocks) => {
                assert!(!blocks.is_empty());
                2 + 8 * blocks.len()
            }
            TcpOption::Timestamps { .. } => 10,
            TcpOption::FastOpen(data) | TcpOption::Unknown { data, .. } => {
                assert!(inside(data, bytes));
                2 + data.len()
            }
            other => panic!("{other:?}"),
        };
    }
    assert!(taken <= bytes.len());
    assert!(options.next().is_none());
    assert!(!options.malformed() || taken < bytes.len());
}

/// The last of each known option counts.
fn set(header: &Header<'_>, options: &Options) {
    let mut gathered = Options::NONE;
    for option in header.options() {
        match option {
            TcpOption::Mss(mss) => gathered.mss = Some(mss),
            TcpOption::WindowScale(shift) => gathered.window_scale = Some(shift),
            TcpOption::SackPermitted => gathered.sack_permitted = true,
            TcpOption::Sack(blocks) => gathered.sack = blocks,
            TcpOption::Timestamps { val, ecr } => gathered.timestamps = Some((val, ecr)),
            _ => {}
        }
    }
    assert_eq!(*options, gathered);
}
