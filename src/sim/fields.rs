//! What a row says, by name.
//!
//! *Owns* the names and the order of what is known about a connection. *Does not* choose rows.

use core::time::Duration;

use crate::tcp::congestion::Phase;
use crate::tcp::{SendLimit, State, TcpFailure, TcpInfo};

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// Not known, or not there.
    None,
    /// A count, a length in bytes, a time in nanoseconds.
    Number(u64),
    /// What a congestion control says of itself.
    Inspected(i128),
    /// Yes or no.
    Flag(bool),
    /// A name or an address.
    Text(String),
}

impl Value {
    /// As a field of CSV; yes and no are 1 and 0.
    pub fn csv(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Number(number) => number.to_string(),
            Self::Inspected(number) => number.to_string(),
            Self::Flag(flag) => u8::from(*flag).to_string(),
            Self::Text(text) if text.contains([',', '"', '\r', '\n']) => {
                format!("\"{}\"", text.replace('"', "\"\""))
            }
            Self::Text(text) => text.clone(),
        }
    }

    /// As a value of JSON (RFC 8259).
    pub fn json(&self) -> String {
        match self {
            Self::None => "null".to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Inspected(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Text(text) => {
                let mut quoted = String::from("\"");
                for c in text.chars() {
                    match c {
                        '"' | '\\' => quoted.extend(['\\', c]),
                        c if c.is_control() => quoted += &format!("\\u{:04x}", u32::from(c)),
                        c => quoted.push(c),
                    }
                }
                quoted + "\""
            }
        }
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Number(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }
}

macro_rules! from {
    ($($type:ty: $value:ident => $of:expr),* $(,)?) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $of
            }
        }
    )*};
}

from! {
    u8: n => Self::Number(u64::from(n)),
    u32: n => Self::Number(u64::from(n)),
    u64: n => Self::Number(n),
    bool: flag => Self::Flag(flag),
    &str: text => Self::Text(text.to_owned()),
    State: state => Self::Text(state.to_string()),
    TcpFailure: failure => Self::Text(failure.to_string()),
    Phase: phase => Self::Text(format!("{phase:?}")),
    SendLimit: limit => Self::Text(format!("{limit:?}")),
}

macro_rules! named {
    ($info:expr; $($name:literal $field:ident),* $(,)?) => {{
        // Exhaustive, so that what is added to `TcpInfo` is added here.
        let TcpInfo { $($field),* } = $info;
        vec![$(($name, Value::from($field.clone()))),*]
    }};
}

/// Every field with its name, in the order of the declaration.
pub(super) fn of_info(info: &TcpInfo) -> Vec<(&'static str, Value)> {
    named! {
        info;
        "state" state,
        "failure" failure,
        "soft_error" soft_error,
        "congestion_control" congestion_control,
        "phase" phase,
        "pacing_rate" pacing_rate,
        "congestion_clamped" congestion_clamped,
        "rtt_ns" rtt,
        "rttvar_ns" rttvar,
        "latest_rtt_ns" latest_rtt,
        "min_rtt_ns" min_rtt,
        "rto_ns" rto,
        "backoff" backoff,
        "cwnd" cwnd,
        "ssthresh" ssthresh,
        "in_flight" in_flight,
        "unacked" unacked,
        "sacked" sacked,
        "lost" lost,
        "retransmitted" retransmitted,
        "unsent" unsent,
        "unread" unread,
        "urgent" urgent,
        "snd_mss" snd_mss,
        "rcv_mss" rcv_mss,
        "snd_wnd" snd_wnd,
        "rcv_wnd" rcv_wnd,
        "rcv_buffer" rcv_buffer,
        "snd_buffer" snd_buffer,
        "memory" memory,
        "snd_wscale" snd_wscale,
        "rcv_wscale" rcv_wscale,
        "timestamps" timestamps,
        "sack" sack,
        "segs_out" segs_out,
        "segs_in" segs_in,
        "bytes_acked" bytes_acked,
        "bytes_received" bytes_received,
        "retransmits" retransmits,
        "bytes_retransmitted" bytes_retransmitted,
        "retries" retries,
        "send_limit" send_limit,
        "reordering" reordering,
        "tail_probes" tail_probes,
        "undos" undos,
        "ecn" ecn,
        "ce_received" ce_received,
        "ece_received" ece_received,
        "ecn_reductions" ecn_reductions,
        "delivered_ce" delivered_ce,
        "delivered" delivered,
        "delivery_rate" delivery_rate,
        "delivery_rate_app_limited" delivery_rate_app_limited,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_the_format_asks() {
        let value = Value::from("a\"b, \\c\n");
        assert_eq!(value.csv(), "\"a\"\"b, \\c\n\"");
        assert_eq!(value.json(), "\"a\\\"b, \\\\c\\u000a\"");
        assert_eq!(Value::from(None::<u64>).csv(), "");
        assert_eq!(Value::from(None::<u64>).json(), "null");
        assert_eq!(Value::from(true).csv(), "1");
        assert_eq!(Value::from(true).json(), "true");
        assert_eq!(Value::from(Duration::from_micros(3)).csv(), "3000");
    }
}
