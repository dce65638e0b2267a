//! Multicast DNS (RFC 6762) between two hosts: one answers for `netloom.local`, the other asks the group who that is.
//!
//! Both are in this process, over a pair of devices, so it needs no rights. What matters is four lines: bind with
//! `reuse_address`, join 224.0.0.251, receive, and send to the group. With `--tap` the one that answers is on a TAP device
//! (CAP_NET_ADMIN, as for `echo`); then ask it from the kernel's side: `dig @224.0.0.251 -b 10.7.0.1 -p 5353 netloom.local`.

#[cfg(all(target_os = "linux", feature = "host"))]
fn main() -> Result<(), netloom::Report> {
    use std::thread;
    use std::time::Duration;

    use netloom::device::{Medium, Tap, pair};
    use netloom::host::Host;

    if std::env::args().any(|arg| arg == "--tap") {
        let tap = Tap::builder()
            .name("nl0")
            .kernel_address("10.7.0.1/24".parse()?)
            .open()?;
        let host = Host::builder(tap).address("10.7.0.2/24".parse()?).spawn()?;
        println!(
            "answering: try `dig @224.0.0.251 -b 10.7.0.1 -p 5353 {}`",
            mdns::NAME
        );
        return Ok(mdns::answer(&mdns::socket(&host)?, [10, 7, 0, 2], None)?);
    }
    let (left, right) = pair(Medium::Ethernet, 1500);
    let answers = Host::builder(left)
        .address("10.7.0.2/24".parse()?)
        .spawn()?;
    let asks = Host::builder(right)
        .address("10.7.0.3/24".parse()?)
        .spawn()?;
    let socket = mdns::socket(&answers)?;
    let thread = thread::spawn(move || mdns::answer(&socket, [10, 7, 0, 2], Some(1)));
    let socket = mdns::socket(&asks)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let address = mdns::ask(&socket)?;
    println!("{} is {address}", mdns::NAME);
    thread
        .join()
        .map_err(|_| std::io::Error::other("the thread that answers panicked"))??;
    Ok(())
}

/// Just enough of RFC 6762: one name, one question, one answer.
#[cfg(all(target_os = "linux", feature = "host"))]
pub(crate) mod mdns {
    use std::io;
    use std::net::{Ipv4Addr, SocketAddr};

    use netloom::host::{Host, UdpSocket};
    use netloom::stack::{MulticastOptions, UdpOptions};

    pub(crate) const NAME: &str = "netloom.local";
    const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
    const PORT: u16 = 5353;
    const HEADER_LEN: usize = 12;
    /// The flag of a response, and that its sender knows best.
    const RESPONSE: [u8; 2] = [0x84, 0];
    /// Type A, class IN.
    const A_IN: [u8; 4] = [0, 1, 0, 1];

    /// A socket in the group: others of this host may have the port as well.
    pub(crate) fn socket(host: &Host) -> io::Result<UdpSocket> {
        // RFC 6762 §11: sent with a TTL of 255.
        let options = UdpOptions::new()
            .reuse_address(true)
            .multicast(MulticastOptions::new().ttl(255));
        let socket = host.udp_bind_with((Ipv4Addr::UNSPECIFIED, PORT), options)?;
        socket.join_multicast_v4(&GROUP, &Ipv4Addr::UNSPECIFIED)?;
        Ok(socket)
    }

    /// Answers for as many questions as are wanted.
    pub(crate) fn answer(
        socket: &UdpSocket,
        address: [u8; 4],
        times: Option<usize>,
    ) -> io::Result<()> {
        let question = question();
        let mut answered = 0;
        while times.is_none_or(|times| answered < times) {
            let datagram = socket.recv_datagram()?;
            let from = datagram.from;
            let data = datagram.data.into_bytes();
            let asked = data.get(HEADER_LEN..).is_some_and(|rest| {
                data[2] & 0x80 == 0 && rest.starts_with(&question[HEADER_LEN..])
            });
            if !asked {
                continue;
            }
            println!("{from} asks for {NAME}");
            let mut response = data[..2].to_vec();
            response.extend(RESPONSE);
            // RFC 6762 §6.7: who asks from another port knows nothing of the group, and is told alone, his question first.
            let alone = from.port() != PORT;
            let questions = u8::from(alone);
            response.extend([0, questions, 0, 1, 0, 0, 0, 0]);
            if alone {
                response.extend(&question[HEADER_LEN..]);
            }
            response.extend(name());
            response.extend(A_IN);
            response.extend([0, 0, 0, 120, 0, 4]);
            response.extend(address);
            let to = if alone {
                from
            } else {
                SocketAddr::from((GROUP, PORT))
            };
            socket.send_to(&response, to)?;
            answered += 1;
        }
        Ok(())
    }

    /// Asks the group, and waits for who knows.
    pub(crate) fn ask(socket: &UdpSocket) -> io::Result<Ipv4Addr> {
        socket.send_to(&question(), (GROUP, PORT))?;
        loop {
            let data = socket.recv_datagram()?.data.into_bytes();
            // Our own question comes by here as well: a member hears what it sends.
            let is_response = data.get(2..4) == Some(&RESPONSE[..]);
            let rest = data.get(HEADER_LEN..).filter(|_| is_response);
            let record = rest.and_then(|rest| rest.strip_prefix(&name()[..]));
            if let Some(&[_, _, _, _, _, _, _, _, 0, 4, a, b, c, d]) = record {
                return Ok(Ipv4Addr::new(a, b, c, d));
            }
        }
    }

    fn question() -> Vec<u8> {
        let mut question = vec![0; HEADER_LEN];
        question[5] = 1;
        question.extend(name());
        question.extend(A_IN);
        question
    }

    /// RFC 1035 §3.1: each label behind its length.
    fn name() -> Vec<u8> {
        let mut name = Vec::new();
        for label in NAME.split('.') {
            name.extend(u8::try_from(label.len()));
            name.extend(label.as_bytes());
        }
        name.push(0);
        name
    }
}

#[cfg(not(all(target_os = "linux", feature = "host")))]
fn main() {
    println!("this example needs Linux");
}
