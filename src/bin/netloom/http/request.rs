//! A request's head: what matters of its line and its fields.
//!
//! RFC 9112 §3, §5, §6. *Does not* read: a head comes whole, and bounded.

use super::{After, Status};

/// The most header fields of a request.
pub(super) const FIELD_LIMIT: usize = 100;
/// How a request's body is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

/// What matters of a request's head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) framing: Framing,
    pub(super) expects_continue: bool,
    pub(super) after: After,
}

impl Head {
    pub(super) fn parse(text: &str) -> Result<Self, Status> {
        let mut lines = text.lines();
        let request = lines.next().unwrap_or_default();
        let mut words = request.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Status::BadRequest);
        };
        let persistent = match version {
            "HTTP/1.1" => true,
            "HTTP/1.0" => false,
            other if other.starts_with("HTTP/") => return Err(Status::Version),
            _ => return Err(Status::BadRequest),
        };
        if method.is_empty() || target.is_empty() {
            return Err(Status::BadRequest);
        }
        let fields = Fields::parse(lines)?;
        if persistent && fields.hosts != 1 {
            // RFC 9112 §3.2: a request without exactly one Host is refused.
            return Err(Status::BadRequest);
        }
        let framing = match (fields.chunked, fields.length) {
            // RFC 9112 §6.1: both at once is an attempt at request smuggling.
            (true, Some(_)) => return Err(Status::BadRequest),
            (true, None) => Framing::Chunked,
            (false, length) => Framing::Length(length.unwrap_or(0)),
        };
        let keep = !fields.close && (persistent || fields.keep_alive);
        Ok(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            framing,
            expects_continue: persistent && fields.expects_continue,
            after: if keep { After::KeepAlive } else { After::Close },
        })
    }
}

#[derive(Default)]
struct Fields {
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
}

impl Fields {
    fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Self, Status> {
        let mut fields = Self::default();
        for (at, line) in lines.enumerate() {
            if at >= FIELD_LIMIT {
                return Err(Status::HeadTooLarge);
            }
            let (name, value) = line.split_once(':').ok_or(Status::BadRequest)?;
            // RFC 9112 §5.1, §5.2: no white space before the colon, no folding.
            if name.is_empty() || name.contains([' ', '\t']) {
                return Err(Status::BadRequest);
            }
            fields.take(&name.to_ascii_lowercase(), value.trim_matches([' ', '\t']))?;
        }
        Ok(fields)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Status> {
        let has = |token: &str| {
            value
                .split(',')
                .any(|one| one.trim().eq_ignore_ascii_case(token))
        };
        match name {
            "host" => self.hosts += 1,
            "content-length" => {
                let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
                let length = value.parse().ok().filter(|_| digits);
                let length = length.ok_or(Status::BadRequest)?;
                if self.length.is_some_and(|other| other != length) {
                    return Err(Status::BadRequest);
                }
                self.length = Some(length);
            }
            "transfer-encoding" if self.chunked => return Err(Status::BadRequest),
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => self.chunked = true,
            "transfer-encoding" => return Err(Status::NotImplemented),
            "connection" => {
                self.close |= has("close");
                self.keep_alive |= has("keep-alive");
            }
            "expect" if value.eq_ignore_ascii_case("100-continue") => self.expects_continue = true,
            "expect" => return Err(Status::ExpectationFailed),
            _ => {}
        }
        Ok(())
    }
}
