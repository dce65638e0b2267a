//! Parts that controllers share, and that a user's own controller may use.
//!
//! *Owns* what several algorithms need and none of them is: filters, rounds, growth, pacing, and the
//! gliding down of proportional rate reduction. Each is a value: numbers go in, numbers come out.
//! *Does not* know connections, clocks or the trait.

mod filter;
mod growth;
mod hystart;
mod pacer;
mod prr;
mod round;
mod sampler;

pub use filter::{TwoSlotMax, WindowedMax, WindowedMin};
pub use growth::{AckCredit, RenoGrowth};
pub use hystart::{HyStartPlusPlus, HyStartStep};
pub(crate) use pacer::LOCAL_RTT;
pub use pacer::{Pacer, window_rate};
pub use prr::{Prr, PrrAck};
pub use round::RoundCounter;
pub use sampler::{Basis, DeliverySampler, Departure, RateSample, TxStamp};

pub(super) use growth::MAX_CWND;
