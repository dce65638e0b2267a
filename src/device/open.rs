//! Why a TUN or TAP device could not be opened, and what helps.

use std::io;
use std::path::PathBuf;

use crate::base::Cidr;

/// Why a TUN or TAP device could not be opened or set up. The message names the cause and the cure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no device node, or no driver behind it.
    #[error(
        "there is no {}: load the driver with `modprobe tun`, in a container pass `--device {}`",
        .path.display(), .path.display()
    )]
    NoDriver {
        /// The device node.
        path: PathBuf,
    },
    /// The device node may not be opened.
    #[error(
        "{} may not be opened by this user: run with sudo, or open it to all users, as most systems do, with `sudo chmod 0666 {}`",
        .path.display(), .path.display()
    )]
    NodeDenied {
        /// The device node.
        path: PathBuf,
    },
    /// The device node could not be opened for any other reason.
    #[error("{} cannot be opened: {source}", .path.display())]
    Node {
        /// The device node.
        path: PathBuf,
        /// What open(2) said.
        source: io::Error,
    },
    /// CAP_NET_ADMIN is missing.
    #[error(
        "to {what} needs the right CAP_NET_ADMIN: `sudo setcap cap_net_admin+ep {}`, or run in a network namespace of your own (`unshare -rn`)",
        program()
    )]
    NotPermitted {
        /// What was to be done, as in "make the interface nl0".
        what: String,
    },
    /// An interface name has at most 15 bytes.
    #[error("the interface name `{name}` has {} bytes, at most 15 are allowed", .name.len())]
    NameTooLong {
        /// The name asked for.
        name: String,
    },
    /// A NUL, a slash, a colon or white space in the name, or a name of dots.
    #[error("`{}` is no interface name: no NUL, `/`, `:` or white space, and not `.` or `..`", .name.escape_debug())]
    NameInvalid {
        /// The name asked for.
        name: String,
    },
    /// Another program holds the interface.
    #[error(
        "the interface {name} is busy: another program holds it; end that one or choose another name"
    )]
    Busy {
        /// The name asked for.
        name: String,
    },
    /// The name belongs to an interface of another kind.
    #[error(
        "there is an interface {name} already that cannot be opened as {wanted}: it is of another kind or has another number of queues; choose another name{}",
        deletion(.name, *.tun_tap)
    )]
    WrongKind {
        /// The interface.
        name: String,
        /// What was wanted: "a TAP" or "a TUN".
        wanted: &'static str,
        /// The interface is a TUN or TAP, so deleting it takes no card or bridge away.
        tun_tap: bool,
    },
    /// The kernel refuses the MTU.
    #[error(
        "an MTU of {mtu} bytes is refused by the kernel: {source}; 68 to 65535 are allowed on a TUN, up to 65521 on a TAP"
    )]
    Mtu {
        /// The MTU asked for, in bytes.
        mtu: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refuses an address.
    #[error("the address {address} is refused by the kernel: {source}")]
    Address {
        /// The address asked for.
        address: Cidr,
        /// What the kernel said; EACCES for an IPv6 address where IPv6 is switched off.
        source: io::Error,
    },
    /// A descriptor that was passed in is not attached to a TUN or TAP device.
    #[error("the descriptor is not attached to a TUN or TAP device: {source}")]
    NotAttached {
        /// What TUNGETIFF said.
        source: io::Error,
    },
    /// A descriptor that was passed in puts four bytes before each packet.
    #[error("the descriptor of {name} was opened without IFF_NO_PI: open it with that flag")]
    PacketInformation {
        /// The interface.
        name: String,
    },
    /// A descriptor was passed in whose interface is not in this network namespace.
    #[error(
        "the interface {name} is not in this network namespace, so its MTU is not known: state it with `mtu`"
    )]
    Elsewhere {
        /// The interface.
        name: String,
    },
    /// Another step failed.
    #[error("cannot {what}: {source}")]
    Setup {
        /// The step.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> Self {
        use io::ErrorKind;
        let kind = match &error {
            OpenError::NoDriver { .. } => ErrorKind::NotFound,
            OpenError::NodeDenied { .. } | OpenError::NotPermitted { .. } => {
                ErrorKind::PermissionDenied
            }
            OpenError::Busy { .. } => ErrorKind::ResourceBusy,
            OpenError::WrongKind { .. } => ErrorKind::AlreadyExists,
            OpenError::NameTooLong { .. }
            | OpenError::NameInvalid { .. }
            | OpenError::PacketInformation { .. }
            | OpenError::Elsewhere { .. } => ErrorKind::InvalidInput,
            OpenError::Node { source, .. }
            | OpenError::Mtu { source, .. }
            | OpenError::Address { source, .. }
            | OpenError::NotAttached { source }
            | OpenError::Setup { source, .. } => source.kind(),
        };
        Self::new(kind, error)
    }
}

/// The program to name in the `setcap` line.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| "PROGRAM".to_owned(), |path| path.display().to_string())
}

/// The cure that would be none for an interface that is not a TUN or TAP.
fn deletion(name: &str, tun_tap: bool) -> String {
    if tun_tap {
        format!(" or `ip link del {name}`")
    } else {
        String::new()
    }
}

/// Checks a name as the kernel's `dev_valid_name` does, and its length.
pub(super) fn check_name(name: &str) -> Result<(), OpenError> {
    let name = name.to_owned();
    if name.len() >= super::sys::NAME_SIZE {
        return Err(OpenError::NameTooLong { name });
    }
    let bad = |c: char| c == '\0' || c == '/' || c == ':' || c.is_whitespace();
    if name.is_empty() || name == "." || name == ".." || name.contains(bad) {
        return Err(OpenError::NameInvalid { name });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// r65: names of 15 bytes work and 16 are refused.
    #[test]
    fn r65_names_are_checked_before_the_kernel_cuts_them() {
        for good in ["a", "nl%d", "abcdefghijklmno", "..."] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        assert!(matches!(
            check_name("abcdefghijklmnop"),
            Err(OpenError::NameTooLong { .. })
        ));
        for bad in ["", ".", "..", "a b", "a\0b", "a/b", "a:0", "a\t"] {
            assert!(
                matches!(check_name(bad), Err(OpenError::NameInvalid { .. })),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn messages_name_the_cure() {
        let what = "make the interface nl0".to_owned();
        let denied = OpenError::NotPermitted { what };
        let text = denied.to_string();
        assert!(text.contains("setcap cap_net_admin+ep /"), "{text}");
        let kind = io::Error::from(denied).kind();
        assert_eq!(kind, io::ErrorKind::PermissionDenied);
        let path = PathBuf::from("/dev/net/tun");
        let text = OpenError::NoDriver { path }.to_string();
        assert!(text.contains("modprobe tun"), "{text}");
        for (name, tun_tap) in [("nl0", true), ("eth0", false)] {
            let (name, wanted) = (name.to_owned(), "a TAP");
            let text = OpenError::WrongKind {
                name,
                wanted,
                tun_tap,
            }
            .to_string();
            assert_eq!(text.contains("ip link del"), tun_tap, "{text}");
        }
    }
}
