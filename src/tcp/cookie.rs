//! SYN cookies: a SYN is answered without memory of it, and the ACK brings back what is needed
//! (RFC 4987 §3.6).
//!
//! *Owns* what the numbers of a SYN-ACK hold: the initial sequence number is a keyed hash with the
//! MSS's place in a table in its low 3 bits; the low 6 bits of our timestamp hold the window
//! scale, SACK-permitted and ECN, which without timestamps are given up. *Does not* know listeners, when a cookie is
//! called for, nor which made a connection: `redeemed` does. Invariant: all that comes back is
//! part of the hash but the MSS, of which every value is fit to use.

use core::net::SocketAddr;
use core::time::Duration;

use crate::base::{Instant, Key, Seed};

use super::isn::{low, tuple_bytes};
use super::opening::Opening;
use super::redeemed::{EPOCH_SECS, Redeemed};
use super::segment::Segment;
use super::seq::{SeqNum, WindowScale};

/// How long a cookie may be valid: two epochs.
pub(crate) const COOKIE_LIFE: Duration = Duration::from_secs(2 * EPOCH_SECS);

// The floor (r13), the defaults of IPv4 and IPv6 (RFC 9293 §3.7.1), tunnels and DSL lines, MTU 1500
// over IPv6 and IPv4, MTU 9000 over IPv6. The largest that does not exceed the peer's is used.
const MSS_TABLE: [u16; 8] = [48, 536, 1220, 1300, 1380, 1440, 1460, 8940];

// The bits of a timestamp that hold options, 64 ms of the clock.
const STAMP_BITS: u32 = 6;
const STAMP_MASK: u32 = (1 << STAMP_BITS) - 1;
const SACK_BIT: u8 = 1 << 4;
const ECN_BIT: u8 = 1 << 5;
// A shift is 14 at most (RFC 7323 §2.3).
const NO_SCALE: u8 = 15;
// What is hashed in the place of the options when there are no timestamps.
const NO_TIMESTAMPS: u8 = 0xff;

/// The keyed function of one stack, and what came of its values.
#[derive(Clone, Debug)]
pub(crate) struct Cookies {
    key: Key,
    redeemed: Redeemed,
}

impl Cookies {
    pub(crate) fn new(seed: &Seed) -> Self {
        Self {
            key: seed.key("tcp syn cookie"),
            redeemed: Redeemed::new(seed),
        }
    }

    /// Our initial number for the SYN that said `opening`, which is reduced to what comes back.
    /// `mss` is what the peer told, or the default. `ends`: ours, the peer's.
    pub(crate) fn make(
        &mut self,
        now: Instant,
        ends: (SocketAddr, SocketAddr),
        opening: &mut Opening,
        mss: u16,
    ) -> SeqNum {
        let kept = if opening.timestamp.is_some() {
            kept_bits(opening)
        } else {
            (opening.scale, opening.sack, opening.ecn) = (None, false, false);
            NO_TIMESTAMPS
        };
        let index = MSS_TABLE.partition_point(|&entry| entry <= mss).max(1) - 1;
        let epoch = self.redeemed.epoch(now);
        let hash = self.hash(ends, opening.irs, kept, epoch);
        SeqNum::new(hash ^ u32::try_from(index).unwrap_or(0))
    }

    /// Our initial number and the peer's SYN, when `seg` acknowledges a cookie of this epoch or the
    /// one before that made no connection yet. `advertised` is the window that our SYN-ACK told.
    pub(crate) fn check(
        &mut self,
        now: Instant,
        ends: (SocketAddr, SocketAddr),
        seg: &Segment,
        advertised: u32,
    ) -> Option<(SeqNum, Opening)> {
        let iss = seg.ack? - 1;
        let irs = seg.seq - 1;
        let stamps = seg.options.timestamps;
        let kept = stamps.map_or(NO_TIMESTAMPS, |(_, ecr)| low_byte(ecr & STAMP_MASK));
        let epoch = self.redeemed.epoch(now);
        let index = [epoch, epoch - 1]
            .into_iter()
            .map(|epoch| iss.get() ^ self.hash(ends, irs, kept, epoch))
            .find(|&index| index < 8)?;
        if self.redeemed.contains((iss, irs)) {
            return None;
        }
        let mss = MSS_TABLE.get(usize::try_from(index).ok()?).copied();
        let shift = kept & !(SACK_BIT | ECN_BIT);
        let opening = Opening {
            irs,
            mss,
            scale: (stamps.is_some() && shift != NO_SCALE).then(|| WindowScale::new(shift)),
            sack: stamps.is_some() && kept & SACK_BIT != 0,
            timestamp: stamps.map(|(val, _)| (val, seg.at)),
            ecn: stamps.is_some() && kept & ECN_BIT != 0,
            ecn_answered: false,
            advertised,
            retransmits: 0,
            first_arrived: false,
            // The stamp is up to 128 ms old, and nothing else tells when the SYN-ACK left.
            rtt: None,
        };
        Some((iss, opening))
    }

    /// A cookie made a connection, and makes no other. RFC 9293 §3.4: once that is gone, and it may
    /// go without TIME-WAIT, a segment of it that comes again would open it anew, with the text it
    /// brings.
    pub(crate) fn note_redeemed(&mut self, now: Instant, iss: SeqNum, irs: SeqNum) {
        self.redeemed.insert(now, (iss, irs));
    }

    /// Gives back the memory of cookies that are no good any more.
    pub(crate) fn forget_old(&mut self, now: Instant) {
        self.redeemed.epoch(now);
    }

    /// When there will be some to give back; `None` when nothing is remembered.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.redeemed.end()
    }

    fn hash(&self, ends: (SocketAddr, SocketAddr), irs: SeqNum, kept: u8, epoch: u64) -> u32 {
        let mut bytes = [0; 36 + 4 + 1 + 8];
        bytes[..36].copy_from_slice(&tuple_bytes(ends.0, ends.1));
        bytes[36..40].copy_from_slice(&irs.get().to_be_bytes());
        bytes[40] = kept;
        bytes[41..].copy_from_slice(&epoch.to_be_bytes());
        low(self.key.hash(&bytes))
    }
}

#[cfg(test)]
impl Cookies {
    /// How many redeemed ones there is room for.
    pub(crate) fn room(&self) -> usize {
        self.redeemed.room()
    }
}

/// Our timestamp with the options of `opening` in its low bits; never later than `val`, so that the
/// connection's own timestamps, from the same offset, do not run back.
pub(crate) fn cookie_stamp(val: u32, opening: &Opening) -> u32 {
    let stamp = (val & !STAMP_MASK) | u32::from(kept_bits(opening));
    if SeqNum::new(stamp).after(SeqNum::new(val)) {
        stamp.wrapping_sub(1 << STAMP_BITS)
    } else {
        stamp
    }
}

fn kept_bits(opening: &Opening) -> u8 {
    let sack = if opening.sack { SACK_BIT } else { 0 };
    let ecn = if opening.ecn { ECN_BIT } else { 0 };
    sack | ecn | opening.scale.map_or(NO_SCALE, WindowScale::shift)
}

fn low_byte(word: u32) -> u8 {
    word.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::options::Options;
    use crate::tcp::segment::Control;
    use crate::tcp::segment::Marks;
    use bytes::Bytes;
    use proptest::prelude::*;

    const START: Instant = Instant::from_millis(1_000_000);

    fn ends() -> (SocketAddr, SocketAddr) {
        let at = |text: &str| text.parse().unwrap();
        (at("10.0.0.1:80"), at("10.0.0.2:5000"))
    }

    fn opening(scale: Option<u8>, (sack, ecn): (bool, bool), timestamps: bool) -> Opening {
        Opening {
            irs: SeqNum::new(77),
            mss: None,
            scale: scale.map(WindowScale::new),
            sack,
            timestamp: timestamps.then_some((5, START)),
            ecn,
            ecn_answered: false,
            advertised: 0,
            retransmits: 0,
            first_arrived: false,
            rtt: None,
        }
    }

    fn ack(iss: SeqNum, stamp: Option<u32>) -> Segment {
        Segment {
            seq: SeqNum::new(78),
            ack: Some(iss + 1),
            control: Control::None,
            wnd: 1000,
            options: Options {
                timestamps: stamp.map(|ecr| (9, ecr)),
                ..Options::NONE
            },
            marks: Marks::empty(),
            urgent: 0,
            text: Bytes::new(),
            segment_size: None,
            at: START,
        }
    }

    proptest! {
        #[test]
        fn options_come_back(
            scale in prop::option::of(0u8..=14), sack: bool, ecn: bool, timestamps: bool,
            mss in 0u16.., clock: u32, seed: u64,
        ) {
            let mut cookies = Cookies::new(&Seed::from_number(seed));
            let mut sent = opening(scale, (sack, ecn), timestamps);
            let iss = cookies.make(START, ends(), &mut sent, mss);
            let stamp = cookie_stamp(clock, &sent);
            prop_assert!(clock.wrapping_sub(stamp) < 64, "never from the future");
            let seg = ack(iss, timestamps.then_some(stamp));
            let (back, got) = cookies.check(START, ends(), &seg, 500).unwrap();
            prop_assert_eq!(back, iss);
            prop_assert_eq!(got.irs, sent.irs);
            prop_assert_eq!(got.scale.map(WindowScale::shift), scale.filter(|_| timestamps));
            prop_assert_eq!(got.sack, sack && timestamps);
            prop_assert_eq!(got.ecn, ecn && timestamps);
            // What the SYN-ACK says is what the ACK brings back.
            prop_assert_eq!(sent.ecn, got.ecn);
            let told = got.mss.unwrap();
            prop_assert!(told <= mss.max(48) && MSS_TABLE.contains(&told));
            prop_assert!(!MSS_TABLE.iter().any(|&entry| entry > told && entry <= mss));
        }
    }

    #[test]
    fn a_cookie_is_for_one_connection_and_its_options() {
        let mut cookies = Cookies::new(&Seed::from_number(1));
        let mut sent = opening(Some(7), (true, true), true);
        let iss = cookies.make(START, ends(), &mut sent, 1460);
        let stamp = cookie_stamp(1000, &sent);
        let good = ack(iss, Some(stamp));
        let mut check = |ends, seg: &Segment| cookies.check(START, ends, seg, 0).is_some();
        assert!(check(ends(), &good));
        let mut other = ends();
        other.1.set_port(5001);
        assert!(!check(other, &good), "another port");
        assert!(!check(ends(), &ack(iss + 8, Some(stamp))), "another number");
        assert!(!check(ends(), &ack(iss, Some(stamp ^ 1))), "another scale");
        assert!(!check(ends(), &ack(iss, Some(stamp ^ 32))), "no ECN");
        assert!(!check(ends(), &ack(iss, None)), "no timestamps");
        let mut seg = good.clone();
        seg.seq = seg.seq + 1;
        assert!(!check(ends(), &seg), "another SYN");
        let mut strange = Cookies::new(&Seed::from_number(2));
        assert!(
            strange.check(START, ends(), &good, 0).is_none(),
            "another key"
        );
    }

    #[test]
    fn a_cookie_is_redeemed_once() {
        let mut cookies = Cookies::new(&Seed::from_number(1));
        let mut opened = |irs: u32| {
            let mut sent = opening(None, (false, false), false);
            sent.irs = SeqNum::new(irs);
            let mut seg = ack(cookies.make(START, ends(), &mut sent, 536), None);
            seg.seq = sent.irs + 1;
            let redeemed = cookies.check(START, ends(), &seg, 0);
            if let Some((iss, opening)) = &redeemed {
                cookies.note_redeemed(START, *iss, opening.irs);
            }
            redeemed.is_some()
        };
        assert!(opened(77));
        assert!(!opened(77));
        // Others are as good as ever, however many are remembered.
        assert!((100..10_100).all(&mut opened));
        assert!([77, 100, 5_000, 10_099].iter().all(|&irs| !opened(irs)));
    }

    proptest! {
        /// Whatever comes how fast: no cookie makes two connections, what is remembered is bounded, and
        /// a cookie is good for as long as neither two epochs have passed nor too many others came.
        #[test]
        fn equals_a_list_of_all_cookies(
            steps in prop::collection::vec((0u8..4, 0usize..40, 0u64..100), 1..200),
        ) {
            let mut cookies = Cookies::new(&Seed::from_number(1));
            cookies.redeemed.set_limit(5);
            let (mut now, mut made, mut redeemed) = (START, Vec::new(), 0);
            for (step, pick, secs) in steps {
                match step {
                    0 | 1 => {
                        let mut sent = opening(None, (false, false), false);
                        sent.irs = SeqNum::new(u32::try_from(made.len()).unwrap());
                        let iss = cookies.make(now, ends(), &mut sent, 536);
                        made.push((iss, sent.irs, now, redeemed, false));
                    }
                    2 if secs < 20 => now = now + Duration::from_secs(secs),
                    _ if made.is_empty() => {}
                    _ => {
                        let pick = pick % made.len();
                        let (iss, irs, at, before, used) = &mut made[pick];
                        let mut seg = ack(*iss, None);
                        seg.seq = *irs + 1;
                        let good = cookies.check(now, ends(), &seg, 0).is_some();
                        prop_assert!(!(good && *used), "{irs:?} made two connections");
                        // An epoch that ended by its count ends the next one 64 s later to the instant.
                        let young = now.since(*at) < Duration::from_secs(EPOCH_SECS);
                        if young && redeemed - *before < 5 && !*used {
                            prop_assert!(good, "{irs:?} of {at:?}");
                        }
                        if good {
                            cookies.note_redeemed(now, *iss, *irs);
                            *used = true;
                            redeemed += 1;
                        }
                    }
                }
                prop_assert!(cookies.redeemed.len() <= 2 * 5);
            }
        }
    }

    #[test]
    fn a_cookie_lives_for_one_to_two_epochs() {
        for offset in [0, 1, 63] {
            let mut cookies = Cookies::new(&Seed::from_number(1));
            let made = Instant::from_millis((10 * EPOCH_SECS + offset) * 1000);
            let iss = cookies.make(made, ends(), &mut opening(None, (false, false), false), 536);
            for age in 0..200 {
                let now = made + Duration::from_secs(age);
                let valid = cookies.check(now, ends(), &ack(iss, None), 0).is_some();
                assert_eq!(valid, offset + age < 2 * EPOCH_SECS, "{offset} {age}");
            }
        }
    }

    /// RFC 4987 §3.6: guessing takes about 2^28 segments.
    #[test]
    fn guesses_fail() {
        let mut cookies = Cookies::new(&Seed::from_number(1));
        let valid = (0..1u32 << 20).filter(|&guess| {
            let seg = ack(SeqNum::new(guess << 12), None);
            cookies.check(START, ends(), &seg, 0).is_some()
        });
        assert!(valid.count() <= 1);
    }
}
