//! A script in pieces, with Rust between them.
//!
//! *Owns* [`Session`]. *Does not* run lines itself.

use core::net::IpAddr;

use super::super::ast::Script;
use super::super::drill::of_syntax;
use super::super::source::Defines;
use super::super::verdict::{Outcome, Verdict};
use super::Runner;
use crate::base::Instant;
use crate::stack::{Stack, TcpId};
use crate::tcp::TcpInfo;

/// A stack and its peer in the middle of a script: [`Drill::begin`](crate::drill::Drill::begin) makes it. For tests that
/// ask or do what no script can.
///
/// Each piece goes on where the one before ended: descriptors, numbers, names and the clock stay. At the end
/// of a piece nothing may be left that no line expected, and no call may wait.
///
/// ```
/// use netloom::drill::{Drill, Profile, Variant, Verdict};
/// let beginning = "
///     0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
///    +0 bind(3, ..., ...) = 0
///    +0 listen(3, 1) = 0
///    +0 < S 0:0(0) win 1000 <mss 1000>
///    +0 > S. 0:0(0) ack 1 <mss 1460>
///   +.1 < . 1:1(0) ack 1 win 1000
///    +0 accept(3, ..., ...) = 4
/// ";
/// let drill = Drill::new(Profile::rfc());
/// for variant in Variant::ALL {
///     // Without timestamps theirs cannot wrap.
///     let Some(session) = drill.begin(beginning, variant) else { continue };
///     let mut session = session.unwrap();
///     for n in 0..3 {
///         let (from, to) = (1 + n * 10, 11 + n * 10);
///         let outcome = session.run(&format!(
///             "+0 < P. {from}:{to}(10) ack 1 win 1000
///              +.04 > . 1:1(0) ack {to}"
///         ));
///         assert_eq!(outcome.verdict, Verdict::StrictPass, "{outcome:#?}");
///     }
///     assert_eq!(session.info().unwrap().unread, 30);
///     assert_eq!(session.stack().counters().tcp_accepted, 1);
/// }
/// ```
pub struct Session {
    runner: Runner,
    words: Defines,
    outcome: Outcome,
}

impl Session {
    /// Begins with this script, which `runner` was made for.
    pub(in crate::drill) fn new(
        mut runner: Runner,
        words: Defines,
        script: &Script,
    ) -> Result<Self, Outcome> {
        let outcome = runner.run(script);
        if !outcome.verdict.is_pass() {
            return Err(outcome);
        }
        Ok(Self {
            runner,
            words,
            outcome,
        })
    }

    /// Runs what follows, and says what all until here comes to. Lines are counted from its own beginning.
    /// Options, an MTU and a command without a time belong to the beginning and fail here. After a failure
    /// nothing runs any more.
    pub fn run(&mut self, text: &str) -> Outcome {
        if self.outcome.verdict.is_pass() {
            self.outcome = match Script::parse(text, &self.words) {
                Ok(script) => self.runner.run(&script),
                Err(error) => of_syntax(&error),
            };
        }
        self.outcome.clone()
    }

    /// What all until here comes to.
    pub const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Do all lines hold strictly so far?
    pub fn is_strict(&self) -> bool {
        self.outcome.verdict == Verdict::StrictPass
    }

    /// The virtual time.
    pub const fn now(&self) -> Instant {
        self.runner.world.now
    }

    /// The stack under test.
    pub const fn stack(&self) -> &Stack {
        &self.runner.world.stack
    }

    /// The stack under test, for calls that no script has: give them [`now`](Self::now). What they send
    /// leaves at the next line.
    pub const fn stack_mut(&mut self) -> &mut Stack {
        &mut self.runner.world.stack
    }

    /// The connection under test, accepted or not; `None` before it is there, or when it is gone.
    pub fn connection(&self) -> Option<TcpId> {
        self.runner.world.connection()
    }

    /// What is known of the connection under test.
    pub fn info(&self) -> Option<TcpInfo> {
        self.runner.world.info()
    }

    /// Our address and the peer's.
    pub const fn addresses(&self) -> (IpAddr, IpAddr) {
        (self.runner.world.ours, self.runner.world.theirs)
    }

    /// The number of our last SYN on the wire.
    pub fn our_isn(&self) -> Option<u32> {
        self.runner.world.numbers.our_isn()
    }

    /// The next bytes of our stream, for a write that no script can make; they count as written, and as the
    /// end of a write.
    pub fn next_text(&mut self, len: usize) -> Vec<u8> {
        self.runner.sockets.next_text(len)
    }

    /// Hands the stack an IP packet that is no line's, as one of another host is, and lets it answer.
    /// Returns what left since and is no line's affair either: neither of the connection under test nor
    /// between ports that a line names.
    ///
    /// # Errors
    /// Why the stack cannot go on.
    pub fn exchange(&mut self, packet: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let world = &mut self.runner.world;
        world.others.get_or_insert_default().clear();
        world.give(packet.to_vec(), None);
        world.settle()?;
        let others = world.others.take().unwrap_or_default();
        Ok(others.into_iter().map(|(_, packet)| packet).collect())
    }
}
