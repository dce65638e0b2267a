//! Which size is probed next.
//!
//! RFC 8899 §5.3.2. *Owns* the sizes that are worth a probe. *Does not* know of losses.

/// Payloads that paths of common MTUs carry: 1280, 1400, 1420, 1440, 1460, 1480, 1492, 1500, 4352, 9000, less the headers of UDP with IPv6, and
/// with IPv4.
const COMMON: [u16; 20] = [
    1232, 1252, 1352, 1372, 1372, 1392, 1392, 1412, 1412, 1432, 1432, 1444, 1452, 1452, 1464, 1472,
    4304, 4324, 8952, 8972,
];

/// A size above `good` and below `bad` that halves what is worth a probe between them; `most` is worth one always. `None`: nothing
/// is.
pub(super) fn between(good: u16, bad: u16, most: u16) -> Option<u16> {
    let first = COMMON.partition_point(|&size| size <= good);
    let end = COMMON.partition_point(|&size| size < bad.min(most));
    let most_fits = most > good && most < bad;
    let mut count = end.saturating_sub(first);
    if most_fits {
        count += 1;
    }
    let at = first + count.checked_sub(1)?.div_ceil(2);
    Some(if at < end { COMMON[at] } else { most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_halves_what_is_left() {
        for most in [1200, 1232, 1300, 1452, 1472, 4000, 8972, 65_507] {
            for carried in 1200..=most {
                let (mut good, mut bad) = (1200, u16::MAX);
                let mut probes = 0;
                while let Some(size) = between(good, bad, most) {
                    assert!(good < size && size < bad && size <= most);
                    if size <= carried {
                        good = size;
                    } else {
                        bad = size;
                    }
                    probes += 1;
                }
                assert!(probes <= 6, "{probes} for {carried} of {most}");
                let best = COMMON.into_iter().chain([1200, most]);
                let best = best.filter(|&size| size <= carried.min(most)).max();
                assert_eq!(Some(good), best, "{carried} of {most}");
            }
        }
    }
}
