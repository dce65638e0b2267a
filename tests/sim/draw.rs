//! A world out of a seed.
//!
//! Most worlds are small, so that many fit into a minute; some are long, and each kind of trouble is
//! absent from most of them: where everything goes wrong at once, nothing is seen.

use super::controller;
use super::rng::Rng;
use super::scenario::{
    Asking, Bleach, Conversation, DeviceFaults, Ending, Offload, Opener, Scenario, Stripped, Tcp,
    User, Wire, Wrap,
};
use netloom::tcp::Ecn;

/// The default of `Config::socket_memory`.
pub(crate) const PLENTY: usize = 256 << 20;

impl Scenario {
    /// The world of `seed`.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let v6 = rng.chance(40);
        let ethernet = rng.chance(35);
        let mtu = mtu(&mut rng, v6, ethernet);
        let mut tcp = [tcp(&mut rng), tcp(&mut rng)];
        let calm = rng.chance(30);
        let mut wires = [wire(&mut rng, calm), wire(&mut rng, calm)];
        congestion_marks(seed, &mut tcp, &mut wires);
        let devices = [device(&mut rng), device(&mut rng)];
        let offloads = [(); 2].map(|()| {
            rng.pick(&[
                Offload::None,
                Offload::Checksum,
                Offload::Full,
                Offload::Full,
            ])
        });
        let coalesce = [rng.chance(30), rng.chance(30)];
        let stripped = stripped(&mut rng);
        let most = longest_stream(&mut rng, &tcp, mtu);
        let count = rng.pick(&[1, 1, 1, 1, 2, 3]);
        let conversations = (0..count)
            .map(|at| conversation(&mut rng, at, most / count))
            .collect();
        Self {
            seed,
            v6,
            ethernet,
            probes: u8::from(v6 && ethernet && rng.chance(30)),
            mtu,
            queue: rng.pick(&[1, 2, 10, 1000, 1000]),
            wires,
            devices,
            offloads,
            coalesce,
            stripped,
            wrap: wrap(&mut rng, most),
            tcp,
            budget: [(); 2].map(|()| rng.pick(&[1, 3, 64, 64, 64])),
            backlog: rng.pick(&[1, 2, 4096, 4096]),
            cookies: rng.pick(&[true, false]),
            memory: [(); 2].map(|()| memory(&mut rng, count)),
            conversations,
            sabotage: None,
        }
    }
}

/// Mostly plenty. Where it is short, nobody new is let in: that is for worlds with one connection.
fn memory(rng: &mut Rng, conversations: u64) -> usize {
    let drawn = rng.pick(&[24 << 10, 256 << 10, PLENTY, PLENTY, PLENTY, PLENTY]);
    if conversations == 1 { drawn } else { PLENTY }
}

fn mtu(rng: &mut Rng, v6: bool, ethernet: bool) -> usize {
    let largest = if ethernet { 65_521 } else { 65_535 };
    let least = if v6 { 1280 } else { 128 };
    let any = least + rng.below(largest - least);
    let small = if v6 { 1280 } else { 68 + rng.below(600) };
    let usual = if v6 { 1280 } else { 576 };
    let of = [1500, 1500, 1500, usual, least, small, 9000, largest, any];
    rng.pick(&of) as usize
}

fn wire(rng: &mut Rng, calm: bool) -> Wire {
    if calm && rng.chance(50) {
        return Wire::PERFECT;
    }
    let mut wire = Wire {
        delay: rng.pick(&[0, 50, 1000, 20_000, 80_000]),
        jitter: rng.pick(&[0, 0, 100, 20_000]),
        reordered_by: rng.below(60_000),
        rate: rng
            .chance(25)
            .then(|| (20_000 + rng.below(50_000_000), 10 + rng.below(500) as usize)),
        ..Wire::PERFECT
    };
    if !calm {
        wire.loss = rng.pick(&[0, 0, 1, 5, 10, 40]);
        wire.duplication = rng.pick(&[0, 0, 2, 20, 50]);
        wire.corruption = rng.pick(&[0, 0, 1, 5]);
        wire.truncation = rng.pick(&[0, 0, 0, 3]);
        wire.reordering = rng.pick(&[0, 0, 5, 30]);
        // The odd wire is as bad as that; most are not.
        if wire.loss == 40 && rng.chance(70) {
            wire.loss = 3;
        }
    }
    wire
}

/// Who knows ECN, and what the path does with it. By a generator of its own: a draw from the world's would
/// make other worlds of all known seeds.
fn congestion_marks(seed: u64, tcp: &mut [Tcp; 2], wires: &mut [Wire; 2]) {
    let mut rng = Rng::part(seed, 50);
    for tcp in tcp {
        tcp.ecn = rng.pick(&[Ecn::Off, Ecn::Accept, Ecn::Accept, Ecn::Ask, Ecn::Ask]);
    }
    for wire in wires {
        wire.marks = rng.pick(&[0, 0, 1, 5, 20, 100]);
        if rng.chance(15) {
            wire.bleach = rng.pick(&[Bleach::Field, Bleach::Marks]);
        }
        if rng.chance(10) {
            wire.asking = rng.pick(&[Asking::Cleared, Asking::Dropped]);
        }
    }
}

fn device(rng: &mut Rng) -> DeviceFaults {
    DeviceFaults {
        full: rng.pick(&[0, 0, 0, 10, 50]),
        dropped: rng.pick(&[0, 0, 0, 0, 2, 5]),
        outage: rng.chance(8).then(|| {
            let len = rng.pick(&[100_000, 1_500_000, 60_000_000, 2_000_000_000]);
            (rng.below(3_000_000), 1 + rng.below(len))
        }),
    }
}

fn stripped(rng: &mut Rng) -> Stripped {
    if rng.chance(60) {
        return Stripped::default();
    }
    Stripped {
        mss: rng.chance(15),
        window_scale: rng.chance(40),
        sack: rng.chance(50),
        timestamps: rng.chance(50),
    }
}

fn wrap(rng: &mut Rng, most: u64) -> Wrap {
    let end = rng.below(2) as usize;
    match rng.below(10) {
        0..=2 => Wrap::Sequence {
            end,
            before: rng.below(most.max(3)) as u32,
        },
        3 => Wrap::Timestamp {
            end,
            before: rng.below(3000) as u32,
        },
        _ => Wrap::No,
    }
}

/// An end's settings.
pub(crate) fn tcp(rng: &mut Rng) -> Tcp {
    let mut tcp = Tcp {
        nodelay: rng.chance(50),
        delayed_ack: rng.chance(70),
        min_rto: rng.pick(&[200, 200, 200, 50, 1000]),
        ..Tcp::DEFAULT
    };
    // Of a copy: a draw of its own would make other worlds of all known seeds.
    tcp.congestion = rng.clone().below(controller::COUNT as u64) as usize;
    // Drawn with it, for the same reason.
    if tcp.min_rto == 1000 {
        tcp.quick_acks = 0;
    }
    if rng.chance(40) {
        tcp.send_buffer = size(rng, 1 << 20);
    }
    if rng.chance(45) {
        tcp.recv_max = size(rng, 4 << 20);
        tcp.recv_initial = match rng.below(3) {
            0 => tcp.recv_max,
            1 => tcp.recv_max / 2 + 1,
            _ => size(rng, tcp.recv_max as u64),
        };
    }
    if rng.chance(15) {
        tcp.mss = Some(rng.below(3000) as u16);
    }
    if rng.chance(10) {
        tcp.keepalive = Some(1 + rng.below(20));
    }
    if rng.chance(5) {
        tcp.user_timeout = Some(rng.pick(&[1, 300, 5000, 60_000]));
    }
    if rng.chance(5) {
        tcp.linger = Some(rng.pick(&[0, 1, 500, 20_000]));
    }
    tcp.impatient = rng.chance(3);
    tcp
}

/// From 1 to `most`, each power of two as likely.
fn size(rng: &mut Rng, most: u64) -> usize {
    let bits = u64::from(most.max(1).ilog2());
    let top = 2u64 << rng.below(bits + 1);
    (1 + rng.below(top)).min(most.max(1)) as usize
}

/// The most bytes of all streams one way. Stop-and-wait over a bad link takes time, not insight.
fn longest_stream(rng: &mut Rng, tcp: &[Tcp; 2], mtu: usize) -> u64 {
    let mut step = mtu as u64;
    for end in tcp {
        step = step
            .min(end.send_buffer as u64)
            .min(end.recv_max as u64)
            .min(end.recv_initial as u64)
            .min(end.mss.map_or(u64::MAX, |mss| u64::from(mss.max(48))));
    }
    let (steps, most) = match rng.below(100) {
        0..=54 => (20, 40_000),
        55..=89 => (60, 150_000),
        90..=98 => (300, 600_000),
        _ => (1000, 3_000_000),
    };
    (step * steps).clamp(2, most)
}

fn conversation(rng: &mut Rng, at: u64, most: u64) -> Conversation {
    let opener = match rng.below(10) {
        0 => Opener::Both,
        _ => Opener::End(rng.below(2) as usize),
    };
    let odd = rng.chance(30);
    let users = [(); 2].map(|()| user(rng, most, odd));
    Conversation {
        opener,
        // The first is there from the start: the numbers of its SYN may have been chosen.
        opens_at: if at == 0 { 0 } else { rng.below(2_000_000) },
        users,
    }
}

fn user(rng: &mut Rng, most: u64, odd: bool) -> User {
    let to_send = match rng.below(6) {
        0 => 0,
        1 => rng.below(3),
        _ => rng.below(most + 1),
    };
    let point = rng.below(most + 2);
    let ending = match rng.below(8) {
        0 if odd => Ending::Abort(point),
        1 if odd => Ending::Drop(point),
        2 if odd => Ending::CloseAfterWriting,
        3 if odd => Ending::StopReading(point),
        _ => Ending::Finish,
    };
    User {
        to_send,
        rests: rng.pick(&[0, 0, 0, 1000, 200_000, 5_000_000]),
        write: rng
            .pick(&[1, 10, 600, 1460, 5000, 70_000, 70_000])
            .max(most / 500),
        read: rng.pick(&[1, 100, 20_000, 20_000, 1 << 20]).max(most / 500),
        ending,
        retunes: rng.chance(5),
    }
}
