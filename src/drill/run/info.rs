//! `tcpi_*`: what a script's code may ask about the connection.
//!
//! *Owns* the names. Counts are segments where the kernels that scripts were written for count segments.

use crate::tcp::congestion::Phase;
use crate::tcp::{State, TcpInfo};

/// The threshold before the first loss, as scripts know it.
const NO_THRESHOLD: i128 = 0x7fff_ffff;

/// Names that have a value.
pub(super) const NAMES: &[&str] = &[
    "tcpi_state",
    "tcpi_ca_state",
    "tcpi_retransmits",
    "tcpi_backoff",
    "tcpi_options",
    "tcpi_snd_wscale",
    "tcpi_rcv_wscale",
    "tcpi_rto",
    "tcpi_snd_mss",
    "tcpi_advmss",
    "tcpi_unacked",
    "tcpi_sacked",
    "tcpi_lost",
    "tcpi_retrans",
    "tcpi_rtt",
    "tcpi_rttvar",
    "tcpi_min_rtt",
    "tcpi_snd_ssthresh",
    "tcpi_snd_cwnd",
    "tcpi_reordering",
    "tcpi_reord_seen",
    "tcpi_total_retrans",
    "tcpi_pacing_rate",
    "tcpi_bytes_acked",
    "tcpi_bytes_received",
    "tcpi_bytes_retrans",
    "tcpi_segs_out",
    "tcpi_segs_in",
    "tcpi_notsent_bytes",
    "tcpi_delivery_rate",
    "tcpi_delivered",
    "tcpi_delivered_ce",
    "tcpi_snd_wnd",
];

const CONSTANTS: &[(&str, i128)] = &[
    ("TCP_CA_Open", 0),
    ("TCP_CA_Disorder", 1),
    ("TCP_CA_CWR", 2),
    ("TCP_CA_Recovery", 3),
    ("TCP_CA_Loss", 4),
    ("TCPI_OPT_TIMESTAMPS", 1),
    ("TCPI_OPT_SACK", 2),
    ("TCPI_OPT_WSCALE", 4),
    ("TCPI_OPT_ECN", 8),
    ("TCP_ESTABLISHED", 1),
    ("TCP_SYN_SENT", 2),
    ("TCP_SYN_RECV", 3),
    ("TCP_FIN_WAIT1", 4),
    ("TCP_FIN_WAIT2", 5),
    ("TCP_TIME_WAIT", 6),
    ("TCP_CLOSE", 7),
    ("TCP_CLOSE_WAIT", 8),
    ("TCP_LAST_ACK", 9),
    ("TCP_LISTEN", 10),
    ("TCP_CLOSING", 11),
    ("TCP_INFINITE_SSTHRESH", NO_THRESHOLD),
];

pub(super) fn constant(name: &str) -> Option<i128> {
    let known = CONSTANTS.iter().find(|(known, _)| *known == name);
    known.map(|(_, value)| *value)
}

/// A value of the connection; `None` when netloom does not know it now.
pub(super) fn value(info: &TcpInfo, name: &str) -> Option<i128> {
    let mss = info.snd_mss.max(1);
    let segments = |bytes: u32| i128::from(bytes.div_ceil(mss));
    let whole = |bytes: u32| i128::from(bytes / mss);
    let micros = |time: core::time::Duration| i128::try_from(time.as_micros()).ok();
    Some(match name {
        "tcpi_state" => state(info.state),
        "tcpi_ca_state" => match info.phase {
            Phase::Open => 0,
            Phase::Disorder => 1,
            Phase::Reduction => 2,
            Phase::Recovery => 3,
            Phase::Loss => 4,
        },
        "tcpi_retransmits" => info.retries.into(),
        "tcpi_backoff" => info.backoff.into(),
        "tcpi_options" => {
            let bit = |on: bool, bit: i128| if on { bit } else { 0 };
            bit(info.timestamps, 1)
                | bit(info.sack, 2)
                | bit(info.snd_wscale > 0 || info.rcv_wscale > 0, 4)
                | bit(info.ecn, 8)
        }
        "tcpi_snd_wscale" => info.snd_wscale.into(),
        "tcpi_rcv_wscale" => info.rcv_wscale.into(),
        "tcpi_rto" => micros(info.rto)?,
        "tcpi_snd_mss" => info.snd_mss.into(),
        "tcpi_advmss" => info.rcv_mss.into(),
        "tcpi_unacked" => segments(info.unacked),
        "tcpi_sacked" => segments(info.sacked),
        // Those taken for lost, sent again or not; and those of them that were.
        "tcpi_lost" => segments(info.lost.saturating_add(info.retransmitted)),
        "tcpi_retrans" => segments(info.retransmitted),
        "tcpi_rtt" => micros(info.rtt.unwrap_or_default())?,
        "tcpi_rttvar" => micros(info.rttvar)?,
        "tcpi_min_rtt" => micros(info.min_rtt.unwrap_or_default())?,
        "tcpi_snd_ssthresh" if info.ssthresh == u32::MAX => NO_THRESHOLD,
        "tcpi_snd_ssthresh" => whole(info.ssthresh),
        "tcpi_snd_cwnd" => whole(info.cwnd),
        // RACK knows a time, not a degree; before anything was reordered the degree is three.
        "tcpi_reordering" if info.reordering == 0 => 3,
        "tcpi_reord_seen" => info.reordering.into(),
        "tcpi_total_retrans" => info.retransmits.into(),
        "tcpi_pacing_rate" => info.pacing_rate?.into(),
        "tcpi_bytes_acked" => info.bytes_acked.into(),
        "tcpi_bytes_received" => info.bytes_received.into(),
        "tcpi_bytes_retrans" => info.bytes_retransmitted.into(),
        "tcpi_segs_out" => info.segs_out.into(),
        "tcpi_segs_in" => info.segs_in.into(),
        "tcpi_notsent_bytes" => info.unsent.into(),
        "tcpi_delivery_rate" => info.delivery_rate?.into(),
        "tcpi_delivered" => i128::from(info.delivered.div_ceil(u64::from(mss))),
        "tcpi_delivered_ce" => i128::from(info.delivered_ce.div_ceil(u64::from(mss))),
        "tcpi_snd_wnd" => info.snd_wnd.into(),
        _ => return None,
    })
}

fn state(state: State) -> i128 {
    match state {
        State::Established => 1,
        State::SynSent => 2,
        State::SynRcvd => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::TimeWait => 6,
        State::Closed => 7,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Listen => 10,
        State::Closing => 11,
    }
}
