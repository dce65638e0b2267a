//! Where the headers of a frame lie, for the code at the device edge that cuts and joins frames.
//!
//! RFC 791 §3.1, RFC 8200 §4, RFC 9293 §3.1, RFC 768. *Owns* where a medium's frames have their IP header. *Does not* look
//! behind it: `link` does. Total: any bytes give a layout or `None`.

use super::Medium;
#[cfg(test)]
pub(super) use crate::link::layout::UDP;
pub(super) use crate::link::layout::{Layout, TCP, long, on_the_wire, put_word, word};

impl Layout {
    /// The layout of a frame of which at least the headers are there; `None` when it is not TCP or
    /// UDP over IP, is a fragment, or is cut inside its headers.
    pub(super) fn of(medium: Medium, bytes: &[u8]) -> Option<Self> {
        Self::behind(network_header(medium, bytes)?, bytes)
    }
}

/// Where the IP header begins: after the link header and any VLAN tags.
pub(super) fn network_header(medium: Medium, bytes: &[u8]) -> Option<usize> {
    let mut at = medium.link_header();
    if medium == Medium::Ip {
        return Some(at);
    }
    while matches!(word(bytes, at - 2)?, 0x8100 | 0x88a8) {
        at += 4;
    }
    matches!(word(bytes, at - 2)?, 0x0800 | 0x86dd).then_some(at)
}

#[cfg(test)]
pub(super) mod samples {
    //! Frames for the tests of this folder.

    use super::*;

    /// A TCP frame with right checksums.
    #[derive(Clone, Debug)]
    pub(in crate::device) struct Tcp {
        pub(in crate::device) v6: bool,
        pub(in crate::device) medium: Medium,
        pub(in crate::device) seq: u32,
        pub(in crate::device) ack: u32,
        pub(in crate::device) flags: u8,
        pub(in crate::device) options: Vec<u8>,
        pub(in crate::device) payload: Vec<u8>,
    }

    impl Tcp {
        pub(in crate::device) fn new(medium: Medium, v6: bool, payload: &[u8]) -> Self {
            Self {
                v6,
                medium,
                seq: 1000,
                ack: 77,
                flags: 0x10,
                options: Vec::new(),
                payload: payload.to_vec(),
            }
        }

        pub(in crate::device) fn headers(&self) -> Vec<u8> {
            let mut out = Vec::new();
            let tcp_len = 20 + self.options.len();
            let len = tcp_len + self.payload.len();
            if self.medium == Medium::Ethernet {
                out.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
                out.extend(if self.v6 { [0x86, 0xdd] } else { [8, 0] });
            }
            let l3 = out.len();
            if self.v6 {
                out.extend([0x60, 0, 0, 0]);
                out.extend(u16::try_from(len).unwrap().to_be_bytes());
                out.extend([TCP, 64]);
                out.extend([0xfd; 16]);
                out.extend([0xfe; 16]);
            } else {
                out.extend([0x45, 0]);
                out.extend(u16::try_from(len + 20).unwrap().to_be_bytes());
                out.extend([0xff, 0xfe, 0x40, 0, 64, TCP, 0, 0, 10, 7, 0, 1, 10, 7, 0, 2]);
                let sum = crate::base::checksum::checksum(&out[l3..]);
                put_word(&mut out, l3 + 10, sum);
            }
            let l4 = out.len();
            out.extend([0x9c, 0x40, 0, 80]);
            out.extend(self.seq.to_be_bytes());
            out.extend(self.ack.to_be_bytes());
            out.extend([u8::try_from(tcp_len * 4).unwrap(), self.flags]);
            out.extend([0xff, 0xff, 0, 0, 0, 0]);
            out.extend(&self.options);
            let layout = Layout::of(self.medium, &out).unwrap();
            let pseudo = layout.pseudo_sum(&out, u16::try_from(len).unwrap());
            let sum = pseudo.bytes(&out[l4..]).bytes(&self.payload);
            put_word(&mut out, l4 + 16, on_the_wire(sum));
            out
        }

        pub(in crate::device) fn frame(&self) -> Vec<u8> {
            let mut out = self.headers();
            out.extend(&self.payload);
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::Tcp;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn layouts_on_both_media_and_families() {
        for (medium, link) in [(Medium::Ethernet, 14), (Medium::Ip, 0)] {
            for (v6, ip) in [(false, 20), (true, 40)] {
                let mut tcp = Tcp::new(medium, v6, b"abc");
                tcp.options = vec![1; 12];
                let frame = tcp.frame();
                let layout = Layout::of(medium, &frame).unwrap();
                let expected = Layout {
                    l3: link,
                    l4: link + ip,
                    payload: link + ip + 32,
                    end: link + ip + 35,
                    protocol: TCP,
                    v6,
                };
                assert_eq!(layout, expected);
                assert!(layout.checksum_is_right(&frame));
                let mut bad = frame.clone();
                *bad.last_mut().unwrap() ^= 1;
                assert!(!layout.checksum_is_right(&bad));
            }
        }
    }

    #[test]
    fn tags_and_extension_headers_are_skipped_and_fragments_are_not() {
        let frame = Tcp::new(Medium::Ethernet, false, b"x").frame();
        let mut tagged = frame[..12].to_vec();
        tagged.extend([0x81, 0, 0, 5]);
        tagged.extend(&frame[12..]);
        assert_eq!(Layout::of(Medium::Ethernet, &tagged).unwrap().l4, 38);

        let plain = Tcp::new(Medium::Ip, true, b"x").frame();
        let mut extended = plain[..40].to_vec();
        extended[6] = 60;
        put_word(&mut extended, 4, word(&plain, 4).unwrap() + 8);
        extended.extend([TCP, 0, 1, 4, 0, 0, 0, 0]);
        extended.extend(&plain[40..]);
        let layout = Layout::of(Medium::Ip, &extended).unwrap();
        assert_eq!((layout.l4, layout.end), (48, extended.len()));

        let mut fragment = Tcp::new(Medium::Ip, false, b"x").frame();
        fragment[6] = 0x20;
        assert_eq!(Layout::of(Medium::Ip, &fragment), None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_layout_or_none(
            bytes in prop::collection::vec(any::<u8>(), 0..120), ethernet: bool, first: u8,
        ) {
            let medium = if ethernet { Medium::Ethernet } else { Medium::Ip };
            let mut bytes = bytes;
            if let Some(byte) = bytes.get_mut(medium.link_header()) { *byte = first; }
            if let Some(layout) = Layout::of(medium, &bytes) {
                prop_assert!(layout.payload <= bytes.len() && layout.l4 > layout.l3);
                let _ = layout.checksum_is_right(&bytes);
            }
        }
    }
}
