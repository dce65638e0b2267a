//! A failing scenario made small: features out one by one, bytes halved, while it still fails.
//!
//! *Owns* what can be taken out and in which order. Deterministic: the same scenario shrinks to the
//! same one. "Still fails" is "fails at the same place in the code".

use super::draw::PLENTY;
use super::report::{self, Failure};
use super::scenario::{
    Asking, Bleach, Conversation, DeviceFaults, Ending, Offload, Opener, Scenario, Stripped, Tcp,
    Wire, Wrap,
};

// Runs that one shrinking may cost.
const MOST_TRIES: u32 = 1500;

/// The smallest scenario found that fails as `scenario` does, and how that one fails.
pub(crate) fn shrink(scenario: &Scenario, failure: &Failure) -> (Scenario, Failure) {
    let mut best = (scenario.clone(), failure.clone());
    let mut tries = 0;
    loop {
        let before = best.0.clone();
        for change in changes(&before) {
            // Each is tried on what is left by those before it, as often as it helps.
            loop {
                let mut smaller = best.0.clone();
                change(&mut smaller);
                if smaller == best.0 || smaller.conversations.is_empty() {
                    break;
                }
                tries += 1;
                if tries > MOST_TRIES {
                    return best;
                }
                match report::attempt(&smaller) {
                    Err(again) if again.place == failure.place => best = (smaller, again),
                    _ => break,
                }
            }
        }
        if best.0 == before {
            return best;
        }
    }
}

type Change = Box<dyn Fn(&mut Scenario)>;

fn change(f: impl Fn(&mut Scenario) + 'static) -> Change {
    Box::new(f)
}

/// Everything that may be taken out, the largest first.
fn changes(scenario: &Scenario) -> Vec<Change> {
    let mut all = Vec::new();
    for at in (0..scenario.conversations.len()).rev() {
        all.push(change(move |s| {
            if at < s.conversations.len() && s.conversations.len() > 1 {
                s.conversations.remove(at);
                s.conversations[0].opens_at = 0;
            }
        }));
    }
    world(&mut all);
    for end in [0, 1] {
        path(&mut all, end);
        settings(&mut all, end);
        for at in 0..scenario.conversations.len() {
            user(&mut all, at, end);
        }
    }
    all
}

fn world(all: &mut Vec<Change>) {
    all.push(change(|s| s.wires = [Wire::PERFECT; 2]));
    all.push(change(|s| s.devices = [DeviceFaults::NONE; 2]));
    all.push(change(|s| s.tcp = [Tcp::DEFAULT; 2]));
    all.push(change(|s| s.ethernet = false));
    all.push(change(|s| s.probes = 0));
    all.push(change(|s| s.v6 = false));
    all.push(change(|s| s.wrap = Wrap::No));
    all.push(change(|s| s.stripped = Stripped::default()));
    all.push(change(|s| s.stripped.mss = false));
    all.push(change(|s| s.stripped.window_scale = false));
    all.push(change(|s| s.stripped.sack = false));
    all.push(change(|s| s.stripped.timestamps = false));
    all.push(change(|s| s.queue = 1000));
    all.push(change(|s| s.backlog = 4096));
    all.push(change(|s| s.cookies = false));
    all.push(change(|s| s.memory = [PLENTY; 2]));
    all.push(change(|s| s.mtu = 1500));
}

fn path(all: &mut Vec<Change>, end: usize) {
    all.push(change(move |s| s.wires[end] = Wire::PERFECT));
    all.push(change(move |s| s.wires[end].loss = 0));
    all.push(change(move |s| s.wires[end].duplication = 0));
    all.push(change(move |s| s.wires[end].corruption = 0));
    all.push(change(move |s| s.wires[end].truncation = 0));
    all.push(change(move |s| s.wires[end].reordering = 0));
    all.push(change(move |s| {
        if s.wires[end].reordering == 0 {
            s.wires[end].reordered_by = 0;
        }
    }));
    all.push(change(move |s| s.wires[end].jitter = 0));
    all.push(change(move |s| s.wires[end].rate = None));
    all.push(change(move |s| s.wires[end].delay = 0));
    all.push(change(move |s| s.wires[end].marks = 0));
    all.push(change(move |s| s.wires[end].bleach = Bleach::Nothing));
    all.push(change(move |s| s.wires[end].asking = Asking::Passes));
    all.push(change(move |s| s.wires[end].loss /= 2));
    all.push(change(move |s| s.devices[end].full = 0));
    all.push(change(move |s| s.devices[end].dropped = 0));
    all.push(change(move |s| s.devices[end].outage = None));
    all.push(change(move |s| s.coalesce[end] = false));
    all.push(change(move |s| s.budget[end] = 64));
    all.push(change(move |s| s.offloads[end] = Offload::None));
}

fn settings(all: &mut Vec<Change>, end: usize) {
    const PLAIN: Tcp = Tcp::DEFAULT;
    all.push(change(move |s| s.tcp[end] = PLAIN));
    all.push(change(move |s| s.tcp[end].impatient = false));
    all.push(change(move |s| s.tcp[end].linger = None));
    all.push(change(move |s| s.tcp[end].user_timeout = None));
    all.push(change(move |s| s.tcp[end].keepalive = None));
    all.push(change(move |s| s.tcp[end].mss = None));
    all.push(change(move |s| s.tcp[end].nodelay = PLAIN.nodelay));
    all.push(change(move |s| s.tcp[end].delayed_ack = PLAIN.delayed_ack));
    all.push(change(move |s| s.tcp[end].quick_acks = PLAIN.quick_acks));
    all.push(change(move |s| s.tcp[end].min_rto = PLAIN.min_rto));
    all.push(change(move |s| {
        s.tcp[end].congestion = PLAIN.congestion;
    }));
    all.push(change(move |s| s.tcp[end].ecn = PLAIN.ecn));
    all.push(change(move |s| s.tcp[end].send_buffer = PLAIN.send_buffer));
    all.push(change(move |s| {
        s.tcp[end].recv_max = PLAIN.recv_max;
        s.tcp[end].recv_initial = PLAIN.recv_initial;
    }));
}

fn user(all: &mut Vec<Change>, at: usize, end: usize) {
    let mut on = |f: fn(&mut Conversation, usize)| {
        all.push(change(move |s| {
            if let Some(talk) = s.conversations.get_mut(at) {
                f(talk, end);
            }
        }));
    };
    on(|talk, _| talk.opener = Opener::End(1));
    on(|talk, _| talk.opens_at = 0);
    on(|talk, end| talk.users[end].ending = Ending::Finish);
    on(|talk, end| talk.users[end].retunes = false);
    on(|talk, end| talk.users[end].to_send = 0);
    on(|talk, end| talk.users[end].to_send /= 2);
    on(|talk, end| talk.users[end].to_send -= talk.users[end].to_send / 8);
    on(|talk, end| talk.users[end].to_send = talk.users[end].to_send.saturating_sub(1));
    on(|talk, end| talk.users[end].rests = 0);
    on(|talk, end| talk.users[end].rests /= 2);
    on(|talk, end| talk.users[end].write = 70_000);
    on(|talk, end| talk.users[end].read = 1 << 20);
}
