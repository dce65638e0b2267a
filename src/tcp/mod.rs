//! TCP: the wire format, and a connection as a value.
//!
//! RFC 9293, RFC 5681 and RFC 6582 (congestion control, NewReno), RFC 6298 (RTO), RFC 7323 (window
//! scale, timestamps, PAWS), RFC 2018, RFC 2883 and RFC 8985 (SACK, RACK-TLP), RFC 3168 (ECN), RFC 6093 (urgent data), RFC 7413 (fast open), RFC 5961 (blind attacks),
//! RFC 6528 (initial numbers), RFC 4821 (path MTU without ICMP), RFC 4987 (SYN cookies), RFC 1337 (TIME-WAIT), RFC 6928 (IW10).
//!
//! *Owns* everything between the demultiplexer and the IP header. *Does not* know addresses, links,
//! sockets or clocks: segments and time go in, plans come out.
//!
//! A segment's way in: `segment` -> `on_segment` -> `ack` -> `recovery` -> `receive`. Its way out:
//! `plan` -> `emit` -> `commit`. The fields that all of them share are in `connection`.

mod ack;
mod assembler;
mod black_hole;
mod budget;
mod check;
mod commit;
pub mod congestion;
mod connection;
mod cookie;
mod delivery;
mod ecn;
mod emit;
mod error;
mod fast_open;
mod fin_wait;
mod gate;
mod half_open;
mod header;
mod info;
mod isn;
mod newly_lost;
mod on_segment;
mod on_timer;
mod opening;
mod options;
mod overtaken;
mod owed;
mod part;
mod path_size;
mod persist;
mod plan;
mod quick;
mod rare;
mod read_queue;
mod receive;
mod record;
mod records;
mod recovery;
mod redeemed;
mod reset;
mod rtt;
mod sack_blocks;
mod scoreboard;
mod segment;
mod send;
mod send_buffer;
mod send_queue;
mod seq;
mod settings;
mod shift;
mod size_probe;
mod state;
mod stats;
mod time_wait;
mod timers;
mod times;
mod told;
mod ts_recent;
mod urgent;
mod user;
mod window;

pub use budget::MemoryPressure;
pub use ecn::Ecn;
pub use error::{ReadError, TcpFailure, WriteError};
pub use gate::SendLimit;
pub use header::{Fields, Flags, Header, ParseError};
pub use info::TcpInfo;
pub use options::{OptionIter, Options, TcpOption};
pub use path_size::MtuProbing;
pub use sack_blocks::{SackBlocks, SackIter};
pub use settings::{Keepalive, TcpOptions};
pub use state::State;

pub(crate) use budget::Budget;
pub(crate) use connection::{Connection, Offsets, Setup, Signals};
pub(crate) use cookie::{COOKIE_LIFE, Cookies, cookie_stamp};
pub(crate) use fast_open::{FastCookie, FastTry, FastWord};
pub(crate) use fin_wait::{FinWait, FinWaitStep};
pub(crate) use half_open::{Bare, HalfOpen, HalfOpenStep};
pub(crate) use header::CHECKSUM_OFFSET;
pub(crate) use isn::IsnGenerator;
pub(crate) use on_segment::Outcome;
pub(crate) use opening::Opening;
pub(crate) use path_size::{Found, PathMss, Steps};
pub(crate) use plan::FrameLimit;
pub(crate) use read_queue::Reach;
pub(crate) use receive::{QueuePart, syn_window, window_scale};
pub(crate) use reset::{Reset, refusal};
pub(crate) use segment::{Control, Marks, Segment};
pub(crate) use seq::SeqNum;
pub(crate) use shift::Shift;
pub(crate) use stats::Tally;
pub(crate) use time_wait::{TimeWait, TimeWaitStep};
