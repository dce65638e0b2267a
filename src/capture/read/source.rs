//! Bytes of a file, in order, with the position known and every short read explained.

use std::io::{self, BufReader, Read};

use super::Ended;

/// A buffered source that knows where it is.
#[derive(Debug)]
pub(super) struct Source<R> {
    from: BufReader<R>,
    at: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from: BufReader::with_capacity(64 << 10, from),
            at: 0,
        }
    }

    /// Bytes read so far.
    pub(super) const fn position(&self) -> u64 {
        self.at
    }

    /// Exactly `N` bytes. An end before the first of them is the file's proper one.
    pub(super) fn array_or_end<const N: usize>(&mut self) -> Result<[u8; N], Ended> {
        let mut bytes = [0; N];
        match self.fill(&mut bytes)? {
            0 => Err(Ended::Complete),
            got if got == N => Ok(bytes),
            got => Err(self.cut(N - got)),
        }
    }

    /// Exactly `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Ended> {
        match self.array_or_end() {
            Err(Ended::Complete) => Err(self.cut(N)),
            outcome => outcome,
        }
    }

    /// Exactly `len` bytes; memory grows with what really arrives, not with what was promised.
    pub(super) fn bytes(&mut self, len: u64) -> Result<Vec<u8>, Ended> {
        let mut bytes = Vec::new();
        let outcome = (&mut self.from).take(len).read_to_end(&mut bytes);
        let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.at += got;
        match outcome {
            Err(source) => Err(self.failed(source)),
            Ok(_) if got < len => Err(Ended::Cut {
                at: self.at,
                missing: len - got,
            }),
            Ok(_) => Ok(bytes),
        }
    }

    /// Passes over `len` bytes without keeping them.
    pub(super) fn skip(&mut self, len: u64) -> Result<(), Ended> {
        let outcome = io::copy(&mut (&mut self.from).take(len), &mut io::sink());
        match outcome {
            Err(source) => Err(self.failed(source)),
            Ok(got) => {
                self.at += got;
                if got < len {
                    return Err(Ended::Cut {
                        at: self.at,
                        missing: len - got,
                    });
                }
                Ok(())
            }
        }
    }

    /// Reads until `into` is full or the source ends.
    fn fill(&mut self, into: &mut [u8]) -> Result<usize, Ended> {
        let mut got = 0;
        while got < into.len() {
            match self.from.read(&mut into[got..]) {
                Ok(0) => break,
                Ok(more) => {
                    got += more;
                    self.at += u64::try_from(more).unwrap_or(0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.failed(source)),
            }
        }
        Ok(got)
    }

    fn cut(&self, missing: usize) -> Ended {
        Ended::Cut {
            at: self.at,
            missing: u64::try_from(missing).unwrap_or(u64::MAX),
        }
    }

    const fn failed(&self, source: io::Error) -> Ended {
        Ended::Io {
            at: self.at,
            source,
        }
    }
}
