//! Which packets are wanted: expressions such as `host 10.7.0.1 and not port 22`.
//!
//! ```text
//! any     = all { "or" all }
//! all     = one { "and" one }
//! one     = "not" one | "(" any ")" | test
//! test    = "arp" | "ip" | "ip6" | "tcp" | "udp" | "icmp" | "icmp6"
//!         | [ "src" | "dst" ] ( "host" ADDRESS | "net" ADDRESS/LENGTH | "port" NUMBER )
//! ```
//! `!`, `&&` and `||` stand for the words. *Owns* the grammar. *Does not* parse packets: a test asks a
//! [`Flow`]. Invariant: a filter nests no deeper than [`MAX_DEPTH`], so that neither parsing nor
//! matching can exhaust a stack.

use core::net::IpAddr;
use core::str::FromStr;

use super::flow::{Flow, Network};
use crate::base::{Cidr, Protocol};

/// How deep parentheses and `not` may nest.
const MAX_DEPTH: usize = 64;

/// Which packets are wanted.
///
/// ```
/// use netloom::decode::{Decoder, Filter, Link};
///
/// let filter: Filter = "tcp and (host 10.7.0.1 or src port 80)".parse()?;
/// assert!(!filter.matches(&Decoder::new(Link::Ip).flow(&[])));
/// # Ok::<(), netloom::decode::FilterError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Node);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Network(Network),
    Protocol(Protocol),
    Net(Side, Cidr),
    Port(Side, u16),
}

/// Which end of a packet a test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Src,
    Dst,
    Either,
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// A word that no test begins with.
    #[error(
        "`{0}` is no test: give host, net or port, after src or dst or not, or arp, ip, ip6, tcp, udp, icmp, icmp6"
    )]
    Word(String),
    /// It ends where something is still to come.
    #[error("the filter ends where {0} should follow")]
    End(&'static str),
    /// A value that is not of its form.
    #[error("`{value}` is not {form}")]
    Value {
        /// What was given.
        value: String,
        /// What it should be.
        form: &'static str,
    },
    /// Something behind a whole test that joins nothing to it.
    #[error("`{0}` stands where `and`, `or` or the end should")]
    Behind(String),
    /// A parenthesis that is not closed, or was not opened.
    #[error("a parenthesis has no other half")]
    Parenthesis,
    /// Too many parentheses or `not`s within each other.
    #[error("it nests deeper than {MAX_DEPTH}")]
    Depth,
}

impl Filter {
    /// Is a packet of this flow wanted?
    pub fn matches(&self, flow: &Flow) -> bool {
        self.0.matches(flow)
    }
}

impl Node {
    fn matches(&self, flow: &Flow) -> bool {
        match self {
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(flow)),
            Self::All(nodes) => nodes.iter().all(|node| node.matches(flow)),
            Self::Not(node) => !node.matches(flow),
            Self::Network(network) => flow.network == Some(*network),
            Self::Protocol(protocol) => flow.protocol == Some(*protocol),
            Self::Net(side, net) => {
                side.either(flow.src, flow.dst, |address| net.contains(address))
            }
            Self::Port(side, port) => {
                let (src, dst) = flow.ports.unzip();
                side.either(src, dst, |other| other == *port)
            }
        }
    }
}

impl Side {
    fn either<T>(self, src: Option<T>, dst: Option<T>, test: impl Fn(T) -> bool) -> bool {
        match self {
            Self::Src => src.is_some_and(test),
            Self::Dst => dst.is_some_and(test),
            Self::Either => src.is_some_and(&test) || dst.is_some_and(test),
        }
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let spaced = text
            .replace('(', " ( ")
            .replace(')', " ) ")
            .replace('!', " ! ");
        let mut words = Words {
            left: spaced.split_whitespace().collect::<Vec<_>>().into_iter(),
        };
        let node = words.any(0)?;
        match words.next() {
            None => Ok(Self(node)),
            Some(")") => Err(FilterError::Parenthesis),
            Some(word) => Err(FilterError::Behind(word.to_owned())),
        }
    }
}

/// What is left of a text.
struct Words<'a> {
    left: std::vec::IntoIter<&'a str>,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.left.next()
    }

    /// Takes the next word when it is one of these.
    fn take(&mut self, wanted: [&str; 2]) -> bool {
        let found = (self.left.as_slice().first()).is_some_and(|word| wanted.contains(word));
        if found {
            self.left.next();
        }
        found
    }

    fn any(&mut self, depth: usize) -> Result<Node, FilterError> {
        let first = self.all(depth)?;
        let mut nodes = vec![first];
        while self.take(["or", "||"]) {
            nodes.push(self.all(depth)?);
        }
        Ok(single(nodes, Node::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Node, FilterError> {
        let first = self.one(depth)?;
        let mut nodes = vec![first];
        while self.take(["and", "&&"]) {
            nodes.push(self.one(depth)?);
        }
        Ok(single(nodes, Node::All))
    }

    fn one(&mut self, depth: usize) -> Result<Node, FilterError> {
        if depth > MAX_DEPTH {
            return Err(FilterError::Depth);
        }
        match self.next().ok_or(FilterError::End("a test"))? {
            "not" | "!" => Ok(Node::Not(Box::new(self.one(depth + 1)?))),
            "(" => {
                let inner = self.any(depth + 1)?;
                match self.next() {
                    Some(")") => Ok(inner),
                    Some(word) => Err(FilterError::Behind(word.to_owned())),
                    None => Err(FilterError::Parenthesis),
                }
            }
            ")" => Err(FilterError::Parenthesis),
            "src" => self.sided(Side::Src),
            "dst" => self.sided(Side::Dst),
            word => match protocol(word) {
                Some(node) => Ok(node),
                None => self.test(Side::Either, word),
            },
        }
    }

    fn sided(&mut self, side: Side) -> Result<Node, FilterError> {
        let word = self.next();
        self.test(side, word.ok_or(FilterError::End("host, net or port"))?)
    }

    fn test(&mut self, side: Side, word: &str) -> Result<Node, FilterError> {
        let form = match word {
            "host" => "an address, as in 10.7.0.1 or fd07::1",
            "net" => "ADDRESS/LENGTH, as in 10.7.0.0/24",
            "port" => "a port, 0 to 65535",
            _ => return Err(FilterError::Word(word.to_owned())),
        };
        let value = self.next().ok_or(FilterError::End(form))?;
        let node = match word {
            "host" => host(value).map(|host| Node::Net(side, host)),
            "net" => value.parse().ok().map(|net| Node::Net(side, net)),
            _ => value.parse().ok().map(|port| Node::Port(side, port)),
        };
        node.ok_or_else(|| FilterError::Value {
            value: value.to_owned(),
            form,
        })
    }
}

/// An address as the net of itself.
fn host(text: &str) -> Option<Cidr> {
    let address: IpAddr = text.parse().ok()?;
    let length = if address.is_ipv4() { 32 } else { 128 };
    Cidr::new(address, length).ok()
}

fn protocol(word: &str) -> Option<Node> {
    Some(match word {
        "arp" => Node::Network(Network::Arp),
        "ip" => Node::Network(Network::Ipv4),
        "ip6" => Node::Network(Network::Ipv6),
        "tcp" => Node::Protocol(Protocol::TCP),
        "udp" => Node::Protocol(Protocol::UDP),
        "icmp" => Node::Protocol(Protocol::ICMP),
        "icmp6" => Node::Protocol(Protocol::ICMPV6),
        _ => return None,
    })
}

fn single(mut nodes: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ => many(nodes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(text: &str) -> Flow {
        let words: Vec<_> = text.split(' ').collect();
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        let v6 = words[1].contains(':');
        let protocol = match words[0] {
            "tcp" => Some(Protocol::TCP),
            "udp" => Some(Protocol::UDP),
            "icmp" if v6 => Some(Protocol::ICMPV6),
            "icmp" => Some(Protocol::ICMP),
            _ => None,
        };
        let port = |at: usize| words.get(at).map(|port| port.parse().unwrap());
        Flow {
            network: Some(match (words[0], v6) {
                ("arp", _) => Network::Arp,
                (_, true) => Network::Ipv6,
                _ => Network::Ipv4,
            }),
            src: ip(words[1]),
            dst: ip(words[2]),
            protocol,
            ports: port(3).zip(port(4)),
        }
    }

    const TCP: &str = "tcp 10.7.0.1 10.7.0.2 40000 80";
    const UDP6: &str = "udp fd07::1 fd07::2 53 40000";
    const ICMP: &str = "icmp 10.7.0.1 192.0.2.1";
    const ARP: &str = "arp 10.7.0.2 10.7.0.1";

    /// Which of the four a filter takes, in their order.
    const ROWS: &[(&str, [u8; 4])] = &[
        ("tcp", [1, 0, 0, 0]),
        ("udp", [0, 1, 0, 0]),
        ("icmp", [0, 0, 1, 0]),
        ("icmp6", [0, 0, 0, 0]),
        ("arp", [0, 0, 0, 1]),
        ("ip", [1, 0, 1, 0]),
        ("ip6", [0, 1, 0, 0]),
        ("host 10.7.0.1", [1, 0, 1, 1]),
        ("src host 10.7.0.1", [1, 0, 1, 0]),
        ("dst host 10.7.0.1", [0, 0, 0, 1]),
        ("net 10.7.0.0/24", [1, 0, 1, 1]),
        ("dst net 10.7.0.9/24", [1, 0, 0, 1]),
        ("net ::/0", [0, 1, 0, 0]),
        ("port 80", [1, 0, 0, 0]),
        ("src port 80", [0, 0, 0, 0]),
        ("port 40000", [1, 1, 0, 0]),
        ("not port 80", [0, 1, 1, 1]),
        ("! tcp", [0, 1, 1, 1]),
        ("!!tcp", [1, 0, 0, 0]),
        ("host 10.7.0.1 and port 80", [1, 0, 0, 0]),
        ("tcp or udp and port 53", [1, 1, 0, 0]),
        ("(tcp or udp) and port 53", [0, 1, 0, 0]),
        ("not (tcp or udp)", [0, 0, 1, 1]),
        ("not tcp and not udp", [0, 0, 1, 1]),
        ("tcp || udp && arp || icmp", [1, 0, 1, 0]),
    ];

    #[test]
    fn tests_and_their_joins() {
        for (text, expected) in ROWS {
            let filter: Filter = text.parse().unwrap();
            let found = [TCP, UDP6, ICMP, ARP].map(|one| u8::from(filter.matches(&flow(one))));
            assert_eq!(found, *expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_told_why() {
        let word = |text: &str| FilterError::Word(text.to_owned());
        let behind = |text: &str| FilterError::Behind(text.to_owned());
        for (text, expected) in [
            ("", FilterError::End("a test")),
            ("tcp and", FilterError::End("a test")),
            ("not", FilterError::End("a test")),
            ("src", FilterError::End("host, net or port")),
            ("port", FilterError::End("a port, 0 to 65535")),
            ("10.7.0.1", word("10.7.0.1")),
            ("src tcp", word("tcp")),
            ("or tcp", word("or")),
            ("tcp udp", behind("udp")),
            ("(tcp udp)", behind("udp")),
            ("(tcp", FilterError::Parenthesis),
            ("tcp)", FilterError::Parenthesis),
            ("()", FilterError::Parenthesis),
        ] {
            assert_eq!(text.parse::<Filter>(), Err(expected), "{text}");
        }
        for text in [
            "host x",
            "net 10.7.0.1",
            "port http",
            "port 65536",
            "host 10.7.0.0/24",
        ] {
            let error = text.parse::<Filter>().unwrap_err();
            assert!(
                matches!(error, FilterError::Value { .. }),
                "{text}: {error}"
            );
            assert!(error.to_string().contains("` is not "), "{error}");
        }
    }

    /// A filter comes from whoever types it: no text makes it exhaust a stack.
    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}tcp{}", "(".repeat(depth), ")".repeat(depth));
        assert!(nested(MAX_DEPTH).parse::<Filter>().is_ok());
        for text in [nested(100_000), format!("{}tcp", "not ".repeat(100_000))] {
            assert_eq!(text.parse::<Filter>(), Err(FilterError::Depth));
        }
        let wide = vec!["tcp"; 10_000].join(" or ");
        assert!(wide.parse::<Filter>().unwrap().matches(&flow(TCP)));
    }
}
