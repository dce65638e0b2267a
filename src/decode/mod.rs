//! One line per packet, as tcpdump would print it, with what is wrong with the packet at its end.
//!
//! *Owns* the text, and [`Filter`]s of what is worth a line. *Does not* read files (`capture`) nor keep state: sequence numbers are absolute.
//! Invariant: any bytes give exactly one line of bounded length; the work is linear in the bytes.
//!
//! | file | prints |
//! |---|---|
//! | `link.rs` | link headers, VLAN tags, ARP |
//! | `ip.rs` | IPv4 and IPv6 headers, fragments, extension headers |
//! | `transport.rs` | TCP, UDP, anything else |
//! | `dhcp.rs`, `dhcp6.rs` | DHCP messages, and DHCPv6's |
//! | `dns.rs` | questions and answers of DNS |
//! | `icmp.rs`, `ndp.rs`, `mld.rs` | ICMP, ICMPv6 with the packets they quote; neighbour and listener discovery |
//! | `igmp.rs` | IGMP |
//! | `flow.rs`, `filter.rs` | nothing: between whom a frame goes, and whether it is wanted |
//!
//! ```
//! use netloom::decode::{Decoder, Link};
//!
//! let decoder = Decoder::new(Link::Ethernet);
//! let line = decoder.line(&[0; 14], 14, Default::default()).to_string();
//! assert_eq!(line, "802.3, length 0");
//! ```

mod dhcp;
mod dhcp6;
mod dns;
mod filter;
mod flow;
mod icmp;
mod igmp;
mod ip;
mod link;
mod mld;
mod ndp;
mod transport;

pub use filter::{Filter, FilterError};
pub use flow::{Flow, Network};

use core::fmt::{self, Write};

use crate::link::RxChecksum;

/// The most elements of a list (options, headers, tags) that a line shows.
const MAX_SHOWN: usize = 16;

/// What frames start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Link {
    /// An Ethernet header: TAP.
    Ethernet,
    /// An IPv4 or IPv6 header: TUN.
    Ip,
    /// BSD loopback: an address family of four bytes, then IP.
    Loopback,
    /// Linux "cooked" capture, version 1.
    LinuxSll,
    /// Linux "cooked" capture, version 2.
    LinuxSll2,
    /// Something that is not decoded, with its LINKTYPE number.
    Other(u16),
}

impl Link {
    /// The link of a LINKTYPE number of the tcpdump.org registry, as capture files hold it.
    pub const fn from_linktype(number: u16) -> Self {
        match number {
            1 => Self::Ethernet,
            // RAW, and the DLT_RAW values that stray into files; IPV4; IPV6.
            101 | 12 | 14 | 228 | 229 => Self::Ip,
            0 | 108 => Self::Loopback,
            113 => Self::LinuxSll,
            276 => Self::LinuxSll2,
            other => Self::Other(other),
        }
    }
}

/// Prints the frames of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoder {
    link: Link,
}

impl Decoder {
    /// A decoder of frames that start with this.
    pub const fn new(link: Link) -> Self {
        Self { link }
    }

    /// The line of a frame, to be formatted.
    ///
    /// `original_len` is how many bytes the frame had; when `data` is shorter the line says that it
    /// is cut. `checksum` is what is known of the transport checksum; when that is nothing it is
    /// verified, and one that equals the sum of the pseudo-header is called partial, not bad.
    pub const fn line<'a>(
        &self,
        data: &'a [u8],
        original_len: usize,
        checksum: RxChecksum,
    ) -> Line<'a> {
        Line {
            link: self.link,
            data,
            original_len,
            checksum,
        }
    }
}

/// The line of one frame: its `Display`, without a line end.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    link: Link,
    data: &'a [u8],
    original_len: usize,
    checksum: RxChecksum,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (have, had) = (self.data.len(), self.original_len);
        let mut out = Out {
            f,
            cut: have < had,
            original_len: had.max(have),
            checksum: self.checksum,
            notes: Vec::new(),
        };
        link::frame(&mut out, self.link, self.data)?;
        if out.cut {
            out.note(format_args!("cut, {have} of {had} bytes"));
        }
        out.finish()
    }
}

/// Where a line goes, and what was found wrong meanwhile.
struct Out<'f, 'b> {
    f: &'f mut fmt::Formatter<'b>,
    /// Did the capture keep only the front of the frame? Truncation is then no fault of the packet.
    cut: bool,
    original_len: usize,
    checksum: RxChecksum,
    notes: Vec<String>,
}

impl Out<'_, '_> {
    /// Something to say at the end of the line.
    fn note(&mut self, note: impl fmt::Display) {
        self.notes.push(note.to_string());
    }

    /// The same about bytes that are missing, which are nobody's fault in a cut frame.
    fn note_missing(&mut self, note: impl fmt::Display) {
        if !self.cut {
            self.note(note);
        }
    }

    /// Writes the elements with commas between them, the first [`MAX_SHOWN`] of them.
    fn list<T>(
        &mut self,
        elements: impl Iterator<Item = T>,
        mut one: impl FnMut(&mut Self, T) -> fmt::Result,
    ) -> fmt::Result {
        for (n, element) in elements.enumerate() {
            if n > 0 {
                self.write_char(',')?;
            }
            if n == MAX_SHOWN {
                return self.write_str("..");
            }
            one(self, element)?;
        }
        Ok(())
    }

    fn finish(self) -> fmt::Result {
        let Self { f, notes, .. } = self;
        if notes.is_empty() {
            Ok(())
        } else {
            write!(f, " [{}]", notes.join("; "))
        }
    }
}

impl Write for Out<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.f.write_str(text)
    }
}

#[cfg(test)]
mod tests;
