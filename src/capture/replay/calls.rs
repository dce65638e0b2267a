//! Users' calls as bytes and back.
//!
//! *Owns* the number of each call. *Does not* make them.

use super::code::{Code, Nonsense, Take, unknown};
use crate::stack::{Call, MOST_AT_ONCE, Payload};

/// The number of one that has no fields; of another it is 0.
const POLL_CHANGE: u8 = 35;

/// A line for each call: its number, its variant, and a name for each of its fields.
macro_rules! calls {
    ($($number:literal => $variant:ident($($field:ident),*);)+) => {
        /// Appends a call.
        pub(super) fn put_call(out: &mut Vec<u8>, call: &Call) {
            match call {
                Call::TcpAbortAll => 0_u8.put(out),
                Call::PollChange => POLL_CHANGE.put(out),
                $(Call::$variant($($field),*) => {
                    let number: u8 = $number;
                    number.put(out);
                    $($field.put(out);)*
                })+
            }
        }

        /// Reads a call.
        pub(super) fn take_call(from: &mut Take) -> Result<Call, Nonsense> {
            let call = match u8::take(from)? {
                0 => Call::TcpAbortAll,
                POLL_CHANGE => Call::PollChange,
                $($number => {
                    $(let $field = Code::take(from)?;)*
                    Call::$variant($($field),*)
                })+
                other => return unknown("call", other),
            };
            sensible(call)
        }
    };
}

calls! {
    1 => TcpConnect(a, b, c);
    2 => TcpListen(a, b);
    3 => TcpAccept(a);
    4 => TcpListenerRoom(a, b);
    5 => TcpListenerClose(a);
    6 => TcpWrite(a, b);
    7 => TcpWriteChunk(a, b);
    8 => TcpRead(a, b);
    9 => TcpReadChunk(a, b);
    10 => TcpPeek(a, b);
    11 => TcpShutdown(a, b);
    12 => TcpSetOptions(a, b);
    13 => TcpClose(a);
    14 => TcpAbort(a);
    15 => UdpBind(a, b);
    16 => UdpConnect(a, b);
    17 => UdpSendTo(a, b, c);
    18 => UdpSendChunk(a, b, c);
    19 => UdpSendSegmented(a, b, c, d);
    20 => UdpRecv(a);
    21 => UdpClose(a);
    22 => PingOpen(a);
    23 => PingSend(a, b, c, d, e);
    24 => PingRecv(a);
    25 => PingClose(a);
    26 => ChargeOutside(a);
    27 => AddAddress(a, b, c);
    28 => RemoveAddress(a, b);
    29 => AddRoute(a, b, c);
    30 => RemoveRoute(a, b, c);
    31 => AddGateway(a, b);
    32 => RemoveGateway(a, b);
    33 => SetLink(a, b);
    34 => SetMtu(a, b);
    37 => RemoveInterface(a);
    36 => SetLifetimes(a, b, c, d);
    42 => UdpSendWith(a, b, c, d, e);
    43 => PingSendWith(a, b, c, d, e);
    44 => UdpSetBroadcast(a, b);
    45 => UdpSetFlowLabel(a, b);
    50 => TcpWriteUrgent(a, b);
    51 => TcpUrgent(a);
    53 => PollReady(a, b);
    52 => TcpConnectOn(a, b, c, d);
    60 => UdpJoin(a, b, c, d);
    61 => UdpLeave(a, b, c, d);
    62 => UdpBlock(a, b, c, d);
    63 => UdpUnblock(a, b, c, d);
    64 => UdpSetFilter(a, b, c, d, e);
    65 => UdpSetMulticast(a, b);
    70 => RawOpen(a);
    71 => RawSend(a, b, c, d);
    72 => RawRecv(a);
    73 => RawClose(a);
    75 => PacketOpen(a);
    76 => PacketSend(a, b, c, d);
    77 => PacketRecv(a);
    78 => PacketClose(a);
    85 => Request(a);
    40 => DhcpRelease(a);
    41 => DhcpStart(a, b);
}

/// A call that no journal holds, because none moves as much, is none: to make it again takes memory.
fn sensible(call: Call) -> Result<Call, Nonsense> {
    match call {
        Call::TcpRead(_, len)
        | Call::TcpPeek(_, len)
        | Call::TcpWrite(_, Payload::Cut(len))
        | Call::TcpWriteChunk(_, Payload::Cut(len))
        | Call::TcpWriteUrgent(_, Payload::Cut(len))
            if len > MOST_AT_ONCE =>
        {
            unknown("length", u64::try_from(len).unwrap_or(u64::MAX))
        }
        call => Ok(call),
    }
}
