//! A script, as its parser leaves it.
//!
//! *Owns* the shapes. *Does not* say what they mean: numbers are the script's own, names are words.

use core::num::NonZeroU16;
use core::time::Duration;

use crate::tcp::Flags;

/// A parsed script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    pub(super) options: Vec<ScriptOption>,
    pub(super) init: Option<Shell>,
    pub(super) events: Vec<Event>,
    pub(super) cleanup: Option<Shell>,
}

/// `--name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScriptOption {
    pub(super) line: u32,
    pub(super) name: String,
    pub(super) value: Option<String>,
}

/// A command between backticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shell {
    pub(super) line: u32,
    pub(super) text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) line: u32,
    pub(super) when: When,
    /// When a call that blocks must return: since what the event's start counts from.
    pub(super) until: Option<Duration>,
    pub(super) action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Since the first event.
    At(Duration),
    /// Since the event before.
    After(Duration),
    Any,
    /// Since the first event.
    Between(Duration, Duration),
    /// Since the event before.
    BetweenAfter(Duration, Duration),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Inject(Packet),
    Expect(Packet),
    /// `> ...`: whatever left until then.
    ExpectAnything,
    Call(Call),
    Shell(Shell),
    Code(Vec<Statement>),
}

// --- packets ----------------------------------------------------------------------------------

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) ip: IpInfo,
    pub(super) body: Body,
    /// `<<`: it comes in one batch with the next line's.
    pub(super) joined: bool,
}

/// What a line says of the IP header; `None` is what it leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct IpInfo {
    pub(super) ecn: Option<EcnField>,
    /// The whole octet, or the whole traffic class.
    pub(super) tos: Option<u8>,
    pub(super) flow_label: Option<u32>,
    pub(super) ttl: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EcnField {
    None,
    Ect0,
    Ect1,
    /// Either of them.
    Ect01,
    Ce,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Tcp(Tcp),
    Udp(Udp),
    Icmp(Icmp),
    /// A protocol, encapsulation or field of the IP header that netloom has not.
    Unsupported(String),
}

/// A sequence number; absolute ones are what stands on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) value: u32,
    pub(super) absolute: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tcp {
    pub(super) ports: Option<(u16, u16)>,
    pub(super) flags: Flags,
    pub(super) seq: Number,
    /// Bytes of text.
    pub(super) len: u32,
    /// Bytes of each segment on the wire but the last, when the line says so.
    pub(super) size: Option<NonZeroU16>,
    pub(super) ack: Option<Number>,
    pub(super) window: Option<u16>,
    pub(super) urgent: Option<u16>,
    pub(super) options: TcpOptionList,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TcpOptionList {
    /// `<...>`: not checked.
    Any,
    /// In the order of the script; empty when there is no list at all.
    These(Vec<TcpOption>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TcpOption {
    Eol,
    Nop,
    Mss(u16),
    WindowScale(u8),
    SackOk,
    Sack(Vec<(Number, Number)>),
    Timestamps {
        val: u32,
        ecr: u32,
    },
    /// A fast-open cookie; empty is a request for one.
    FastOpen(Vec<u8>),
    /// One that netloom has not, by name.
    Unsupported(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Udp {
    pub(super) ports: Option<(u16, u16)>,
    pub(super) len: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Icmp {
    pub(super) kind: String,
    pub(super) code: Option<String>,
    pub(super) mtu: Option<u32>,
    pub(super) id: Option<u16>,
    pub(super) quoted: Option<Quoted>,
}

/// The packet that an ICMP error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoted {
    Tcp {
        flags: Option<Flags>,
        seq: Number,
        len: u32,
        ack: Option<Number>,
    },
    Udp {
        len: u16,
    },
    /// Octets that are nothing.
    Raw {
        len: u16,
    },
}

// --- calls ------------------------------------------------------------------------------------

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) args: Vec<Arg>,
    pub(super) result: Arg,
    pub(super) errno: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arg {
    /// `...`
    Any,
    Number(i64),
    Text(String),
    Name(String),
    /// `A|B`
    Or(Vec<Self>),
    List(Vec<Self>),
    Record(Vec<Field>),
    /// `htons(8080)`
    Function(String, Vec<Self>),
}

/// One of a record: `name = value`, `name(length) = value`, or a value alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Option<String>,
    pub(super) length: Option<Arg>,
    pub(super) value: Arg,
}

// --- code -------------------------------------------------------------------------------------

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) line: u32,
    /// As it stands in the script.
    pub(super) text: String,
    pub(super) kind: StatementKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StatementKind {
    Assert {
        condition: Expr,
        message: Option<Expr>,
    },
    Assign(String, Expr),
    Unsupported(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expr {
    Number(i128),
    Text(String),
    Name(String),
    Tuple(Vec<Self>),
    Not(Box<Self>),
    Minus(Box<Self>),
    Invert(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    /// `a < b <= c`
    Compare(Box<Self>, Vec<(Comparison, Self)>),
    Binary(Operator, Box<Self>, Box<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    /// Towards minus infinity, as the language of the code has it for whole numbers.
    Divide,
    Remainder,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
}
