//! SOCKS5, a client's half: RFC 1928, and RFC 1929 for names and passwords.
//!
//! *Owns* what is written and what answers say, over anything that carries bytes. *Does not* decide what becomes of a refusal.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use netloom::stack::Refusal;
use nix::errno::Errno;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Outside;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const V4: u8 = 1;
const NAME: u8 = 3;
const V6: u8 = 4;

/// What is asked of a proxy (RFC 1928 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Connect,
    UdpAssociate,
}

/// Why there is no way over the proxy.
#[derive(Debug)]
pub(super) enum Refused {
    /// What it answered (RFC 1928 §6).
    Reply(u8),
    /// It said nothing for too long.
    Silent,
    /// It cannot be reached, or ended the conversation.
    Gone(io::Error),
    /// There is no descriptor or port to ask it with.
    Exhausted(io::Error),
    /// What it says is no SOCKS5, or no way to be let in.
    Strange(&'static str),
}

impl Refused {
    /// What who asked is told: the same, as far as TCP and ICMP have words for it.
    pub(super) const fn told(&self) -> Refusal {
        match self {
            Self::Reply(5) => Refusal::Reset,
            Self::Reply(2) => Refusal::Prohibited,
            Self::Reply(3) | Self::Gone(_) | Self::Strange(_) => Refusal::Net,
            // Who asks again may find it otherwise.
            Self::Silent | Self::Exhausted(_) => Refusal::Silence,
            Self::Reply(_) => Refusal::Host,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(code) => write!(f, "the proxy says no (reply {code})"),
            Self::Silent => f.write_str("the proxy says nothing"),
            Self::Gone(error) | Self::Exhausted(error) => write!(f, "{error}"),
            Self::Strange(what) => f.write_str(what),
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EMFILE | Errno::ENFILE | Errno::EADDRNOTAVAIL) => Self::Exhausted(error),
            _ => Self::Gone(error),
        }
    }
}

/// Connects to the proxy and asks it for this; gives the connection, and the address that it answers with.
pub(super) async fn open(
    outside: &Outside,
    command: Command,
    to: SocketAddr,
) -> Result<(TcpStream, SocketAddr), Refused> {
    let asking = async {
        let mut stream = TcpStream::connect(outside.socks5).await?;
        stream.set_nodelay(true)?;
        let at = ask(&mut stream, outside.credentials.as_ref(), command, to).await?;
        Ok((stream, at))
    };
    within(outside.timeout, asking).await
}

async fn within<T>(
    time: Duration,
    asking: impl Future<Output = Result<T, Refused>>,
) -> Result<T, Refused> {
    timeout(time, asking).await.unwrap_or(Err(Refused::Silent))
}

/// The whole conversation, behind which the stream is the other end's; the address that the proxy answers with.
async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    who: Option<&(String, String)>,
    command: Command,
    to: SocketAddr,
) -> Result<SocketAddr, Refused> {
    enter(stream, who).await?;
    stream.write_all(&request(command, to)).await?;
    reply(stream).await
}

/// Agrees on how we are let in (RFC 1928 §3, RFC 1929 §2).
async fn enter(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    who: Option<&(String, String)>,
) -> Result<(), Refused> {
    let greeting: &[u8] = match who {
        None => &[VERSION, 1, NO_AUTHENTICATION],
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, PASSWORD],
    };
    stream.write_all(greeting).await?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await?;
    match (answer, who) {
        ([VERSION, NO_AUTHENTICATION], _) => Ok(()),
        ([VERSION, PASSWORD], Some((user, password))) => {
            stream.write_all(&credentials(user, password)).await?;
            stream.read_exact(&mut answer).await?;
            match answer {
                [_, 0] => Ok(()),
                _ => Err(Refused::Strange("the proxy does not take this password")),
            }
        }
        ([VERSION, _], _) => Err(Refused::Strange("the proxy wants to know who we are")),
        _ => Err(Refused::Strange("the proxy does not speak SOCKS5")),
    }
}

fn credentials(user: &str, password: &str) -> Vec<u8> {
    let mut text = vec![1];
    for part in [user, password] {
        text.push(part.len() as u8);
        text.extend_from_slice(part.as_bytes());
    }
    text
}

fn request(command: Command, to: SocketAddr) -> Vec<u8> {
    let number = match command {
        Command::Connect => 1,
        Command::UdpAssociate => 3,
    };
    let mut text = vec![VERSION, number, 0];
    put_address(&mut text, to);
    text
}

fn put_address(text: &mut Vec<u8>, to: SocketAddr) {
    match to.ip() {
        IpAddr::V4(ip) => {
            text.push(V4);
            text.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            text.push(V6);
            text.extend_from_slice(&ip.octets());
        }
    }
    text.extend_from_slice(&to.port().to_be_bytes());
}

/// The answer to a request; where it says a name, its address is the unspecified one.
async fn reply(stream: &mut (impl AsyncRead + Unpin)) -> Result<SocketAddr, Refused> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [VERSION, code, _, kind] = head else {
        return Err(Refused::Strange("the proxy does not speak SOCKS5"));
    };
    if code != 0 {
        return Err(Refused::Reply(code));
    }
    let mut address = [0; 16];
    let ip: IpAddr = match kind {
        V4 => {
            stream.read_exact(&mut address[..4]).await?;
            let [a, b, c, d, ..] = address;
            Ipv4Addr::new(a, b, c, d).into()
        }
        V6 => {
            stream.read_exact(&mut address).await?;
            Ipv6Addr::from(address).into()
        }
        NAME => {
            let mut name = vec![0; stream.read_u8().await?.into()];
            stream.read_exact(&mut name).await?;
            Ipv4Addr::UNSPECIFIED.into()
        }
        _ => return Err(Refused::Strange("the proxy answers with no address")),
    };
    Ok(SocketAddr::new(ip, stream.read_u16().await?))
}

/// The header of a datagram for `to`, of 10 or 22 bytes (RFC 1928 §7).
pub(super) fn datagram_header(to: SocketAddr) -> Vec<u8> {
    let mut text = vec![0, 0, 0];
    put_address(&mut text, to);
    text
}

/// Who sent what is in a datagram, and where its data begins; `None` where it came in fragments, which nobody has to take, or is none.
pub(super) fn read_datagram(text: &[u8]) -> Option<(SocketAddr, usize)> {
    let (&[_, _, fragment, kind], rest) = text.split_first_chunk()?;
    if fragment != 0 {
        return None;
    }
    let (ip, rest): (IpAddr, &[u8]) = match kind {
        V4 => {
            let (octets, rest) = rest.split_first_chunk::<4>()?;
            (Ipv4Addr::from(*octets).into(), rest)
        }
        V6 => {
            let (octets, rest) = rest.split_first_chunk::<16>()?;
            (Ipv6Addr::from(*octets).into(), rest)
        }
        _ => return None,
    };
    let (port, data) = rest.split_first_chunk::<2>()?;
    let from = SocketAddr::new(ip, u16::from_be_bytes(*port));
    Some((from, text.len() - data.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks a proxy that says this, whatever it hears, and then no more: what it heard, and what became of it.
    fn asked(says: &[u8], who: Option<(&str, &str)>) -> (Vec<u8>, Result<SocketAddr, Refused>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let (mut ours, mut theirs) = tokio::io::duplex(1024);
            theirs.write_all(says).await.unwrap();
            theirs.shutdown().await.unwrap();
            let who = who.map(|(user, word)| (user.to_owned(), word.to_owned()));
            let to = "192.0.2.7:443".parse().unwrap();
            let became = ask(&mut ours, who.as_ref(), Command::Connect, to).await;
            drop(ours);
            let mut heard = Vec::new();
            theirs.read_to_end(&mut heard).await.unwrap();
            (heard, became)
        })
    }

    const LET_IN: [u8; 2] = [5, 0];
    const REQUEST: [u8; 10] = [5, 1, 0, 1, 192, 0, 2, 7, 1, 187];

    #[test]
    fn each_kind_of_answer_is_understood() {
        for (answer, expected) in [
            (&[5, 0, 0, 1, 10, 0, 0, 9, 0, 80][..], "10.0.0.9:80"),
            (b"\x05\0\0\x03\x05there\0\x50", "0.0.0.0:80"),
            (b"\x05\0\0\x03\0\0\x50", "0.0.0.0:80"),
            (
                b"\x05\0\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09\0\x50",
                "[2001:db8::9]:80",
            ),
        ] {
            let says = [&LET_IN, answer].concat();
            let (heard, became) = asked(&says, None);
            assert_eq!(became.unwrap(), expected.parse().unwrap());
            assert_eq!(heard, [&[5, 1, 0][..], &REQUEST].concat());
            // One that ends too early, wherever that is.
            for len in 0..says.len() {
                let (_, became) = asked(&says[..len], None);
                let gone = matches!(&became, Err(Refused::Gone(error)) if error.kind() == io::ErrorKind::UnexpectedEof);
                assert!(gone, "{len}: {became:?}");
            }
        }
    }

    #[test]
    fn a_proxy_that_asks_for_a_password_is_given_it() {
        let who = Some(("me", "word"));
        let yes = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let (heard, became) = asked(&[&[5, 2, 1, 0][..], &yes].concat(), who);
        assert!(became.is_ok(), "{became:?}");
        let expected = [&[5, 2, 0, 2][..], b"\x01\x02me\x04word", &REQUEST].concat();
        assert_eq!(heard, expected);
        // It need not ask.
        let (heard, became) = asked(&[&LET_IN[..], &yes].concat(), who);
        assert!(became.is_ok(), "{became:?}");
        assert_eq!(heard, [&[5, 2, 0, 2][..], &REQUEST].concat());
        // RFC 1929 §2: anything but 0 is no, and no request follows.
        let (heard, became) = asked(&[&[5, 2, 1, 1][..], &yes].concat(), who);
        assert!(matches!(became, Err(Refused::Strange(_))), "{became:?}");
        assert_eq!(heard, b"\x05\x02\0\x02\x01\x02me\x04word");
    }

    #[test]
    fn what_is_no_socks5_is_told_as_that() {
        for says in [
            &[4, 0][..],
            b"HTTP/1.1 400 Bad Request\r\n",
            // No method that we offer.
            &[5, 255],
            &[5, 1],
            // One that was not offered.
            &[5, 2, 1, 0],
            &[5, 0, 4, 0, 0, 1, 0, 0, 0, 0, 0, 0],
            &[5, 0, 5, 0, 0, 9, 0, 0, 0, 0, 0, 0],
        ] {
            let (_, became) = asked(says, None);
            assert!(
                matches!(became, Err(Refused::Strange(_))),
                "{says:?}: {became:?}"
            );
        }
        for code in 1..=255 {
            // Behind a no there need be nothing.
            let (_, became) = asked(&[5, 0, 5, code, 0, 1], None);
            assert!(matches!(became, Err(Refused::Reply(said)) if said == code));
        }
    }

    proptest::proptest! {
        /// Whatever it says: an answer or a refusal.
        #[test]
        fn any_bytes_are_an_answer_or_a_refusal(
            mut says in proptest::collection::vec(0..8_u8, 0..40),
            sane in proptest::bool::ANY,
        ) {
            let _ = read_datagram(&says);
            if let (true, Some(first)) = (sane, says.first_mut()) {
                *first = VERSION;
            }
            drop(asked(&says, Some(("me", "word"))));
        }
    }

    #[test]
    fn requests_are_those_of_the_rfc() {
        let to = "192.0.2.7:443".parse().unwrap();
        let expected = [5, 1, 0, 1, 192, 0, 2, 7, 1, 187];
        assert_eq!(request(Command::Connect, to), expected);
        let to = "[2001:db8::7]:53".parse().unwrap();
        let text = request(Command::UdpAssociate, to);
        assert_eq!((&text[..4], text.len()), (&[5, 3, 0, 4][..], 22));
        assert_eq!(text[20..], [0, 53]);
        assert_eq!(credentials("me", "word"), *b"\x01\x02me\x04word");
    }

    #[test]
    fn a_datagram_is_read_as_it_was_written_and_what_is_none_is_refused() {
        for to in ["192.0.2.7:53", "[2001:db8::7]:53"] {
            let to = to.parse().unwrap();
            let mut text = datagram_header(to);
            let at = text.len();
            text.extend_from_slice(b"data");
            assert_eq!(read_datagram(&text), Some((to, at)));
            for len in 0..at {
                assert_eq!(read_datagram(&text[..len]), None, "{len}");
            }
            text[2] = 1;
            assert_eq!(read_datagram(&text), None, "a fragment");
            text[2..4].copy_from_slice(&[0, NAME]);
            assert_eq!(read_datagram(&text), None, "a name");
        }
    }

    #[test]
    fn what_the_proxy_says_is_what_who_asked_hears() {
        let told = [1, 2, 3, 4, 5, 6, 7, 8, 200].map(|code| Refused::Reply(code).told());
        use Refusal::{Host, Net, Prohibited, Reset};
        assert_eq!(
            told,
            [Host, Prohibited, Net, Host, Reset, Host, Host, Host, Host]
        );
        assert_eq!(Refused::Silent.told(), Refusal::Silence);
        let of = |errno: Errno| Refused::from(io::Error::from(errno)).told();
        assert_eq!(of(Errno::EMFILE), Refusal::Silence);
        assert_eq!(of(Errno::ECONNREFUSED), Net);
    }
}
