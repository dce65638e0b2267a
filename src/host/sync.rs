//! The atomics of `news.rs`, which a test replaces by those of another scheduler.

pub(super) use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
pub(super) use std::sync::{Mutex, PoisonError};
