//! A user's command in words: for reports of differences and for traces.
//!
//! *Owns* how each [`Call`] reads. *Does not* know what it does.

use core::fmt;

use super::Call;

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::TcpConnect(to, from, _) => write!(f, "(to {to}, from {from:?})"),
            Self::TcpConnectOn(on, to, from, _) => write!(f, "({on:?}, to {to}, from {from:?})"),
            Self::TcpListen(at, _) | Self::UdpBind(at, _) => write!(f, "({at})"),
            Self::TcpAccept(id) | Self::TcpListenerClose(id) => write!(f, "({id:?})"),
            Self::TcpListenerRoom(id, room) => write!(f, "({id:?}, {room})"),
            Self::TcpWrite(id, data)
            | Self::TcpWriteChunk(id, data)
            | Self::TcpWriteUrgent(id, data) => {
                write!(f, "({id:?}, {} bytes)", data.len())
            }
            Self::TcpRead(id, len) | Self::TcpReadChunk(id, len) | Self::TcpPeek(id, len) => {
                write!(f, "({id:?}, {len})")
            }
            Self::TcpShutdown(id, how) => write!(f, "({id:?}, {how:?})"),
            Self::TcpSetOptions(id, _)
            | Self::TcpUrgent(id)
            | Self::TcpClose(id)
            | Self::TcpAbort(id) => {
                write!(f, "({id:?})")
            }
            Self::TcpAbortAll
            | Self::PingOpen(_)
            | Self::RawOpen(_)
            | Self::PacketOpen(_)
            | Self::PollChange => f.write_str("()"),
            Self::UdpConnect(id, to) => write!(f, "({id:?}, {to})"),
            Self::UdpSendTo(id, to, data)
            | Self::UdpSendChunk(id, to, data)
            | Self::UdpSendSegmented(id, to, data, _)
            | Self::UdpSendWith(id, to, data, ..) => {
                write!(f, "({id:?}, {to:?}, {} bytes)", data.len())
            }
            Self::UdpRecv(id) | Self::UdpClose(id) | Self::UdpSetMulticast(id, _) => {
                write!(f, "({id:?})")
            }
            Self::UdpSetBroadcast(id, may) => write!(f, "({id:?}, {may})"),
            Self::UdpSetFlowLabel(id, label) => write!(f, "({id:?}, {label:?})"),
            Self::UdpJoin(id, group, _, source) | Self::UdpLeave(id, group, _, source) => {
                write!(f, "({id:?}, {group}, from {source:?})")
            }
            Self::UdpBlock(id, group, _, source) | Self::UdpUnblock(id, group, _, source) => {
                write!(f, "({id:?}, {group}, from {source})")
            }
            Self::UdpSetFilter(id, group, _, mode, sources) => {
                write!(f, "({id:?}, {group}, {mode:?} of {})", sources.len())
            }
            Self::PingSend(id, to, _, seq, payload)
            | Self::PingSendWith(id, to, seq, payload, _) => {
                write!(f, "({id:?}, {to}, {seq}, {} bytes)", payload.len())
            }
            Self::PingRecv(id) | Self::PingClose(id) => write!(f, "({id:?})"),
            Self::RawSend(id, to, data, _) => write!(f, "({id:?}, {to:?}, {} bytes)", data.len()),
            Self::RawRecv(id) | Self::RawClose(id) => write!(f, "({id:?})"),
            Self::ChargeOutside(bytes) => write!(f, "({bytes})"),
            of_link => of_link.fmt_of_link(f),
        }
    }
}

impl Call {
    /// What stands behind the names of those that send frames or change an interface.
    fn fmt_of_link(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(call) => write!(f, "({call:?})"),
            Self::PacketSend(id, to, of, data) => {
                write!(f, "({id:?}, {to}, {of:#06x}, {} bytes)", data.len())
            }
            Self::PacketRecv(id) | Self::PacketClose(id) => write!(f, "({id:?})"),
            Self::AddAddress(on, address, _) => write!(f, "({on:?}, {address})"),
            Self::SetLifetimes(on, address, preferred, valid) => {
                write!(f, "({on:?}, {address}, {preferred:?}, {valid:?})")
            }
            Self::RemoveAddress(on, address)
            | Self::AddGateway(on, address)
            | Self::RemoveGateway(on, address) => write!(f, "({on:?}, {address})"),
            Self::AddRoute(on, to, via) | Self::RemoveRoute(on, to, via) => {
                write!(f, "({on:?}, {to}, via {via:?})")
            }
            Self::SetLink(on, up) => write!(f, "({on:?}, {up})"),
            Self::SetMtu(on, mtu) => write!(f, "({on:?}, {mtu})"),
            Self::PollReady(id, interest) => write!(f, "({id:?}, {interest:?})"),
            Self::DhcpRelease(on) | Self::RemoveInterface(on) => write!(f, "({on:?})"),
            Self::DhcpStart(on, previous) => write!(f, "({on:?}, {previous:?})"),
            _ => Ok(()),
        }
    }
}
