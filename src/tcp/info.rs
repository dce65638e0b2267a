//! What is known about a connection, like Linux's TCP_INFO.

use core::time::Duration;

use super::congestion::Phase;
use super::error::TcpFailure;
use super::gate::SendLimit;
use super::state::State;

/// A snapshot of one connection. Lengths and windows are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpInfo {
    /// The RFC 9293 state.
    pub state: State,
    /// Why it failed, if it did.
    pub failure: Option<TcpFailure>,
    /// What an ICMP error said since the peer last acknowledged something (RFC 9293 §3.9.1.8 MUST-47,
    /// §3.9.2.2 SHLD-25).
    /// It ends nothing; should nothing come any more, it is the failure in place of `TimedOut`.
    pub soft_error: Option<TcpFailure>,
    /// The congestion control's name.
    pub congestion_control: &'static str,
    /// Which episode of loss recovery runs.
    pub phase: Phase,
    /// The rate at which text leaves, in bytes per second; `None`: as fast as the windows allow.
    pub pacing_rate: Option<u64>,
    /// How often what the congestion control allowed was brought within bounds: it is at fault.
    pub congestion_clamped: u64,
    /// SRTT of RFC 6298; `None` before the first sample.
    pub rtt: Option<Duration>,
    /// RTTVAR of RFC 6298.
    pub rttvar: Duration,
    /// The latest round-trip sample.
    pub latest_rtt: Option<Duration>,
    /// The shortest round-trip sample.
    pub min_rtt: Option<Duration>,
    /// RTO of RFC 6298, back-off included.
    pub rto: Duration,
    /// How often the time-out was doubled since the last valid sample.
    pub backoff: u32,
    /// The congestion window; while it is being reduced, what may be in flight meanwhile.
    pub cwnd: u32,
    /// The slow-start threshold; `u32::MAX` before the first loss.
    pub ssthresh: u32,
    /// Sent and believed to be in the network.
    pub in_flight: u32,
    /// Sent and not acknowledged cumulatively.
    pub unacked: u32,
    /// Reported by SACK blocks.
    pub sacked: u32,
    /// Taken for lost and not sent again.
    pub lost: u32,
    /// Sent again after it was taken for lost, and not heard of since.
    pub retransmitted: u32,
    /// Written and never sent.
    pub unsent: u32,
    /// Received and not read.
    pub unread: u32,
    /// To be read, up to the last urgent octet that the peer told of (RFC 9293 §3.8.5 MUST-33); 0 when nothing is urgent.
    pub urgent: u32,
    /// Text bytes of a full segment to the peer.
    pub snd_mss: u32,
    /// Text bytes of a full segment that the peer may send, before options.
    pub rcv_mss: u32,
    /// The peer's window.
    pub snd_wnd: u32,
    /// Our window as promised.
    pub rcv_wnd: u32,
    /// What our window may grow to at the moment.
    pub rcv_buffer: u32,
    /// What may wait to be sent or acknowledged at the moment; it grows with the window.
    pub snd_buffer: u32,
    /// Memory that its queues keep: text, what each piece of it costs, and buffers to be filled again.
    pub memory: u64,
    /// The peer's window shift.
    pub snd_wscale: u8,
    /// Our window shift.
    pub rcv_wscale: u8,
    /// Are timestamps on (RFC 7323)?
    pub timestamps: bool,
    /// Is SACK on (RFC 2018)?
    pub sack: bool,
    /// Segments sent, a super-segment counted by its wire segments.
    pub segs_out: u64,
    /// Segments received, counted the same way.
    pub segs_in: u64,
    /// Text bytes the peer has acknowledged.
    pub bytes_acked: u64,
    /// Text bytes received in order.
    pub bytes_received: u64,
    /// Wire segments sent again.
    pub retransmits: u64,
    /// Bytes sent again.
    pub bytes_retransmitted: u64,
    /// Time-outs in a row without an answer.
    pub retries: u8,
    /// Why it last stopped sending.
    pub send_limit: SendLimit,
    /// Times that SACK reported data in front of older data that was never sent again.
    pub reordering: u64,
    /// Tail loss probes sent (RFC 8985 §7).
    pub tail_probes: u64,
    /// Episodes of recovery that proved to be for nothing, after which the window was as before
    /// (RFC 3522, RFC 3708).
    pub undos: u64,
    /// Does what we send tell routers to mark it in place of a drop (ECT), as the SYNs agreed (RFC 3168)?
    pub ecn: bool,
    /// Wire segments that came with a congestion mark (CE).
    pub ce_received: u64,
    /// ACKs that echoed a mark on what we sent (ECE).
    pub ece_received: u64,
    /// How often the window was reduced for that: at most once in a round trip.
    pub ecn_reductions: u64,
    /// Octets that ACKs with an echo delivered; between a mark and the end of its echo all of them.
    pub delivered_ce: u64,
    /// Octets delivered, cumulatively or selectively.
    pub delivered: u64,
    /// The latest delivery rate, in bytes per second.
    pub delivery_rate: Option<u64>,
    /// Was that rate limited by what the user wrote?
    pub delivery_rate_app_limited: bool,
}
