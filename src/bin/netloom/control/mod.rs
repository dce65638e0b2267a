//! The Unix socket by which a running host is asked about its interfaces, and told to change them.
//!
//! *Owns* the socket, and its bounds: who may connect (its owner, mode 0600), how many at once, how long they take, how much they say.
//! *Does not* know what is asked: `request` and `answer` do. One line in, one line of JSON out, and the end: `{"answer": ...}` or
//! `{"error": "why"}`.

mod answer;
mod request;

pub(crate) use request::Request;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netloom::host::Host;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::sys::stat::{Mode, umask};
use serde_json::{Value, json};

use crate::failure::Failure;

/// Who is listened to at once.
const CLIENTS: usize = 8;
/// Who is told that there are so many; beyond that nobody is told anything.
const TOLD: usize = 64;
/// How long one may take to ask, and again to take the answer.
const WITHIN: Duration = Duration::from_secs(2);
/// How long one is heard who is not listened to.
const BRIEFLY: Duration = Duration::from_millis(200);
/// Bytes that leave in one piece of an answer.
const PIECE: usize = 4096;
/// Bytes of a request, its line end included.
pub(crate) const LONGEST: usize = 512;

/// Where a host that runs until a signal listens.
#[derive(Debug, clap::Args)]
pub(crate) struct ControlArgs {
    /// Listen at this Unix socket for `netloom ip`; it is made, for its owner alone, and removed at the end.
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
}

impl ControlArgs {
    /// Makes the socket, if one is asked for ([`Control::bind`]).
    pub(crate) fn bind(&self) -> Result<Option<Control>, Failure> {
        self.control.as_deref().map(Control::bind).transpose()
    }
}

/// The socket, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Control {
    listener: Option<UnixListener>,
    path: PathBuf,
    /// Which file it is: another one that came in its place stays.
    file: (u64, u64),
}

impl Control {
    /// Makes the socket, in place of one that nobody listens on any more; call it before any thread is started, for all files that are
    /// made meanwhile are their owner's alone.
    pub(crate) fn bind(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::with_cure(
                format_args!("--control {}: {error}", path.display()),
                "name a file in a directory that you may write to",
            )
        };
        remove_stale(path)?;
        let before = umask(Mode::from_bits_truncate(0o177));
        let bound = UnixListener::bind(path);
        umask(before);
        let listener = bound.map_err(failed)?;
        let data = fs::symlink_metadata(path).map_err(failed)?;
        Ok(Self {
            listener: Some(listener),
            path: path.to_owned(),
            file: (data.dev(), data.ino()),
        })
    }

    /// Answers from here on, in threads of its own.
    pub(crate) fn serve(&mut self, host: &Arc<Host>) -> Result<(), Failure> {
        let Some(listener) = self.listener.take() else {
            return Ok(());
        };
        let host = Arc::downgrade(host);
        let open = Arc::new(AtomicUsize::new(0));
        let accepter = thread::Builder::new().name("netloom-control".to_owned());
        let accept = move || {
            for client in listener.incoming() {
                let (Ok(client), Some(host)) = (client, host.upgrade()) else {
                    // Descriptors may have run out: they come back.
                    thread::sleep(Duration::from_millis(100));
                    continue;
                };
                let open = Open::one_more(&open);
                if open.count > TOLD {
                    continue;
                }
                let talk = move || {
                    // Who does not ask, or does not take the answer, has none.
                    let _ = talk(&client, &host, open.count);
                    drop(open);
                };
                let thread = thread::Builder::new().name("netloom-client".to_owned());
                let _ = thread.spawn(talk);
            }
        };
        accepter.spawn(accept).map_err(Failure::new)?;
        Ok(())
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let same = |data: &fs::Metadata| (data.dev(), data.ino()) == self.file;
        if fs::symlink_metadata(&self.path).is_ok_and(|data| same(&data)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// One of those who are listened to.
struct Open {
    all: Arc<AtomicUsize>,
    /// How many there are with it.
    count: usize,
}

impl Open {
    fn one_more(all: &Arc<AtomicUsize>) -> Self {
        let count = all.fetch_add(1, Ordering::Relaxed) + 1;
        let all = Arc::clone(all);
        Self { all, count }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Removes a socket on which nobody listens; anything else that is there is a mistake.
fn remove_stale(path: &Path) -> Result<(), Failure> {
    let at = path.display();
    match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(data) if !data.file_type().is_socket() => {
            let cause =
                format_args!("--control {at}: there is a file already, and it is no socket");
            return Err(Failure::with_cure(cause, "name another one"));
        }
        Ok(_) => {}
    }
    match knock(path) {
        Err(Errno::ECONNREFUSED) => fs::remove_file(path).map_err(Failure::new),
        // One whose queue is full is there as well.
        Ok(()) | Err(Errno::EAGAIN) => Err(Failure::with_cure(
            format_args!("--control {at}: another host answers there"),
            "end it, or name another file",
        )),
        Err(error) => Err(Failure::with_cure(
            format_args!("--control {at}: {}", io::Error::from(error)),
            "name another file, or remove this one",
        )),
    }
}

/// Connects to a socket, and waits for nobody: who listens may have stopped.
fn knock(path: &Path) -> nix::Result<()> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)
}

/// Hears one request, and answers it.
fn talk(client: &UnixStream, host: &Host, clients: usize) -> io::Result<()> {
    let told = if clients > CLIENTS {
        // Who closes without having heard resets, and what was said before is lost with that.
        let _ = hear(client, Instant::now() + BRIEFLY);
        Err(format!("{CLIENTS} others are asking; try again"))
    } else {
        match hear(client, Instant::now() + WITHIN) {
            Ok(asked) => {
                let request = Request::parse(&asked.split_whitespace().collect::<Vec<_>>());
                request.and_then(|request| answer::to(host, &request))
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                Err(format!("ask in a line of text, of {LONGEST} bytes at most"))
            }
            Err(error) => return Err(error),
        }
    };
    let value: Value = match told {
        Ok(answer) => json!({ "answer": answer }),
        Err(why) => json!({ "error": why }),
    };
    give(
        client,
        format!("{value}\n").as_bytes(),
        Instant::now() + WITHIN,
    )
}

/// Gives all of an answer, if it is taken in time.
fn give(mut client: &UnixStream, mut answer: &[u8], until: Instant) -> io::Result<()> {
    while !answer.is_empty() {
        client.set_write_timeout(Some(left_till(until)?))?;
        // By the piece: one write may wait as long for each part that it is taken in.
        match client.write(&answer[..answer.len().min(PIECE)]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(len) => answer = &answer[len..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A line, if it comes in time; [`ErrorKind::InvalidData`] if it is too long or no text, once all of it was heard that came in
/// time, for who closes before that resets.
fn hear(mut client: &UnixStream, until: Instant) -> io::Result<String> {
    let too_long = || Err(ErrorKind::InvalidData.into());
    let mut line = Vec::new();
    let mut piece = [0; LONGEST];
    loop {
        let is_long = line.len() >= LONGEST;
        let heard = left_till(until).and_then(|left| {
            client.set_read_timeout(Some(left))?;
            client.read(&mut piece)
        });
        let came = match heard {
            Ok(len @ 1..) => &piece[..len],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            _ if is_long => return too_long(),
            Ok(_) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) => return Err(error),
        };
        let end = came.iter().position(|&byte| byte == b'\n');
        if !is_long {
            line.extend_from_slice(&came[..end.unwrap_or(came.len())]);
        }
        match end {
            Some(_) if line.len() >= LONGEST => return too_long(),
            Some(_) => return String::from_utf8(line).or_else(|_| too_long()),
            None => {}
        }
    }
}

/// The time that is left, which is none of [`Duration::ZERO`].
fn left_till(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    let some = Some(left).filter(|left| !left.is_zero());
    some.ok_or_else(|| ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{Backlog, listen};

    fn place(name: &str) -> PathBuf {
        let name = format!("netloom-control-{}-{name}", std::process::id());
        std::env::temp_dir().join(name)
    }

    /// Its owner's alone, gone at the end, in place of a stale one and of nothing else.
    #[test]
    fn a_socket_comes_and_goes() {
        let path = place("socket");
        let control = Control::bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        let taken = Control::bind(&path);
        assert!(matches!(taken, Err(Failure::Said(why)) if why.contains("another host answers")));
        drop(control);
        assert!(!path.exists());
        let full = UnixListener::bind(&path).unwrap();
        listen(&full, Backlog::new(0).unwrap()).unwrap();
        while knock(&path) != Err(Errno::EAGAIN) {}
        let taken = Control::bind(&path);
        assert!(matches!(taken, Err(Failure::Said(why)) if why.contains("another host answers")));
        drop(full);
        fs::remove_file(&path).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "stale");
        let control = Control::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "somebody else's").unwrap();
        drop(control);
        assert!(path.exists());
        let no_socket = Control::bind(&path);
        assert!(matches!(no_socket, Err(Failure::Said(why)) if why.contains("no socket")));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_line_is_heard_in_time_or_not_at_all() {
        let soon = || Instant::now() + Duration::from_millis(50);
        let heard = |text: &[u8]| {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.write_all(text).unwrap();
            hear(&ours, soon()).map_err(|error| error.kind())
        };
        assert_eq!(
            heard(b"addr add 10.0.0.1/24\nmore"),
            Ok("addr add 10.0.0.1/24".to_owned())
        );
        let (late, long) = (heard(b"addr"), heard(&[b'a'; LONGEST]));
        assert!(
            matches!(late, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)),
            "{late:?}"
        );
        assert_eq!(
            long,
            Err(ErrorKind::UnexpectedEof).or(Err(ErrorKind::InvalidData))
        );
        assert_eq!(heard(b"\xff\n"), Err(ErrorKind::InvalidData));
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(hear(&ours, soon()).is_err());
        // All of a line that is too long, so that its end is no reset.
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(&[b'a'; 5 * LONGEST]).unwrap();
        theirs.write_all(b"\n").unwrap();
        let heard = hear(&ours, Instant::now() + WITHIN);
        assert_eq!(heard.unwrap_err().kind(), ErrorKind::InvalidData);
        drop(ours);
        assert_eq!(theirs.read(&mut [0; 9]).unwrap(), 0);
    }

    /// Who takes a little, time and again, holds his place no longer than who takes nothing.
    #[test]
    fn an_answer_is_taken_in_time_or_not_at_all() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (answer, pause) = (vec![b'a'; 16 << 20], Duration::from_millis(10));
        let slow = thread::spawn(move || {
            let mut taken = 0;
            while let Ok(len @ 1..) = theirs.read(&mut [0; PIECE]) {
                taken += len;
                thread::sleep(pause);
            }
            taken
        });
        let began = Instant::now();
        let given = give(&ours, &answer, began + 10 * pause);
        assert!(given.is_err() && began.elapsed() < 200 * pause);
        drop(ours);
        let taken = slow.join().unwrap();
        assert!((1..answer.len()).contains(&taken), "{taken} bytes");
    }
}
