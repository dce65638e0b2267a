//! What the two ends of a flow are set to: the sender's congestion control, buffers, delayed ACKs.
//!
//! *Owns* these settings in words and as options: the two cannot differ. *Does not* say what lies between.

use core::fmt;

use crate::tcp::TcpOptions;
use crate::tcp::congestion::Choice;

/// A congestion control that scenarios are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Reno,
    Cubic,
    Bbr,
    Bbr3,
}

impl Control {
    pub(super) const fn choice(self) -> Choice {
        match self {
            Self::Reno => Choice::Reno,
            Self::Cubic => Choice::Cubic,
            Self::Bbr => Choice::Bbr,
            Self::Bbr3 => Choice::Bbr3,
        }
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reno => "Reno",
            Self::Cubic => "CUBIC",
            Self::Bbr => "BBRv1",
            Self::Bbr3 => "BBRv3",
        })
    }
}

/// What the two ends of a flow are set to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// The sender's.
    control: Control,
    /// Buffers that never limit; those of the defaults otherwise.
    roomy: bool,
    /// Does the receiver wait for a second segment before it acknowledges?
    delayed_ack: bool,
}

/// A buffer above four times any product of rate and round trip here.
pub(super) const ROOMY: usize = 64 << 20;

impl Ends {
    /// All else is the library's default.
    pub(super) const fn of(control: Control) -> Self {
        Self {
            control,
            roomy: false,
            delayed_ack: true,
        }
    }

    /// Neither buffer ever limits.
    pub(super) const fn roomy(self) -> Self {
        Self {
            roomy: true,
            ..self
        }
    }

    /// The receiver acknowledges each segment.
    pub(super) const fn ack_each(self) -> Self {
        Self {
            delayed_ack: false,
            ..self
        }
    }

    /// The sender's settings, and the receiver's.
    pub(super) fn options(self) -> (TcpOptions, TcpOptions) {
        let sender = TcpOptions::default().congestion(self.control.choice());
        let mut ends = (sender, TcpOptions::default());
        if self.roomy {
            ends.0 = ends.0.send_buffer(ROOMY);
            ends.1 = ends.1.recv_buffer_max(ROOMY).recv_buffer_initial(ROOMY / 4);
        }
        ends.1 = ends.1.delayed_ack(self.delayed_ack);
        ends
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one {} flow", self.control)?;
        if self.roomy {
            write!(f, ", buffers of {} MiB", ROOMY >> 20)?;
        }
        if !self.delayed_ack {
            f.write_str(", an ACK for each segment")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_say_what_they_are_set_to() {
        let ends = Ends::of(Control::Bbr3).roomy().ack_each();
        assert_eq!(
            ends.to_string(),
            "one BBRv3 flow, buffers of 64 MiB, an ACK for each segment"
        );
        let (sender, _) = ends.options();
        assert_eq!(*sender.congestion_setting(), Choice::Bbr3);
        assert_eq!(Ends::of(Control::Cubic).to_string(), "one CUBIC flow");
    }
}
