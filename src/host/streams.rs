//! Connections and datagrams as streams (features `tokio`, `futures-io`): [`Connections`].
//!
//! *Owns* when a stream ends. *Does not* wait: the handles' `poll_*` do.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::listener::TcpListener;
use super::tcp::TcpStream;

/// The connections of a [`TcpListener`], as they come; it ends behind an error, when the host does or the listener's address was taken away.
#[derive(Debug)]
pub struct Connections {
    listener: TcpListener,
    over: bool,
}

impl TcpListener {
    /// Its connections as a stream.
    pub const fn into_stream(self) -> Connections {
        Connections {
            listener: self,
            over: false,
        }
    }
}

impl Stream for Connections {
    type Item = io::Result<TcpStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let polled = self.listener.poll_accept(cx);
        polled.map(|accepted| {
            self.over = accepted.is_err();
            Some(accepted.map(|(stream, _)| stream))
        })
    }
}

impl FusedStream for Connections {
    fn is_terminated(&self) -> bool {
        self.over
    }
}
