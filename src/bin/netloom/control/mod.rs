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
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netloom::host::Host;
use nix::sys::stat::{Mode, umask};
use serde_json::{Value, json};

use crate::failure::Failure;

/// Who is listened to at once.
const CLIENTS: usize = 8;
/// How long one may take to ask, and again to take the answer.
const WITHIN: Duration = Duration::from_secs(2);
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
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(Failure::new)
        }
        Err(error) => Err(Failure::with_cure(
            format_args!("--control {at}: {error}"),
            "name another file, or remove this one",
        )),
        Ok(_) => Err(Failure::with_cure(
            format_args!("--control {at}: another host answers there"),
            "end it, or name another file",
        )),
    }
}

/// Hears one request, and answers it.
fn talk(client: &UnixStream, host: &Host, clients: usize) -> io::Result<()> {
    client.set_write_timeout(Some(WITHIN))?;
    let told = if clients > CLIENTS {
        Err(format!("{CLIENTS} others are asking; try again"))
    } else {
        let asked = hear(client, Instant::now() + WITHIN)?;
        let request = Request::parse(&asked.split_whitespace().collect::<Vec<_>>());
        request.and_then(|request| answer::to(host, &request))
    };
    let value: Value = match told {
        Ok(answer) => json!({ "answer": answer }),
        Err(why) => json!({ "error": why }),
    };
    let mut client = client;
    client.write_all(format!("{value}\n").as_bytes())
}

/// A line, if it comes in time and is short enough.
fn hear(mut client: &UnixStream, until: Instant) -> io::Result<String> {
    let mut line = Vec::new();
    let mut piece = [0; LONGEST];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        client.set_read_timeout(Some(left))?;
        match client.read(&mut piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => line.extend_from_slice(&piece[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if let Some(end) = line.iter().position(|&byte| byte == b'\n') {
            line.truncate(end);
            return String::from_utf8(line).map_err(|_| ErrorKind::InvalidData.into());
        }
        if line.len() >= LONGEST {
            return Err(ErrorKind::InvalidData.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
