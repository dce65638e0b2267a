//! The kernel matrix: what covers every pair of its factors; `cargo bench --bench matrix` runs it all.

use std::time::Duration;

use crate::namespace::Case;

#[allow(dead_code, reason = "the bench needs more")]
mod combos;
#[allow(dead_code, reason = "the bench needs more")]
mod run;

use combos::{CLEAN, Combo, LOSSY};

/// How long each sender writes.
const SENDING: Duration = Duration::from_millis(300);

/// Covers: TCP-2 (checksums, whole and left to the device), TCP-25 (the MSS told fits).
pub(crate) fn cases() -> Vec<Case> {
    let combos = [Combo::covering(CLEAN), Combo::covering(LOSSY)].concat();
    let mut cases = vec![Case::new(
        "matrix::every_pair_is_covered",
        combos::every_pair_is_covered,
    )];
    cases.extend(combos.into_iter().map(|combo| {
        let name = format!("matrix::{combo}").replace(' ', "_");
        Case::with_reason(name, move || run::run(&combo, SENDING).err())
    }));
    cases
}
