//! A model of servers on a network that loses, delays and repeats, beside which a client must keep RFC 2131's promises:
//! no address is held beyond its server's grant, no two messages leave at once, and whoever is answered is bound.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What the network and the servers do; of 256.
#[derive(Clone, Copy, Debug)]
struct Weather {
    lost: u64,
    repeated: u64,
    refused: u64,
    /// Cut.
    harmed: u64,
    /// The longest way, milliseconds.
    delay: u64,
}

const CALM: Weather = Weather {
    lost: 0,
    repeated: 0,
    refused: 0,
    harmed: 0,
    delay: 50,
};

/// SplitMix64: the weather's own dice.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound.max(1)
    }

    fn hit(&mut self, of_256: u64) -> bool {
        self.below(256) < of_256
    }
}

/// To one server or to all, or to the client; and the bytes.
type Packet = (Option<Ipv4Addr>, bool, Vec<u8>);

/// Two servers and the link before them.
struct World {
    dice: Dice,
    weather: Weather,
    lease: u32,
    /// What is on its way, by time and number.
    under_way: BTreeMap<(Instant, u64), Packet>,
    number: u64,
    /// Until when an address is granted, by the servers' word.
    granted: BTreeMap<Ipv4Addr, Instant>,
}

const SERVERS: [Ipv4Addr; 2] = [SERVER, Ipv4Addr::new(10, 7, 0, 2)];

impl World {
    fn send(&mut self, now: Instant, to: Option<Ipv4Addr>, to_client: bool, mut bytes: Vec<u8>) {
        let copies = 1 + u64::from(self.dice.hit(self.weather.repeated));
        for _ in 0..copies {
            if self.dice.hit(self.weather.lost) {
                continue;
            }
            if self.dice.hit(self.weather.harmed) {
                // A changed bit would be another grant: those are the fuzz target's.
                bytes.truncate(self.dice.below(bytes.len() as u64) as usize);
            }
            let arrives = now + Duration::from_millis(1 + self.dice.below(self.weather.delay));
            self.number += 1;
            let packet = (to, to_client, bytes.clone());
            self.under_way.insert((arrives, self.number), packet);
        }
    }

    /// A server hears this.
    fn serve(&mut self, now: Instant, server: Ipv4Addr, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else {
            return;
        };
        let own = match server {
            SERVER => ADDRESS,
            _ => Ipv4Addr::new(10, 7, 0, 60),
        };
        let named = message.address(code::SERVER_ID);
        let asked = match message.ciaddr() {
            Ipv4Addr::UNSPECIFIED => message.address(code::REQUESTED_ADDRESS),
            used => Some(used),
        };
        let kind = match message.kind() {
            Some(MessageType::DISCOVER) => MessageType::OFFER,
            Some(MessageType::REQUEST) if named.is_some_and(|named| named != server) => return,
            Some(MessageType::REQUEST) if asked != Some(own) && named.is_none() => return,
            Some(MessageType::REQUEST) if self.dice.hit(self.weather.refused) => MessageType::NAK,
            Some(MessageType::REQUEST) => MessageType::ACK,
            // What was given back stays reserved: a late DECLINE would take back a later grant.
            _ => return,
        };
        let mut answer = Builder::new(Operation::REPLY, kind, message.xid(), MAC)
            .address(code::SERVER_ID, server);
        if kind != MessageType::NAK {
            answer = answer
                .yiaddr(own)
                .number(code::LEASE_TIME, self.lease)
                .number(code::SUBNET_MASK, 0xFFFF_FF00);
        }
        if kind == MessageType::ACK {
            let until = now + secs(self.lease.into());
            let granted = self.granted.entry(own).or_insert(until);
            *granted = until.max(*granted);
        }
        self.send(now, None, true, answer.finish());
    }

    /// What arrives at `now`: servers hear theirs, and the client's are returned.
    fn deliver(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut to_client = Vec::new();
        while let Some(entry) = self.under_way.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let (to, is_answer, bytes) = entry.remove();
            if is_answer {
                to_client.push(bytes);
                continue;
            }
            for server in SERVERS {
                if to.is_none_or(|to| to == server) {
                    self.serve(now, server, &bytes);
                }
            }
        }
        to_client
    }
}

struct Run {
    client: Client,
    world: World,
    now: Instant,
    /// What the user was told to use.
    used: Option<Ipv4Addr>,
    sent: u64,
    conflicts: u64,
}

impl Run {
    fn new(seed: u64, lease: u32, weather: Weather) -> Self {
        let world = World {
            dice: Dice(seed),
            weather,
            lease,
            under_way: BTreeMap::new(),
            number: 0,
            granted: BTreeMap::new(),
        };
        let client = Client::new(Config::new(MAC), Seed::from_number(seed)).unwrap();
        let mut run = Self {
            client,
            world,
            now: Instant::ZERO,
            used: None,
            sent: 0,
            conflicts: 0,
        };
        run.client.start(run.now);
        run
    }

    /// Lets the world turn until `end`.
    fn until(&mut self, end: Instant) {
        loop {
            self.turn();
            let arrives = self
                .world
                .under_way
                .first_key_value()
                .map(|(&(at, _), _)| at);
            let next = [arrives, self.client.poll_timeout()]
                .into_iter()
                .flatten()
                .min();
            match next {
                Some(next) if next <= end => {
                    assert!(next > self.now, "{next:?} again: {:?}", self.client.phase);
                    self.now = next;
                }
                _ => break,
            }
        }
        self.now = end;
        self.turn();
    }

    fn turn(&mut self) {
        let now = self.now;
        self.client.handle_timeout(now);
        for bytes in self.world.deliver(now) {
            let _ = self.client.handle_datagram(now, &bytes);
        }
        let hit = self.world.dice.hit(self.conflicts);
        let conflict = self.used.filter(|_| hit);
        if let Some(address) = conflict {
            self.client.handle_conflict(now, address);
        }
        let mut at_once = 0;
        while let Some(message) = self.client.poll_transmit(now) {
            at_once += 1;
            assert!(at_once <= 2, "a parting message and a question at most");
            self.sent += 1;
            let to = (!message.destination.is_broadcast()).then_some(message.destination);
            self.world.send(now, to, false, message.payload);
        }
        self.heed();
        // What extends a lease waits until its address was told.
        while let Some(message) = self.client.poll_transmit(now) {
            at_once += 1;
            assert!(at_once <= 2);
            self.sent += 1;
            let to = (!message.destination.is_broadcast()).then_some(message.destination);
            self.world.send(now, to, false, message.payload);
        }
        assert!(conflict.is_none() || self.used != conflict);
        // The promise: what is used is granted, by the server's clock.
        assert_eq!(self.used, self.client.lease().map(|lease| lease.address));
        if let Some(address) = self.used {
            let granted = self
                .world
                .granted
                .get(&address)
                .copied()
                .unwrap_or_default();
            assert!(
                now < granted,
                "{address} at {now:?}, granted until {granted:?}"
            );
            let ends = self.client.expires_at();
            assert!(
                ends.is_none_or(|ends| ends <= granted),
                "{ends:?} beyond {granted:?}"
            );
        }
        let counters = self.client.counters();
        let taken = counters.offers + counters.acks + counters.naks;
        assert_eq!(counters.received, taken + counters.refused.total());
    }

    /// The user does what the events say, and they make sense to it.
    fn heed(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Bound(lease) => {
                    assert_eq!(self.used, None, "one at a time");
                    self.used = Some(lease.address);
                }
                Event::Renewed(lease) => assert_eq!(self.used, Some(lease.address)),
                Event::Lost { address, .. } => assert_eq!(self.used.take(), Some(address)),
                Event::Refused { .. } | Event::Unanswered { .. } | Event::NoServer => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Two hours of bad weather, then two of good.
    /// Covers: DHC-10, DHC-13.
    #[test]
    fn no_address_is_held_beyond_its_grant_and_calm_weather_binds(
        seed: u64, lease in prop::sample::select(vec![10, 11, 60, 120, 3600, 86_400, u32::MAX]),
        lost in 0..256_u64, repeated in 0..100_u64, refused in 0..200_u64, harmed in 0..100_u64,
        delay in prop::sample::select(vec![2, 500, 5000, 70_000_u64]), conflicts in prop::sample::select(vec![0, 0, 8_u64]),
    ) {
        let mut run = Run::new(seed, lease, Weather { lost, repeated, refused, harmed, delay });
        run.conflicts = conflicts;
        let bad = 7200;
        run.until(at(bad));
        // A lease of 10 s is renewed each 5 s, with one answer; a search asks after 4, 8, 16 s.
        prop_assert!(run.sent < bad, "{} messages", run.sent);
        (run.world.weather, run.conflicts) = (CALM, 0);
        // What is still under way may be late by 70 s, and a wait after a refusal or a silence is 65 s.
        run.until(at(bad + 3600));
        prop_assert!(run.used.is_some(), "{:?}", run.client);
        let (before, sent) = (run.client.counters().discovers, run.sent);
        run.until(at(bad + 7200));
        prop_assert_eq!(run.client.counters().discovers, before);
        let renewals = 3600 / (u64::from(lease) * 15 / 32).max(1) + 1;
        prop_assert!(run.sent - sent <= renewals, "{} messages", run.sent - sent);
        run.client.release(run.now);
        run.until(at(bad + 7300));
        prop_assert_eq!(run.used, None);
        prop_assert_eq!(run.client.poll_timeout(), None);
    }

    /// Any bytes, whether or not an answer is waited for: counted, and never believed.
    #[test]
    fn noise_is_counted(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..20),
    ) {
        let mut bench = Bench::started();
        bench.send_one();
        for datagram in &datagrams {
            prop_assert!(bench.client.handle_datagram(bench.now, datagram).is_err());
        }
        let counters = bench.client.counters();
        prop_assert_eq!(counters.received, datagrams.len() as u64);
        prop_assert_eq!(counters.refused.total(), datagrams.len() as u64);
        let offer = bench.hear(|m| granting(m, MessageType::OFFER, 60));
        prop_assert_eq!(offer, Ok(()));
    }
}
