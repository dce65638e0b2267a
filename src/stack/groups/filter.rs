//! Which senders of a group are wanted: one socket's wish, and what many come to together.
//!
//! RFC 3376 §3.1, §3.2, RFC 3810 §4.1, §4.2. *Owns* the rules of merging. *Does not* know sockets or groups.

use core::net::IpAddr;
use std::collections::BTreeSet;

/// Are the sources of a list those that are wanted, or those that are not?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FilterMode {
    /// These and no others.
    Include,
    /// All but these.
    Exclude,
}

/// A list of sources and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) mode: FilterMode,
    pub(crate) sources: BTreeSet<IpAddr>,
}

impl Filter {
    /// INCLUDE of none: of who is in no group (RFC 3376 §3.1).
    pub(crate) const NOTHING: Self = Self {
        mode: FilterMode::Include,
        sources: BTreeSet::new(),
    };
    /// EXCLUDE of none: whoever sends.
    pub(crate) const ALL: Self = Self {
        mode: FilterMode::Exclude,
        sources: BTreeSet::new(),
    };

    /// Is nobody wanted?
    pub(crate) fn is_nothing(&self) -> bool {
        self.mode == FilterMode::Include && self.sources.is_empty()
    }

    /// Is what this one sends wanted?
    pub(crate) fn admits(&self, source: IpAddr) -> bool {
        let listed = self.sources.contains(&source);
        match self.mode {
            FilterMode::Include => listed,
            FilterMode::Exclude => !listed,
        }
    }

    /// What lets through all that one of these does, and no more: EXCLUDE when one of them is, of the sources that all
    /// those exclude and none includes; else INCLUDE of all (RFC 3376 §3.2, RFC 3810 §4.2).
    pub(crate) fn merged<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let of = |mode| all.clone().filter(move |filter| filter.mode == mode);
        let mut excluding = of(FilterMode::Exclude);
        let mut included = of(FilterMode::Include).flat_map(|filter| &filter.sources);
        let Some(first) = excluding.next() else {
            return Self {
                mode: FilterMode::Include,
                sources: included.copied().collect(),
            };
        };
        let mut sources = first.sources.clone();
        for other in excluding {
            sources.retain(|source| other.sources.contains(source));
        }
        included.all(|source| {
            sources.remove(source);
            !sources.is_empty()
        });
        Self {
            mode: FilterMode::Exclude,
            sources,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    fn filter(mode: FilterMode, sources: &[u8]) -> Filter {
        let sources = sources.iter().map(|&n| source(n)).collect();
        Filter { mode, sources }
    }

    /// Covers: IGM-21, MLD-13 (the examples of RFC 3376 §3.2, and EXCLUDE only when somebody excludes).
    #[test]
    fn filters_of_several_sockets() {
        use FilterMode::{Exclude, Include};
        type List = (FilterMode, &'static [u8]);
        #[rustfmt::skip]
        let rows: [(&[List], FilterMode, &[u8]); 6] = [
            (&[], Include, &[]),
            (&[(Exclude, &[1, 2, 3, 4]), (Exclude, &[2, 3, 4, 5]), (Include, &[4, 5, 6])], Exclude, &[2, 3]),
            (&[(Include, &[1, 2, 3]), (Include, &[2, 3, 4]), (Include, &[5, 6])], Include, &[1, 2, 3, 4, 5, 6]),
            (&[(Exclude, &[]), (Include, &[1])], Exclude, &[]),
            (&[(Exclude, &[1]), (Include, &[1])], Exclude, &[]),
            (&[(Include, &[7]), (Include, &[])], Include, &[7]),
        ];
        for (all, mode, sources) in rows {
            let all: Vec<Filter> = all.iter().map(|&(mode, list)| filter(mode, list)).collect();
            let merged = Filter::merged(all.iter());
            assert_eq!(merged, filter(mode, sources), "{all:?}");
        }
        assert!(Filter::merged([].iter()).is_nothing());
    }

    proptest! {
        /// A merged filter lets through what one of the sockets wants, as RFC 3376 §3.2 has it: all of it, and nothing
        /// that none wants.
        #[test]
        fn a_merged_filter_admits_what_one_of_them_does(
            all in prop::collection::vec(
                (any::<bool>(), prop::collection::vec(0..8u8, 0..6)), 0..5),
        ) {
            let all: Vec<Filter> = all
                .into_iter()
                .map(|(exclude, list)| {
                    let mode = if exclude { FilterMode::Exclude } else { FilterMode::Include };
                    filter(mode, &list)
                })
                .collect();
            let merged = Filter::merged(all.iter());
            for n in 0..10 {
                let wanted = all.iter().any(|filter| filter.admits(source(n)));
                prop_assert_eq!(merged.admits(source(n)), wanted, "{}", n);
            }
            let excludes = all.iter().any(|filter| filter.mode == FilterMode::Exclude);
            prop_assert_eq!(merged.mode == FilterMode::Exclude, excludes);
        }
    }
}
