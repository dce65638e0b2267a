//! What the kernel's captures are held to, when they are made and when they are replayed.

use netloom::capture::DifferenceClass as Class;

/// What holds whoever takes whose place.
pub(crate) const SAME: [Class; 8] = [
    Class::Answer,
    Class::Text,
    Class::Acknowledged,
    Class::End,
    Class::Datagrams,
    Class::EchoReplies,
    Class::EchoRequests,
    Class::IcmpErrors,
];
