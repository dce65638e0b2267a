//! A line expects a packet: which of those that left it is about, and when it may have left.
//!
//! *Owns* merging and splitting, surplus packets, and the time of what is expected. *Does not* compare
//! fields: `compare` does.

use core::time::Duration;

use super::super::ast::{Body, Event, Packet, Tcp, Udp, When};
use super::compare::{self, StampRule};
use super::seen::{Seen, SeenBody, SeenTcp, show_tcp};
use super::{Runner, Step, Stop, icmp};
use crate::base::Instant;
use crate::tcp::Flags;

/// How long `*` waits: until nothing more can come of what a script says, for most.
const ANY_TIME: Duration = Duration::from_secs(3600);

/// When a packet may leave.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: Instant,
    to: Instant,
}

/// The packet, or the merged ones, that a line is about.
struct Taken {
    seen: Seen,
    /// When the last of the merged ones left.
    last: Instant,
    /// The text of each of them, as it left.
    sizes: Vec<u32>,
}

/// What a line has looked at already: packets only join behind it while it waits, and a line of megabytes
/// does not look at all of them again for each.
#[derive(Debug, Default)]
struct Search {
    /// No packet before this one is the line's.
    none_before: usize,
    /// Those that are merged so far, and the bytes in them.
    used: Vec<usize>,
    have: u32,
    looked_at: usize,
    /// What comes next does not continue them.
    is_over: bool,
}

impl Runner {
    pub(super) fn expect(&mut self, event: &Event, packet: &Packet) -> Step<()> {
        let span = self.span(event.when);
        let mut skipped: Option<String> = None;
        let mut search = Search::default();
        loop {
            let Some(taken) = self.take(packet, &mut search) else {
                // Nothing yet, or not enough.
                if self.world.now < span.to && self.step(event.line, span.to)? {
                    continue;
                }
                // What left by now may be shorter than the line.
                if let Some(taken) = self.take_any(packet) {
                    self.judge(event, packet, &taken, span, true)?;
                    return Ok(());
                }
                let Some(text) = skipped else {
                    // Not fatal is what came and differs; nothing was compared here.
                    let text = format!("expected {}, and nothing came", show(packet));
                    return Err(Stop::fail(event.line, text));
                };
                return self.miss(event.line, text, self.settings.lenient_packets);
            };
            search = Search::default();
            match self.judge(event, packet, &taken, span, false)? {
                None => return Ok(()),
                Some(text) => {
                    // A bare ACK too many.
                    self.not_strict(event.line, format!("an ACK that no line expects: {text}"));
                    skipped.get_or_insert(text);
                }
            }
        }
    }

    fn span(&self, when: When) -> Span {
        let off = |target: Instant| self.tolerance(target);
        let (first, last) = match when {
            When::At(time) => (self.world.start + time, self.world.start + time),
            When::After(time) => (self.last + time, self.last + time),
            When::Between(from, to) => (self.world.start + from, self.world.start + to),
            When::BetweenAfter(from, to) => (self.last + from, self.last + to),
            When::Any => {
                return Span {
                    from: Instant::ZERO,
                    to: self.world.now + ANY_TIME,
                };
            }
        };
        let early = u64::try_from(off(first).as_nanos()).unwrap_or(u64::MAX);
        Span {
            from: Instant::from_nanos(first.as_nanos().saturating_sub(early)),
            to: last + off(last),
        }
    }

    /// Compares; a difference that is a bare ACK is returned, for the next packet may be the right one.
    fn judge(
        &mut self,
        event: &Event,
        packet: &Packet,
        taken: &Taken,
        span: Span,
        final_one: bool,
    ) -> Step<Option<String>> {
        let shown = taken.seen.show(&self.world.numbers);
        let what = match self.differences(event, packet, taken) {
            Ok(strict) => {
                if let Some(strict) = strict {
                    self.not_strict(event.line, format!("{strict}: {shown}"));
                }
                self.check_span(event.line, taken, span, &shown)?;
                return Ok(None);
            }
            Err(what) => what,
        };
        let text = format!("expected {}, got {shown}: {what}", show(packet));
        let is_bare = matches!(&taken.seen.body, SeenBody::Tcp(tcp) if tcp.is_bare_ack());
        if is_bare && !final_one && matches!(packet.body, Body::Tcp(_)) {
            return Ok(Some(text));
        }
        self.miss(event.line, text, self.settings.lenient_packets)?;
        Ok(None)
    }

    /// What makes it another packet; else what the strict verdict says.
    fn differences(
        &mut self,
        event: &Event,
        packet: &Packet,
        taken: &Taken,
    ) -> Result<Option<String>, String> {
        let seen = &taken.seen;
        if let Some(broken) = seen.broken {
            return Err(broken.into());
        }
        compare::compare_ip(&packet.ip, seen)?;
        match (&packet.body, &seen.body) {
            (Body::Tcp(wanted), SeenBody::Tcp(got)) => {
                let found = self.tcp_differences(event, wanted, got)?;
                if is_cut_so(wanted, &taken.sizes) {
                    Ok(found)
                } else {
                    Err(format!("it left in segments of {:?} bytes", taken.sizes))
                }
            }
            (Body::Udp(Udp { len, .. }), SeenBody::Udp { len: live, .. }) => {
                if usize::from(*len) == *live {
                    Ok(None)
                } else {
                    Err(format!("{live} bytes"))
                }
            }
            (Body::Icmp(wanted), SeenBody::Icmp(message)) => {
                let numbers = &self.world.numbers;
                icmp::compare(wanted, message, seen.src.is_ipv6(), numbers).map(|()| None)
            }
            _ => Err("another protocol".into()),
        }
    }

    fn tcp_differences(
        &mut self,
        event: &Event,
        wanted: &Tcp,
        got: &SeenTcp,
    ) -> Result<Option<String>, String> {
        if wanted.flags.contains(Flags::SYN) && got.fields.flags.contains(Flags::SYN) {
            self.world.numbers.anchor(wanted.seq.value);
            if let Some((script, live)) = compare::cookies(wanted, got) {
                self.world.numbers.note_cookie(script, live);
            }
        }
        let stamps = compare::wanted_stamp(wanted).zip(compare::stamps_of(got));
        if self.world.numbers.first_stamp().is_none()
            && let Some((val, (live, _))) = stamps
        {
            self.world.numbers.note_stamp(val, live);
        }
        let rule = self.stamp_rule(event);
        let end = self.world.numbers.our_offset(got.fields.seq);
        let end = end.wrapping_add(got.len());
        let must_push = got.is_new && got.len() > 0 && self.sockets.is_last_write(end);
        let found = compare::compare_tcp(wanted, got, &self.world.numbers, rule, must_push);
        if let Some(semantic) = found.semantic {
            return Err(semantic);
        }
        if let Some((val, (live, _))) = stamps {
            self.world.numbers.note_stamp(val, live);
        }
        Ok(found.strict)
    }

    fn stamp_rule(&self, event: &Event) -> StampRule {
        let tick_usecs = self.settings.stamp_tick_usecs;
        let target = match event.when {
            When::After(time) => self.last + time,
            When::At(time) => self.world.start + time,
            _ => self.world.now,
        };
        let usecs = self.tolerance(target).as_micros();
        let ticks = usecs.checked_div(u128::from(tick_usecs)).unwrap_or(0);
        StampRule {
            tick_usecs,
            slack: u32::try_from(ticks).unwrap_or(u32::MAX),
        }
    }

    fn check_span(&mut self, line: u32, taken: &Taken, span: Span, shown: &str) -> Step<()> {
        let at = |time: Instant| time.since(self.world.start);
        let (first, last) = (taken.seen.at, taken.last);
        let text = if first < span.from {
            format!("too early, at {:?}: {shown}", at(first))
        } else if last > span.to {
            format!("too late, at {:?}: {shown}", at(last))
        } else {
            return Ok(());
        };
        self.miss(line, text, self.settings.lenient_packets)
    }

    // --- which packet ---------------------------------------------------------------------

    /// The first packet that a line could be about; merged and split until lengths agree.
    fn take(&mut self, packet: &Packet, search: &mut Search) -> Option<Taken> {
        let place = self.find(packet, search)?;
        let Body::Tcp(wanted) = &packet.body else {
            return self.take_at(place);
        };
        let SeenBody::Tcp(first) = &self.world.sent.get(place)?.body else {
            return self.take_at(place);
        };
        let len = first.len();
        let is_whole = self.settings.strict_segments || len == wanted.len;
        if is_whole && wanted.size.is_none() || len == 0 || wanted.len == 0 {
            return self.take_at(place);
        }
        if len > wanted.len && wanted.size.is_some() {
            return self.take_at(place);
        }
        if len > wanted.len {
            return self.split(place, wanted.len);
        }
        self.merge(place, wanted.len, search)
    }

    /// The same, though it is shorter than the line.
    fn take_any(&mut self, packet: &Packet) -> Option<Taken> {
        let place = self.find(packet, &mut Search::default())?;
        self.take_at(place)
    }

    fn take_at(&mut self, place: usize) -> Option<Taken> {
        let seen = self.world.sent.remove(place)?;
        let last = seen.at;
        let sizes = vec![seen.text_len()];
        Some(Taken { seen, last, sizes })
    }

    fn find(&self, packet: &Packet, search: &mut Search) -> Option<usize> {
        let ports = match &packet.body {
            Body::Tcp(tcp) => tcp.ports,
            Body::Udp(udp) => udp.ports,
            Body::Icmp(_) | Body::Unsupported(_) => None,
        };
        let flow = self
            .world
            .flow
            .map(|(ours, theirs)| (ours.port(), theirs.port()));
        let ports = ports.or(flow);
        let is_of_line = |seen: &Seen| match seen.ports() {
            Some(live) => ports.is_none_or(|ports| ports == live),
            None => true,
        };
        let before = search.none_before;
        let found = self.world.sent.range(before..).position(is_of_line);
        search.none_before = before + found.unwrap_or(self.world.sent.len() - before);
        found.map(|place| before + place)
    }

    /// Cuts `len` bytes off the front; the rest stays for the next line.
    fn split(&mut self, place: usize, len: u32) -> Option<Taken> {
        let rest = self.world.sent.get_mut(place)?;
        let mut front = rest.clone();
        let cut = usize::try_from(len).unwrap_or(usize::MAX);
        let (SeenBody::Tcp(head), SeenBody::Tcp(tail)) = (&mut front.body, &mut rest.body) else {
            return None;
        };
        head.text.truncate(cut);
        head.fields.flags.remove(Flags::PSH | Flags::FIN);
        tail.text.drain(..cut.min(tail.text.len()));
        tail.fields.seq = tail.fields.seq.wrapping_add(len);
        let last = front.at;
        Some(Taken {
            seen: front,
            last,
            sizes: vec![len],
        })
    }

    /// Puts what follows behind it, up to `len` bytes; `None` while there is not enough.
    fn merge(&mut self, place: usize, len: u32, search: &mut Search) -> Option<Taken> {
        self.gather(place, len, search);
        let have = search.have;
        if have < len {
            return None;
        }
        let used = core::mem::take(&mut search.used);
        let live = |&at: &usize| self.world.sent.get(at).map_or(0, Seen::text_len);
        let sizes = used.iter().map(live).collect();
        if have > len {
            // The last is cut, and its front merged.
            let last = *used.last()?;
            let SeenBody::Tcp(tcp) = &self.world.sent.get(last)?.body else {
                return None;
            };
            let keep = tcp.len() - (have - len);
            let front = self.split(last, keep)?;
            self.world.sent.insert(last, front.seen);
        }
        let mut merged = self.world.sent.get(place)?.clone();
        let mut last = merged.at;
        for &at in used.iter().skip(1) {
            let more = self.world.sent.get(at)?;
            last = last.max(more.at);
            if let (SeenBody::Tcp(whole), SeenBody::Tcp(more)) = (&mut merged.body, &more.body) {
                whole.text.extend(&more.text);
                whole.is_new = more.is_new;
                whole.fields.flags = more.fields.flags;
            }
        }
        for &at in used.iter().rev() {
            self.world.sent.remove(at);
        }
        Some(Taken {
            seen: merged,
            last,
            sizes,
        })
    }

    /// Looks on for what continues the packet at `place`, from where it looked last.
    fn gather(&self, place: usize, len: u32, search: &mut Search) {
        let sent = &self.world.sent;
        let next = search.used.last().map_or(place, |_| search.looked_at);
        for (at, seen) in sent.iter().enumerate().skip(next) {
            if search.is_over || search.have >= len {
                return;
            }
            search.looked_at = at + 1;
            let SeenBody::Tcp(tcp) = &seen.body else {
                continue;
            };
            let before = search.used.last().and_then(|&last| sent.get(last));
            if let Some(Seen {
                body: SeenBody::Tcp(before),
                ..
            }) = before
                && !continues(before, tcp)
            {
                // What comes between is another packet's.
                search.is_over = true;
                return;
            }
            search.have += tcp.len();
            search.used.push(at);
        }
    }

    // --- surplus --------------------------------------------------------------------------

    /// At the end, and where another connection takes the place of the one under test, nothing may be left; bare
    /// ACKs cost the strict verdict alone, and so do a FIN or RST without text of a connection that was closed
    /// behind the last line about a packet.
    pub(super) fn no_surplus(&mut self, line: u32, ended_by_close: bool) -> Step<()> {
        let is_end = |tcp: &SeenTcp| {
            let ends = tcp.fields.flags.intersects(Flags::FIN | Flags::RST);
            ended_by_close && ends && tcp.text.is_empty()
        };
        while let Some(seen) = self.world.sent.pop_front() {
            let shown = seen.show(&self.world.numbers);
            let text = format!("no line expects {shown}");
            match &seen.body {
                SeenBody::Tcp(tcp) if tcp.is_bare_ack() || is_end(tcp) => {
                    self.not_strict(line, text);
                }
                _ => return Err(Stop::fail(line, text)),
            }
        }
        Ok(())
    }
}

/// Did the text of a line that says the size of segments leave in such?
fn is_cut_so(wanted: &Tcp, sizes: &[u32]) -> bool {
    let (Some(size), Some((last, whole))) = (wanted.size, sizes.split_last()) else {
        return true;
    };
    let size = u32::from(size.get());
    let before = whole.iter().all(|&live| live == size);
    before && *last <= size && whole.iter().sum::<u32>() + last == wanted.len
}

/// Does `next` go on where `before` ends, with the same flags, acknowledgment and window?
fn continues(before: &SeenTcp, next: &SeenTcp) -> bool {
    let edge = Flags::PSH | Flags::FIN;
    let (a, b) = (&before.fields, &next.fields);
    !a.flags.contains(Flags::FIN)
        && (a.src_port, a.dst_port) == (b.src_port, b.dst_port)
        && a.seq.wrapping_add(before.len()) == b.seq
        && next.len() > 0
        && a.flags.difference(edge) == b.flags.difference(edge)
        && (a.ack, a.window) == (b.ack, b.window)
}

/// A line's packet, for readers.
fn show(packet: &Packet) -> String {
    match &packet.body {
        Body::Tcp(tcp) => show_tcp(tcp),
        Body::Udp(udp) => format!("udp ({})", udp.len),
        Body::Icmp(icmp) => match &icmp.code {
            Some(code) => format!("icmp {} {code}", icmp.kind),
            None => format!("icmp {}", icmp.kind),
        },
        Body::Unsupported(name) => name.clone(),
    }
}
