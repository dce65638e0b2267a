//! A client of Redis on this library's streams, by tasks, at a real redis-server.

use std::process::{Command, Stdio};

use netloom::bytes::{Bytes, BytesMut};
use netloom::host::{ConnectOptions, Host, TcpStream};
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::encode::extend_encode;
use redis_protocol::resp2::types::BytesFrame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;

use crate::link::{PATIENCE, eventually};
use crate::namespace::Case;
use crate::programs::{Peer, listening, path_of};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::with_reason("redis::a_client_is_served", || {
        let there = path_of("redis-server").is_some();
        if there {
            a_client_is_served();
        }
        (!there).then(|| "there is no redis-server (redis-server)".to_owned())
    })]
}

/// A connection, and what has come of the next answer.
struct Client {
    stream: TcpStream,
    come: BytesMut,
}

impl Client {
    async fn send(&mut self, commands: &[Vec<Bytes>]) {
        let mut out = BytesMut::new();
        for words in commands {
            let words = words.iter().cloned().map(BytesFrame::BulkString);
            extend_encode(&mut out, &BytesFrame::Array(words.collect()), false).unwrap();
        }
        self.stream.write_all(&out).await.unwrap();
    }

    async fn answer(&mut self) -> BytesFrame {
        loop {
            if let Some((frame, _, _)) = decode_bytes_mut(&mut self.come).unwrap() {
                return frame;
            }
            let read = self.stream.read_buf(&mut self.come).await.unwrap();
            assert!(read > 0, "the server has closed");
        }
    }

    async fn ask(&mut self, words: &[&'static str]) -> BytesFrame {
        let words = words.iter().map(|word| Bytes::from_static(word.as_bytes()));
        self.send(&[words.collect()]).await;
        self.answer().await
    }
}

fn a_client_is_served() {
    let tap = netloom::device::Tap::builder()
        .name("nl0")
        .kernel_address("10.7.0.1/24".parse().unwrap())
        .open()
        .unwrap();
    let host = Host::builder(tap).address("10.7.0.2/24".parse().unwrap());
    let (host, driver) = host.build().unwrap();
    let mut server = Command::new("redis-server");
    server.args([
        "--bind",
        "10.7.0.1",
        "--port",
        "6379",
        "--save",
        "",
        "--protected-mode",
        "no",
    ]);
    server.stdin(Stdio::null()).stdout(Stdio::null());
    let _server = Peer::of(server.stderr(Stdio::null()).spawn().unwrap());
    eventually("redis-server listens", PATIENCE, || listening(false, 6379));

    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::spawn(driver.drive());
        let to = "10.7.0.1:6379".parse().unwrap();
        let stream = host
            .connect_async(to, &ConnectOptions::new())
            .await
            .unwrap();
        let come = BytesMut::new();
        let mut client = Client { stream, come };
        let all = async {
            assert_eq!(
                client.ask(&["PING"]).await,
                BytesFrame::SimpleString("PONG".into())
            );
            // Bytes of any value, more than windows hold, there and back.
            let large: Bytes = (0..3_000_000_u32)
                .map(|at| at.to_le_bytes()[at as usize % 4])
                .collect();
            client
                .send(&[vec!["SET".into(), "large".into(), large.clone()]])
                .await;
            assert_eq!(client.answer().await, BytesFrame::SimpleString("OK".into()));
            assert_eq!(
                client.ask(&["GET", "large"]).await,
                BytesFrame::BulkString(large)
            );
            // Ten thousand commands before the first answer is read.
            let count = || vec!["INCR".into(), "count".into()];
            client
                .send(&(0..10_000).map(|_| count()).collect::<Vec<_>>())
                .await;
            for n in 1..=10_000 {
                assert_eq!(client.answer().await, BytesFrame::Integer(n));
            }
        };
        tokio::time::timeout(PATIENCE * 3, all).await.unwrap();
    });
}
