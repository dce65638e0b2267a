//! What is still to be told of one group, and the records that tell it.
//!
//! RFC 3376 §4.2.12, §5.1, RFC 3810 §5.2.12, §6.1. *Owns* how often each change was told. *Does not* know when it is due: the reporter
//! does.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use crate::base::Instant;
use crate::base::records::{GroupRecord, RecordKind};
use crate::stack::groups::filter::{Filter, FilterMode};

/// What is still to be told of one group.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// How often the whole filter is still to be told, for its mode has changed.
    pub(super) modes: u8,
    /// How often the change of each of these sources is.
    pub(super) sources: BTreeMap<IpAddr, u8>,
    /// When an answer about the group is due, or an older version's report.
    pub(super) due: Option<Instant>,
    /// The sources that were asked for; none: the group was.
    pub(super) asked: BTreeSet<IpAddr>,
    /// Reports of an older version that nobody asked for and that are still to be sent.
    pub(super) left: u8,
    /// Were we the last to report it to an older router?
    pub(super) last: bool,
}

impl Pending {
    pub(super) fn is_idle(&self) -> bool {
        let told = self.modes == 0 && self.sources.is_empty() && self.left == 0;
        told && self.due.is_none() && !self.last
    }

    /// Puts what has changed into records; says whether it is to be told again.
    pub(super) fn tell(
        &mut self,
        group: IpAddr,
        filter: &Filter,
        records: &mut Vec<GroupRecord>,
    ) -> bool {
        let record = |kind, sources| GroupRecord {
            kind,
            group,
            sources,
        };
        if self.modes > 0 {
            self.modes -= 1;
            let kind = match filter.mode {
                FilterMode::Include => RecordKind::TO_INCLUDE,
                FilterMode::Exclude => RecordKind::TO_EXCLUDE,
            };
            records.push(record(kind, filter.sources.iter().copied().collect()));
        } else {
            let all = self.sources.keys().copied();
            let (allow, block): (Vec<_>, Vec<_>) = all.partition(|&source| filter.admits(source));
            for (kind, sources) in [(RecordKind::ALLOW, allow), (RecordKind::BLOCK, block)] {
                if !sources.is_empty() {
                    records.push(record(kind, sources));
                }
            }
        }
        self.sources.retain(|_, left| {
            *left -= 1;
            *left > 0
        });
        self.modes > 0 || !self.sources.is_empty()
    }
}

/// A current-state record (RFC 3376 §4.2.12).
pub(super) fn is(group: IpAddr, filter: &Filter) -> GroupRecord {
    let kind = match filter.mode {
        FilterMode::Include => RecordKind::IS_INCLUDE,
        FilterMode::Exclude => RecordKind::IS_EXCLUDE,
    };
    let sources = filter.sources.iter().copied().collect();
    GroupRecord {
        kind,
        group,
        sources,
    }
}
