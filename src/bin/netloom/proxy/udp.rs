//! UDP over the proxy: an association for each flow, which ends with it.
//!
//! *Owns* a flow's way. *Does not* say when it is over: the flow does, when nobody spoke.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use netloom::bytes::Bytes;
use netloom::host::{UdpFlow, UdpFlows};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UdpSocket};

use super::socks5::{self, Command};
use super::{Outside, count};

/// How long the proxy is not asked again for a flow that it did not take.
const AGAIN: Duration = Duration::from_secs(10);
/// The largest datagram, with its header.
const LARGEST: usize = 65_535 + 22;

thread_local! {
    /// What is read into: flows keep no buffers.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; LARGEST].into());
}

/// Until the host ends.
pub(super) async fn serve(flows: UdpFlows, outside: Arc<Outside>) {
    while let Ok(flow) = flows.accept_async().await {
        let outside = Arc::clone(&outside);
        tokio::spawn(async move {
            count(&outside.counts.flows);
            match open(&outside).await {
                Ok((control, relay)) => {
                    // The host has ended, or the proxy is gone; who speaks again begins again.
                    let _ = carry(&flow, &relay, control).await;
                }
                Err(_) => {
                    count(&outside.counts.flows_refused);
                    // What its peer goes on to send asks the proxy no more for a while: it finds this flow, and no reader.
                    tokio::time::sleep(AGAIN).await;
                    drop(flow);
                }
            }
        });
    }
}

/// An association: the connection that it lives with, and a socket that sends to the relay.
async fn open(outside: &Outside) -> io::Result<(TcpStream, UdpSocket)> {
    // RFC 1928 §4: zeros, where we do not know yet what we send from.
    let any = unspecified(outside.socks5);
    let opened = socks5::open(outside, Command::UdpAssociate, SocketAddr::new(any, 0)).await;
    let (control, mut relay) = opened.map_err(|why| {
        outside.tell(&why);
        io::Error::other(why.to_string())
    })?;
    if relay.ip().is_unspecified() {
        relay.set_ip(outside.socks5.ip());
    }
    let socket = UdpSocket::bind(SocketAddr::new(unspecified(relay), 0)).await?;
    socket.connect(relay).await?;
    Ok((control, socket))
}

const fn unspecified(like: SocketAddr) -> IpAddr {
    match like {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// Passes one datagram of the relay's back; one that is lost is lost as in any network.
fn answer(flow: &UdpFlow, socket: &UdpSocket, buf: &mut [u8]) {
    // Nothing, or what the kernel says of an earlier one.
    let Ok(len) = socket.try_recv(buf) else {
        return;
    };
    if let Some((from, at)) = socks5::read_datagram(&buf[..len])
        && from == flow.local()
    {
        let _ = flow.try_send(&Bytes::copy_from_slice(&buf[at..len]));
    }
}

/// Carries both ways until the flow has ended, or the proxy ends the association (RFC 1928 §7: with its connection).
async fn carry(flow: &UdpFlow, socket: &UdpSocket, mut control: TcpStream) -> io::Result<()> {
    let header = socks5::datagram_header(flow.local());
    let mut nothing = [0; 16];
    loop {
        tokio::select! {
            came = flow.recv_async() => {
                let Some(datagram) = came? else { return Ok(()) };
                let mut out = header.clone();
                for slice in datagram.data.iter() {
                    out.extend_from_slice(slice);
                }
                // One that is lost here is lost as in any network.
                let _ = socket.send(&out).await;
            }
            readable = socket.readable() => {
                readable?;
                BUFFER.with_borrow_mut(|buf| answer(flow, socket, buf));
            }
            read = control.read(&mut nothing) => {
                if read? == 0 {
                    return Ok(());
                }
            }
        }
    }
}
