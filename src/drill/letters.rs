//! The letters that flags have in a script.
//!
//! *Owns* the table, which reading and showing share. *Does not* know the digits of an ACE count: they
//! are read, and shown as their letters.

use crate::tcp::Flags;

/// A letter each, in the order in which they are shown.
pub(super) const LETTERS: [(char, Flags); 9] = [
    ('F', Flags::FIN),
    ('S', Flags::SYN),
    ('R', Flags::RST),
    ('P', Flags::PSH),
    ('U', Flags::URG),
    ('E', Flags::ECE),
    ('W', Flags::CWR),
    ('A', Flags::AE),
    ('.', Flags::ACK),
];
