//! TCP over the proxy: a SYN is answered when the outer connection is there, and as that one was.
//!
//! *Owns* a connection's way from the SYN to the end of both. *Does not* hold SYNs: the stack does, up to its backlog.

use std::sync::Arc;

use netloom::host::{ConnectRequest, Requests};
use tokio::sync::OwnedSemaphorePermit;

use super::carry::carry;
use super::socks5::{self, Command, Refused};
use super::{Outside, count};

/// Until the host ends.
pub(super) async fn serve(requests: Requests, outside: Arc<Outside>) {
    loop {
        // Who has no room is not heard yet.
        let Ok(permit) = Arc::clone(&outside.permits).acquire_owned().await else {
            return;
        };
        let Ok(request) = requests.next_async().await else {
            return;
        };
        tokio::spawn(pass_on(request, Arc::clone(&outside), permit));
    }
}

async fn pass_on(request: ConnectRequest, outside: Arc<Outside>, _permit: OwnedSemaphorePermit) {
    let counts = &outside.counts;
    let refused = match socks5::open(&outside, Command::Connect, request.local()).await {
        Ok((outer, _)) => {
            // Who asked may have given it up meanwhile.
            if let Ok(inner) = request.accept() {
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
    });
    // One that is over needs no answer.
    let _ = request.refuse(refused.told());
}
