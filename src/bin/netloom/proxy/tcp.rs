//! TCP over the proxy: a SYN is answered when the outer connection is there, and as that one was.
//!
//! *Owns* a connection's way from the SYN to the end of both. *Does not* hold SYNs: the stack does, up to its backlog.

use std::sync::Arc;
use std::time::Duration;

use netloom::host::{ConnectRequest, Requests, TcpStream};
use netloom::tcp::Keepalive;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::sync::OwnedSemaphorePermit;

use super::carry::carry;
use super::socks5::{self, Command, Refused};
use super::{Outside, count};

/// How long both may say nothing before they are asked whether they are there.
const ALIVE: Duration = Duration::from_secs(600);

/// Until the host ends.
pub(super) async fn serve(requests: Requests, outside: Arc<Outside>) {
    loop {
        let Ok(request) = requests.next_async().await else {
            return;
        };
        // Who comes behind one that has no room is not heard yet.
        let Ok(permit) = Arc::clone(&outside.permits).acquire_owned().await else {
            return;
        };
        tokio::spawn(pass_on(request, Arc::clone(&outside), permit));
    }
}

/// An end that has gone without a word is found out: what a connection holds is not held for ever.
fn watch(inner: &TcpStream, outer: &tokio::net::TcpStream) {
    // A connection that has failed already says so when it is read.
    let _ = inner.set_keepalive(Some(Keepalive::after(ALIVE)));
    let seconds = u32::try_from(ALIVE.as_secs()).unwrap_or(u32::MAX);
    let _ = setsockopt(outer, sockopt::KeepAlive, &true);
    let _ = setsockopt(outer, sockopt::TcpKeepIdle, &seconds);
}

async fn pass_on(request: ConnectRequest, outside: Arc<Outside>, _permit: OwnedSemaphorePermit) {
    let counts = &outside.counts;
    let refused = match socks5::open(&outside, Command::Connect, request.local()).await {
        Ok((outer, _)) => {
            // Who asked may have given it up meanwhile.
            if let Ok(inner) = request.accept() {
                watch(&inner, &outer);
                count(&counts.connections);
                if carry(inner, outer).await.is_err() {
                    count(&counts.broken);
                }
            }
            return;
        }
        Err(refused) => refused,
    };
    outside.tell(&refused);
    count(match refused {
        Refused::Reply(_) => &counts.refused,
        Refused::Silent => &counts.silent,
        Refused::Gone(_) | Refused::Strange(_) => &counts.failed,
        Refused::Exhausted(_) => &counts.exhausted,
    });
    // One that is over needs no answer.
    let _ = request.refuse(refused.told());
}
