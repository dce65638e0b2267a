//! Real programs at the other end: curl, socat, Python with 500 threads, ssh through a port forward.
//!
//! `.ci/run` installs curl; a test whose program is missing is ignored and says which.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use netloom::bytes::Bytes;
use netloom::host;
use nix::sys::signal::Signal;

use crate::capture::private_disk;
use crate::link::{
    Hash, Link, PATIENCE, eventually, kernel, our_accept, our_connect, our_listener, ours,
};
use crate::namespace::Case;
use crate::source::Source;
use crate::tool::{Tool, body, client, count, curl, fetched, file, owns_the_machine};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("programs::curls_at_once", curls_at_once),
        Case::new("programs::a_curl_that_leaves", curl_that_leaves),
        with(&["python3"], "get_from_python", get_from_python),
        with(&["socat"], "send_to_socat", send_to_socat),
        with(&["socat"], "echo_by_socat", echo_by_socat),
        with(&["socat"], "socat_against_serve", socat_against_serve),
        with(
            &["python3"],
            "a_python_server_of_500_threads",
            python_server,
        ),
        with(
            &["python3"],
            "a_python_client_of_500_threads",
            python_client,
        ),
        with(
            &["python3"],
            "python_sees_hops_and_tos_and_ours_are_seen",
            hops_and_tos,
        ),
        Case::with_reason("programs::ssh_through_a_forward", ssh_through_a_forward),
    ]
}

/// A test that needs these programs.
pub(crate) fn with(programs: &'static [&str], name: &str, test: fn()) -> Case {
    Case::with_reason(format!("programs::{name}"), move || {
        let missing = programs.iter().find(|program| path_of(program).is_none());
        if missing.is_none() {
            test();
        }
        missing.map(|program| format!("there is no {program}"))
    })
}

/// Where a program is; `sshd` is not on an ordinary path.
pub(crate) fn path_of(program: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let mut all = std::env::split_paths(&paths).chain([PathBuf::from("/usr/sbin")]);
    all.find_map(|path| Some(path.join(program)).filter(|path| path.is_file()))
}

/// A program that is killed when the test ends.
pub(crate) struct Peer(Child);

impl Peer {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// One that runs already.
    pub(crate) const fn of(child: Child) -> Self {
        Self(child)
    }

    /// Waits until it ends, in order.
    pub(crate) fn end(mut self) {
        eventually("the program ends", PATIENCE, || {
            let status = self.0.try_wait().unwrap();
            status.is_some_and(|status| {
                assert!(status.success(), "{status}");
                true
            })
        });
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The output of a program that must succeed.
pub(crate) fn output(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    output
}

/// Is anybody listening on this port of the kernel's?
pub(crate) fn listening(v6: bool, port: u16) -> bool {
    let file = if v6 { "tcp6" } else { "tcp" };
    let text = fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap();
    // Number, local address and port, remote address and port, state: 0A is LISTEN.
    let mut rows = text.lines().map(|line| line.split_whitespace());
    rows.any(|mut row| {
        let local = row.nth(1).unwrap_or_default();
        local.ends_with(&format!(":{port:04X}")) && row.nth(1) == Some("0A")
    })
}

/// A directory for one test's files, empty; gone at the end.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let path = file(&format!("kernel-programs-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Many transfers of one process at once, one of them slowly; every byte compared.
fn curls_at_once() {
    const CURLS: usize = 40;
    let files = Files::new("curls");
    for link in [Link::TAP, Link::TUN] {
        let serve = Tool::serve(link, &[]);
        let length = |number: usize| 1 + number * 50_021;
        let mut args: Vec<String> = ["--parallel", "--parallel-immediate", "--parallel-max"]
            .map(str::to_owned)
            .into();
        args.push(CURLS.to_string());
        for number in 0..CURLS {
            let host = ["10.7.0.2", "[fd07::2]"][number % 2];
            let path = files.path(number.to_string());
            args.push(format!("http://{host}/bytes/{}", length(number)));
            args.extend(["--output".to_owned(), path.to_str().unwrap().to_owned()]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        thread::scope(|scope| {
            let slow = scope.spawn(|| {
                let url = "http://10.7.0.2/bytes/1000003";
                fetched(&["--limit-rate", "2M", url])
            });
            fetched(&args);
            for number in 0..CURLS {
                let got = fs::read(files.path(number.to_string())).unwrap();
                assert!(got == body(length(number)), "{number}: {} bytes", got.len());
            }
            assert!(slow.join().unwrap() == body(1_000_003));
        });
        let counters = serve.counters(Signal::SIGTERM);
        let served = count(&counters, "http_connections");
        assert_eq!(served, CURLS as u64 + 1, "{counters:?}");
        assert_eq!(count(&counters, "tcp_rto_fired"), 0, "{counters:?}");
    }
}

/// One that goes away in the middle of its download leaves the others alone.
fn curl_that_leaves() {
    let serve = Tool::serve(Link::TAP, &[]);
    for host in ["10.7.0.2", "[fd07::2]"] {
        let endless = format!("http://{host}/bytes/1000000000000");
        let gone = curl(&["--max-time", "0.3", "--output", "/dev/null", &endless]);
        assert_eq!(gone.status.code(), Some(28), "its own time-out");
        let got = fetched(&[&format!("http://{host}/bytes/5000001")]);
        assert!(got == body(5_000_001), "{} bytes", got.len());
    }
    let counters = serve.counters(Signal::SIGTERM);
    assert_eq!(count(&counters, "http_connections"), 4, "{counters:?}");
}

/// `netloom get` from Python's own web server.
fn get_from_python() {
    let files = Files::new("python-http");
    fs::write(files.path("page"), body(8_000_003)).unwrap();
    let got = files.path("got");
    for (link, v6) in [(Link::TAP, false), (Link::TUN, true)] {
        let any = if v6 { "::" } else { "0.0.0.0" };
        let mut command = Command::new("python3");
        command.args(["-m", "http.server", "--bind", any, "--directory"]);
        command.arg(&files.0).arg("8000");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let _server = Peer::start(&mut command);
        eventually("Python listens", PATIENCE, || listening(v6, 8000));
        let url = format!("http://{}/page", SocketAddr::new(kernel(v6), 8000));
        let to = ["--url", &url, "--output", got.to_str().unwrap()];
        let (status, text, errors) = client(link, "get", &to);
        assert!(status.success(), "{errors}");
        assert!(
            errors.contains("200 OK: 8000003 bytes in"),
            "{text} {errors}"
        );
        assert!(fs::read(&got).unwrap() == body(8_000_003));
    }
}

/// `netloom send` to socat, which writes a file.
fn send_to_socat() {
    let files = Files::new("socat");
    for (link, v6) in [(Link::TAP, false), (Link::TUN, true)] {
        let got = files.path("got");
        let listen = if v6 { "TCP6-LISTEN" } else { "TCP4-LISTEN" };
        let mut command = Command::new("socat");
        command.args(["-u", &format!("{listen}:9009,reuseaddr")]);
        command.arg(format!("OPEN:{},creat,trunc", got.display()));
        let socat = Peer::start(&mut command);
        eventually("socat listens", PATIENCE, || listening(v6, 9009));
        let to = SocketAddr::new(kernel(v6), 9009).to_string();
        let args = ["--to", &to, "--bytes", "20000003"];
        let (status, text, errors) = client(link, "send", &args);
        assert!(status.success(), "{errors}");
        assert!(text.contains("20000003 bytes in"), "{text}");
        socat.end();
        let got = fs::read(got).unwrap();
        assert_eq!(got.len(), 20_000_003);
        assert!(got.iter().all(|&byte| byte == b'n'));
    }
}

/// Our stream through a socat that gives everything back, both ways at once.
fn echo_by_socat() {
    const BYTES: u64 = 30_000_001;
    for (link, v6) in [(Link::TUN, false), (Link::TAP, true)] {
        let host = link.host();
        let listen = if v6 { "TCP6-LISTEN" } else { "TCP4-LISTEN" };
        let mut command = Command::new("socat");
        // One page at a time: more than the room left in its pipe, and socat waits for itself.
        command.args(["-b", "4096", &format!("{listen}:7007,reuseaddr"), "PIPE"]);
        let socat = Peer::start(&mut command);
        eventually("socat listens", PATIENCE, || listening(v6, 7007));
        let stream = our_connect(&host, SocketAddr::new(kernel(v6), 7007));
        let (sent, got) = thread::scope(|scope| {
            let sender = scope.spawn(|| send(&stream, BYTES));
            let mut hash = Hash::default();
            loop {
                let chunk = stream.read_chunk(usize::MAX);
                let chunk = chunk.unwrap_or_else(|error| panic!("{error}: {:?}", stream.info()));
                if chunk.is_empty() {
                    break (sender.join().unwrap(), hash.finish());
                }
                hash.update(&chunk);
            }
        });
        assert_eq!(sent, got, "(hash, length) there and back");
        socat.end();
        assert_eq!(host.counters().tcp_rto_fired, 0, "{:?}", host.counters());
    }
}

fn send(mut stream: &host::TcpStream, bytes: u64) -> (u64, u64) {
    let (mut source, mut hash) = (Source::new(bytes), Hash::default());
    while let Some(block) = source.next() {
        hash.update(block);
        stream.write_all(block).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    hash.finish()
}

/// A file through socat and `serve`'s echo, and back into a file.
fn socat_against_serve() {
    let files = Files::new("socat-echo");
    let path = files.path("file");
    fs::write(&path, body(10_000_001)).unwrap();
    for (link, to) in [
        (Link::TAP, "TCP4:10.7.0.2:7"),
        (Link::TUN, "TCP6:[fd07::2]:7"),
    ] {
        let serve = Tool::serve(link, &[]);
        let mut command = Command::new("socat");
        command.args(["-t", "10", "STDIO", to]);
        command.stdin(File::open(&path).unwrap());
        let got = output(&mut command).stdout;
        assert!(got == body(10_000_001), "{} bytes", got.len());
        let counters = serve.counters(Signal::SIGTERM);
        assert_eq!(count(&counters, "echo_connections"), 1, "{counters:?}");
    }
}

const THREADS: usize = 500;
/// Bytes of each thread's connection.
const EACH: usize = 20_000;

/// All threads have their connection before one reads on; the answer is the request backwards.
const PYTHON_SERVER: &str = r"
import socket, threading, sys
count = int(sys.argv[1])
threading.stack_size(256 << 10)
together = threading.Barrier(count, timeout=20)
def serve(stream):
    with stream:
        data = bytearray(stream.recv(4, socket.MSG_WAITALL))
        together.wait()
        while chunk := stream.recv(65536):
            data += chunk
        data.reverse()
        stream.sendall(data)
listener = socket.create_server(('', 5000), backlog=1024)
print('ready', flush=True)
threads = []
for _ in range(count):
    threads.append(threading.Thread(target=serve, args=(listener.accept()[0],)))
    threads[-1].start()
for thread in threads:
    thread.join()
";

/// What connection `number` sends.
fn request(number: usize) -> Vec<u8> {
    format!("{number:04}").repeat(EACH / 4).into_bytes()
}

/// 500 threads of one Python process, a connection each, all at once.
fn python_server() {
    let host = Link::TAP.host();
    let mut command = Command::new("python3");
    command.args(["-c", PYTHON_SERVER, &THREADS.to_string()]);
    let mut python = Peer::start(command.stdout(Stdio::piped()));
    ready(&mut python);
    let to = SocketAddr::new(kernel(false), 5000);
    let all: Vec<_> = (0..THREADS).map(|_| our_connect(&host, to)).collect();
    // Nobody is answered before the last has written.
    for (number, mut stream) in all.iter().enumerate() {
        stream.write_all(&request(number)).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    }
    for (number, mut stream) in all.iter().enumerate() {
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        got.reverse();
        assert!(got == request(number), "{number}: {} bytes", got.len());
    }
    python.end();
    let counters = host.counters();
    assert_eq!(counters.tcp_resets_sent + counters.tcp_resets_received, 0);
}

/// Waits for a line that says `ready`.
fn ready(peer: &mut Peer) {
    let mut out = BufReader::new(peer.0.stdout.take().unwrap());
    let (sender, line) = channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = out.read_line(&mut line);
        // The test may have given up.
        let _ = sender.send(read.map(|_| line));
    });
    let line = line.recv_timeout(PATIENCE).expect("a line within the time");
    assert_eq!(line.unwrap(), "ready\n");
}

/// All threads are connected before one writes; each wants its own bytes back.
const PYTHON_CLIENT: &str = r"
import socket, threading, sys
count = int(sys.argv[1])
each = int(sys.argv[2])
threading.stack_size(256 << 10)
together = threading.Barrier(count, timeout=20)
right = []
def run(number):
    with socket.create_connection((sys.argv[3], 7), timeout=20) as stream:
        together.wait()
        data = b'%04d' % number * (each // 4)
        stream.sendall(data)
        stream.shutdown(socket.SHUT_WR)
        got = b''
        while chunk := stream.recv(65536):
            got += chunk
        if got == data:
            right.append(number)
threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(right))
";

/// The other way round: 500 threads of Python's against as many of `serve`'s.
fn python_client() {
    let serve = Tool::serve(Link::TAP, &[]);
    for v6 in [false, true] {
        let (threads, each) = (THREADS.to_string(), EACH.to_string());
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON_CLIENT, &threads, &each]);
        let said = output(command.arg(ours(v6).to_string())).stdout;
        assert_eq!(String::from_utf8_lossy(&said).trim(), threads);
    }
    let counters = serve.counters(Signal::SIGTERM);
    let served = count(&counters, "echo_connections");
    assert_eq!(served, 2 * THREADS as u64, "{counters:?}");
}

/// Asks with 77 hops and TOS 0x2c, and says with what the answer came.
const PYTHON_HEADS: &str = r"
import socket, sys
to = sys.argv[1]
six = ':' in to
with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as udp:
    udp.settimeout(10)
    if six:
        level = socket.IPPROTO_IPV6
        hops, tos = socket.IPV6_HOPLIMIT, socket.IPV6_TCLASS
        udp.setsockopt(level, socket.IPV6_UNICAST_HOPS, 77)
        udp.setsockopt(level, tos, 0x2c)
        for ask in (socket.IPV6_RECVHOPLIMIT, socket.IPV6_RECVTCLASS):
            udp.setsockopt(level, ask, 1)
    else:
        level = socket.IPPROTO_IP
        hops, tos = socket.IP_TTL, socket.IP_TOS
        udp.setsockopt(level, hops, 77)
        udp.setsockopt(level, tos, 0x2c)
        # IP_RECVTTL and IP_RECVTOS
        for ask in (12, 13):
            udp.setsockopt(level, ask, 1)
    udp.sendto(b'asked', (to, 7))
    data, heads, _, _ = udp.recvmsg(64, 256)
    told = {kind: int.from_bytes(value, sys.byteorder) for _, kind, value in heads}
    print(data.decode(), told[hops], told[tos])
";

/// Covers: UDP-10, IP4-16, IP4-17, IP6-33: what a datagram is sent with arrives at the kernel's socket, and what the kernel's is
/// sent with here.
fn hops_and_tos() {
    let host = Link::TAP.host();
    for v6 in [false, true] {
        let socket = host.udp_bind((ours(v6), 7)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON_HEADS, &ours(v6).to_string()]);
        let asking = thread::spawn(move || output(&mut command).stdout);
        let asked = socket.recv_datagram().unwrap();
        assert_eq!((asked.ttl, asked.tos), (77, 0x2c));
        let info = asked.answer().ttl(33).tos(0xb8);
        let answer = Bytes::from_static(b"answer");
        let sent = socket.send_with(&answer, Some(asked.from), None, &info);
        sent.unwrap();
        let said = asking.join().unwrap();
        assert_eq!(String::from_utf8_lossy(&said).trim(), "answer 33 184");
    }
}

/// `ssh` to our address; a forwarder on our host carries it to the namespace's own sshd: ten
/// megabytes to `cat` and back.
fn ssh_through_a_forward() -> Option<String> {
    for program in ["ssh", "sshd", "ssh-keygen"] {
        if path_of(program).is_none() {
            return Some(format!("there is no {program}"));
        }
    }
    if !owns_the_machine() {
        return Some("sshd changes its user, which takes the machine's root".to_owned());
    }
    // sshd wants its directory there, and root's own.
    let _disk = private_disk(PathBuf::from("/run"), "mode=0755");
    fs::create_dir("/run/sshd").unwrap();
    let files = Files::new("ssh");
    let _sshd = sshd(&files);
    let host = Link::TAP.host();
    let mut ends = Vec::new();
    for v6 in [false, true] {
        let (listener, at) = our_listener(&host, v6);
        let to = if v6 {
            SocketAddr::from((Ipv6Addr::LOCALHOST, 2200))
        } else {
            SocketAddr::from((Ipv4Addr::LOCALHOST, 2200))
        };
        thread::scope(|scope| {
            let forwarder = scope.spawn(|| forward(&our_accept(&listener), to));
            let mut ssh = ssh(&files, at);
            ssh.stdin(File::open(files.path("file")).unwrap());
            let got = output(ssh.arg("cat")).stdout;
            assert!(got == body(10_000_001), "{} bytes", got.len());
            ends.push(forwarder.join().unwrap().unwrap());
        });
    }
    assert!(
        ends.iter()
            .all(|&(out, back)| out > 10_000_001 && back > 10_000_001)
    );
    assert_eq!(host.counters().tcp_rto_fired, 0, "{:?}", host.counters());
    None
}

/// Keys, a file to carry, and an sshd on port 2200 that lets these keys in.
fn sshd(files: &Files) -> Peer {
    for key in ["host", "user"] {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
        output(keygen.arg(files.path(key)));
    }
    fs::write(files.path("file"), body(10_000_001)).unwrap();
    let lines = [
        "Port 2200".to_owned(),
        format!("HostKey {}", files.path("host").display()),
        format!("AuthorizedKeysFile {}", files.path("user.pub").display()),
        "PidFile none".to_owned(),
        "StrictModes no".to_owned(),
        "UsePAM no".to_owned(),
        "PermitRootLogin yes".to_owned(),
        "PasswordAuthentication no".to_owned(),
    ];
    fs::write(files.path("config"), lines.join("\n")).unwrap();
    let mut command = Command::new(path_of("sshd").unwrap());
    command.args([OsStr::new("-D"), OsStr::new("-E")]);
    command
        .arg(files.path("log"))
        .arg("-f")
        .arg(files.path("config"));
    let sshd = Peer::start(&mut command);
    eventually("sshd listens", PATIENCE, || {
        listening(false, 2200) && listening(true, 2200)
    });
    sshd
}

fn ssh(files: &Files, at: SocketAddr) -> Command {
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-q", "-T", "-p", &at.port().to_string(), "-i"]);
    command.arg(files.path("user"));
    for option in [
        "BatchMode=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "ConnectTimeout=10",
    ] {
        command.args(["-o", option]);
    }
    command.arg(format!("root@{}", at.ip()));
    command
}

/// Carries a connection of ours to `to`, until both sides have ended: the bytes each way.
fn forward(mut ours: &host::TcpStream, to: SocketAddr) -> io::Result<(u64, u64)> {
    let theirs = TcpStream::connect_timeout(&to, PATIENCE)?;
    let mut theirs = &theirs;
    thread::scope(|scope| {
        let back = scope.spawn(move || {
            let (mut theirs, mut ours) = (theirs, ours);
            let bytes = io::copy(&mut theirs, &mut ours)?;
            ours.shutdown(Shutdown::Write)?;
            io::Result::Ok(bytes)
        });
        let out = io::copy(&mut ours, &mut theirs)?;
        theirs.shutdown(Shutdown::Write)?;
        let back = back.join().expect("the copying does not panic")?;
        Ok((out, back))
    })
}
