//! `netloom ip`: what a running host has of addresses, routes and neighbours, and changes to it, as ip(8) has it for a kernel.
//!
//! *Owns* the lines. *Does not* know hosts: it asks one over its control socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::control::{LONGEST, Request};
use crate::failure::Failure;
use crate::output::say;

/// Ask a running host, or change it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The socket that the host was given with --control.
    #[arg(long, value_name = "PATH")]
    control: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// addr, route, neigh, lease or link; addr add CIDR, addr del CIDR, route add CIDR|default [via IP], route del CIDR|default [via IP],
    /// link set mtu N, link set up, link set down; and dev N behind it for another interface than the first.
    #[arg(value_name = "WORDS", required = true, num_args = 1..=9)]
    words: Vec<String>,
}

/// How long a host may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Bytes of an answer: more routes and neighbours than a host has by default.
const MOST: u64 = 64 << 20;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    let line = format!("{}\n", words.join(" "));
    let checked = Request::parse(&words).map(|_| line.len() <= LONGEST);
    match checked {
        Ok(true) => {}
        Ok(false) => return Err(Failure::usage("that is too long", "say less")),
        Err(why) => return Err(Failure::usage("this cannot be asked", why)),
    }
    let answer = ask(args, &line).map_err(|error| {
        Failure::with_cure(
            format_args!("{}: {error}", args.control.display()),
            "does a host run that was started with this --control, and as the same user?",
        )
    })?;
    let answer: Value = serde_json::from_str(&answer)
        .map_err(|error| Failure::new(format_args!("not an answer: {error}")))?;
    if let Some(why) = answer["error"].as_str() {
        return Err(Failure::new(why));
    }
    let answer = &answer["answer"];
    if args.json {
        return say(format_args!("{answer:#}"));
    }
    for row in answer.as_array().into_iter().flatten() {
        say(told(row))?;
    }
    Ok(())
}

fn ask(args: &Args, line: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(&args.control)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    let asked = stream.write_all(line.as_bytes());
    let mut answer = Vec::new();
    let heard = stream.take(MOST).read_to_end(&mut answer);
    // A host that has no time for one more may have answered and closed before it heard: a whole line stands.
    if !answer.ends_with(b"\n") {
        asked?;
        heard?;
    }
    String::from_utf8(answer).map_err(|_| std::io::ErrorKind::InvalidData.into())
}

/// A row as a line.
fn told(row: &Value) -> String {
    let text = |name: &str| match &row[name] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let of = |name: &str| text(name).unwrap_or_default();
    let life = |name: &str| text(name).map_or_else(|| "forever".to_owned(), |s| format!("{s}sec"));
    let number = of("ifindex");
    if row["prefixlen"].is_u64() {
        let (family, local, len) = (of("family"), of("local"), of("prefixlen"));
        let (state, origin) = (of("state"), of("origin"));
        let (valid, preferred) = (life("valid_life_time"), life("preferred_life_time"));
        return format!(
            "{number}: {family} {local}/{len} {state} {origin} valid_lft {valid} preferred_lft {preferred}"
        );
    }
    if row["mtu"].is_u64() {
        let mac = text("address").map_or_else(String::new, |mac| format!(" link/ether {mac}"));
        return format!("{number}: mtu {} state {}{mac}", of("mtu"), of("operstate"));
    }
    if let Some(server) = text("server") {
        let (address, time) = (of("address"), life("lease_time"));
        return format!("{number}: {address} from {server} lease {time}");
    }
    let dst = of("dst");
    if let Some(state) = text("state") {
        let mac = text("lladdr").map_or_else(String::new, |mac| format!(" lladdr {mac}"));
        return format!("{dst} dev {number}{mac} {state}");
    }
    let via = text("gateway").map_or_else(String::new, |via| format!(" via {via}"));
    format!("{dst}{via} dev {number} {}", of("origin"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_are_lines() {
        for (row, line) in [
            (
                json!({"ifindex": 1, "family": "inet", "local": "10.7.0.2", "prefixlen": 24, "state": "preferred",
                    "origin": "given", "valid_life_time": null, "preferred_life_time": 9}),
                "1: inet 10.7.0.2/24 preferred given valid_lft forever preferred_lft 9sec",
            ),
            (
                json!({"ifindex": 2, "mtu": 1500, "operstate": "UP", "address": "02:00:00:00:00:01"}),
                "2: mtu 1500 state UP link/ether 02:00:00:00:00:01",
            ),
            (
                json!({"ifindex": 1, "mtu": 1400, "operstate": "DOWN", "address": null}),
                "1: mtu 1400 state DOWN",
            ),
            (
                json!({"ifindex": 1, "dst": "default", "gateway": "10.7.0.1", "origin": "given"}),
                "default via 10.7.0.1 dev 1 given",
            ),
            (
                json!({"ifindex": 1, "dst": "10.7.0.0/24", "gateway": null, "origin": "given"}),
                "10.7.0.0/24 dev 1 given",
            ),
            (
                json!({"ifindex": 1, "dst": "10.7.0.1", "lladdr": "02:00:00:00:00:01", "state": "REACHABLE"}),
                "10.7.0.1 dev 1 lladdr 02:00:00:00:00:01 REACHABLE",
            ),
            (
                json!({"ifindex": 1, "dst": "10.7.0.9", "lladdr": null, "state": "INCOMPLETE"}),
                "10.7.0.9 dev 1 INCOMPLETE",
            ),
            (
                json!({"ifindex": 1, "address": "10.7.0.2/24", "server": "10.7.0.1", "lease_time": 60}),
                "1: 10.7.0.2/24 from 10.7.0.1 lease 60sec",
            ),
        ] {
            assert_eq!(told(&row), line);
        }
    }
}
