//! The link layer: frame types, the Ethernet II header, 802.1Q tags, super-segments.
//!
//! RFC 894, RFC 2464, IEEE 802.1Q. Imports `base` only.

pub(crate) mod cut;
pub mod ethernet;
mod frame;
pub(crate) mod layout;

pub use ethernet::{EtherType, VlanTag};
pub use frame::{
    MAX_IP_LEN, PartialChecksum, RxChecksum, RxFrame, RxMeta, SegmentKind, SegmentKinds,
    Segmentation, TxFrame, TxMeta,
};
