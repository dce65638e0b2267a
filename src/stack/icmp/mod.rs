//! ICMP and ICMPv6: echo answered, errors sent within limits, errors received handed to whom they
//! quote.
//!
//! RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3.2 (sending, rate); RFC 4443 §2.4; RFC 5927 §4, RFC 6633
//! (what is believed). *Owns* the messages that no socket sends, and how many of them leave. *Does not* know sockets.
//!
//! | file | owns |
//! |---|---|
//! | `receive` | what a message leads to |
//! | `echo` | answers to echo requests, and those that were refused |
//! | `report` | errors received: what they say, whose packet they quote |
//! | `complain` | errors sent: about what, when not |
//! | `limit` | how many are sent |

mod complain;
mod echo;
mod limit;
mod receive;
mod report;

pub(crate) use complain::Complaint;
pub(super) use complain::{Cause, QUOTED_V4, QUOTED_V6, may_carry_error};
pub(crate) use limit::IcmpLimit;
pub(crate) use report::{IcmpError, IcmpErrorKind};
