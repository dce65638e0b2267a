//! The system calls that nix has no safe form of: the ioctls of linux/if_tun.h, and a read into the
//! spare room of a buffer.
//!
//! *Owns* all the unsafe code of the library. Every function here is safe to call with anything.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use bytes::{BufMut, BytesMut};
use nix::Result;
use nix::errno::Errno;
use nix::libc;

/// Bytes of an interface name, its closing NUL included (`IFNAMSIZ`).
pub(super) const NAME_SIZE: usize = libc::IFNAMSIZ;

/// `struct ifreq` as TUNSETIFF and TUNGETIFF use it, at the size the kernel copies (40 bytes on
/// 64-bit machines): it copies all of it, whatever the flags need (r65 in docs/regressions.md).
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub(super) struct IfReq {
    name: [u8; NAME_SIZE],
    /// `ifr_flags`.
    flags: u16,
    rest: [u8; size_of::<libc::ifreq>() - NAME_SIZE - 2],
}

const _: () = assert!(size_of::<IfReq>() == size_of::<libc::ifreq>());

impl IfReq {
    /// A request about the interface `name` (cut to 15 bytes); an empty one lets the kernel choose.
    pub(super) fn new(name: &str, flags: u16) -> Self {
        let mut request = Self {
            name: [0; NAME_SIZE],
            flags,
            rest: [0; size_of::<libc::ifreq>() - NAME_SIZE - 2],
        };
        for (to, from) in request.name[..NAME_SIZE - 1].iter_mut().zip(name.bytes()) {
            *to = from;
        }
        request
    }

    /// The interface's name.
    pub(super) fn name(&self) -> String {
        let bytes = self.name.split(|&b| b == 0).next().unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// The flags.
    pub(super) const fn flags(&self) -> u16 {
        self.flags
    }
}

mod raw {
    #![allow(unreachable_pub, reason = "the macros of nix write `pub`")]
    #![allow(missing_docs)]
    use super::IfReq;
    use nix::libc;

    nix::ioctl_write_ptr_bad!(tunsetiff, libc::TUNSETIFF, IfReq);
    nix::ioctl_read_bad!(tungetiff, libc::TUNGETIFF, IfReq);
    nix::ioctl_read_bad!(tungetfeatures, libc::TUNGETFEATURES, libc::c_uint);
    nix::ioctl_write_int_bad!(tunsetoffload, libc::TUNSETOFFLOAD);
    nix::ioctl_write_int_bad!(tunsetpersist, libc::TUNSETPERSIST);
    nix::ioctl_write_int_bad!(tunsetowner, libc::TUNSETOWNER);
    nix::ioctl_none_bad!(tungetdevnetns, libc::TUNGETDEVNETNS);
    nix::ioctl_write_ptr_bad!(tunsetvnethdrsz, libc::TUNSETVNETHDRSZ, libc::c_int);
}

/// Attaches `fd` to the interface that `request` names, making it if need be; returns its name.
pub(super) fn attach(fd: impl AsFd, mut request: IfReq) -> Result<String> {
    let pointer = &raw mut request;
    // SAFETY: `pointer` is to a live, writable IfReq of the kernel's own size, asserted above.
    unsafe { raw::tunsetiff(fd.as_fd().as_raw_fd(), pointer) }?;
    Ok(request.name())
}

/// What `fd` is attached to, with the flags as they really are.
pub(super) fn attached(fd: impl AsFd) -> Result<IfReq> {
    let mut request = IfReq::new("", 0);
    let pointer = &raw mut request;
    // SAFETY: `pointer` is to a live, writable IfReq of the kernel's own size, asserted above.
    unsafe { raw::tungetiff(fd.as_fd().as_raw_fd(), pointer) }?;
    Ok(request)
}

/// The network namespace of the interface that `fd` is attached to; EPERM without CAP_NET_ADMIN there.
pub(super) fn namespace(fd: impl AsFd) -> Result<OwnedFd> {
    // SAFETY: the request takes no argument.
    let raw = unsafe { raw::tungetdevnetns(fd.as_fd().as_raw_fd()) }?;
    // SAFETY: the kernel has just opened `raw` for us, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// The `IFF_` flags that this kernel knows.
pub(super) fn features(fd: impl AsFd) -> Result<u32> {
    let mut flags = 0;
    let pointer = &raw mut flags;
    // SAFETY: the kernel writes one c_uint, and `pointer` is to a live one.
    unsafe { raw::tungetfeatures(fd.as_fd().as_raw_fd(), pointer) }?;
    Ok(flags)
}

/// Says which offloads the kernel may leave to us: `TUN_F_` flags.
pub(super) fn set_offload(fd: impl AsFd, flags: u32) -> Result<()> {
    let flags = libc::c_int::try_from(flags).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the argument is a number, not a pointer.
    unsafe { raw::tunsetoffload(fd.as_fd().as_raw_fd(), flags) }?;
    Ok(())
}

/// Sets the bytes of the virtio-net header before each frame.
pub(super) fn set_virtio_header(fd: impl AsFd, bytes: usize) -> Result<()> {
    let bytes = libc::c_int::try_from(bytes).map_err(|_| Errno::EINVAL)?;
    let pointer = &raw const bytes;
    // SAFETY: the kernel reads one c_int, and `pointer` is to a live one.
    unsafe { raw::tunsetvnethdrsz(fd.as_fd().as_raw_fd(), pointer) }?;
    Ok(())
}

/// Says whether the interface outlives its descriptors.
pub(super) fn set_persistent(fd: impl AsFd, persistent: bool) -> Result<()> {
    // SAFETY: the argument is a number, not a pointer.
    unsafe { raw::tunsetpersist(fd.as_fd().as_raw_fd(), i32::from(persistent)) }?;
    Ok(())
}

/// Gives the interface to a user, who may then open it without rights.
pub(super) fn set_owner(fd: impl AsFd, user: u32) -> Result<()> {
    // The kernel takes the number's bits: a user id above 2^31 is passed as a negative number.
    let user = i32::from_ne_bytes(user.to_ne_bytes());
    // SAFETY: the argument is a number, not a pointer.
    unsafe { raw::tunsetowner(fd.as_fd().as_raw_fd(), user) }?;
    Ok(())
}

/// One read(2) into the spare room of `buffer`, which grows by what was read.
pub(super) fn read_into(fd: impl AsFd, buffer: &mut BytesMut) -> Result<usize> {
    let spare = buffer.spare_capacity_mut();
    let (pointer, room) = (spare.as_mut_ptr(), spare.len());
    // SAFETY: `pointer` is valid for writes of `room` bytes: it and the length are of one slice,
    // which nothing else touches meanwhile.
    let read = unsafe { libc::read(fd.as_fd().as_raw_fd(), pointer.cast(), room) };
    let read = usize::try_from(read).map_err(|_| Errno::last())?;
    // SAFETY: the kernel wrote the first `read` bytes of the spare room, and never more than `room`.
    unsafe { buffer.advance_mut(read) };
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// r65: the request has the kernel's size, 15 bytes of name and always a closing NUL.
    #[test]
    fn r65_the_request_is_whole() {
        assert_eq!(size_of::<IfReq>(), size_of::<libc::ifreq>());
        let request = IfReq::new("abcdefghijklmno", 0x1002);
        assert_eq!(
            (request.name().as_str(), request.flags()),
            ("abcdefghijklmno", 0x1002)
        );
        assert_eq!(IfReq::new("abcdefghijklmnop", 0).name().len(), 15);
        assert_eq!(IfReq::new("", 0).name(), "");
    }

    #[test]
    fn a_read_grows_the_buffer_by_what_came() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"hello").unwrap();
        let mut buffer = BytesMut::with_capacity(16);
        buffer.extend_from_slice(b"> ");
        assert_eq!(read_into(&reader, &mut buffer), Ok(5));
        assert_eq!(buffer[..], *b"> hello");
        drop(reader);
        let nothing = std::fs::File::open("/").unwrap();
        assert_eq!(read_into(nothing, &mut buffer), Err(Errno::EISDIR));
        assert_eq!(buffer.len(), 7);
    }

    #[test]
    fn a_descriptor_of_another_kind_is_an_error() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(attached(&file).is_err() && features(&file).is_err());
        assert!(attach(&file, IfReq::new("x", 0)).is_err());
        assert!(set_offload(&file, 0).is_err() && set_owner(&file, u32::MAX).is_err());
        assert!(set_persistent(&file, true).is_err() && set_virtio_header(&file, 10).is_err());
    }
}
