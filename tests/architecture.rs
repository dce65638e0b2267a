//! The rules of the layout that a machine can check, checked over the sources.
//!
//! Imports point one way (`docs/choices.md`, "Layout"), files stay small, `unsafe` stays in one
//! place, citations stay greppable. Each rule is also run over made-up sources that break it, so
//! that a rule which finds nothing is not a rule which looks at nothing.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The most lines of a file, tests left out.
const MAX_LINES: usize = 500;
/// The most lines of `lib.rs`.
const MAX_LIB_LINES: usize = 150;

const PROTOCOLS: &[&str] = &["arp", "ipv4", "ipv6", "udp", "tcp"];

/// What a module of the crate may name.
#[derive(Clone, Copy, PartialEq)]
enum May {
    /// Everything in it.
    All,
    /// What `header.rs`, `options.rs` and the other wire formats of a protocol define.
    Wire,
    /// The traits and facts of `device/traits.rs`.
    Traits,
}

/// The edges of the layout: (from, to, how much of it). Everything may name itself; what is not here is forbidden.
const EDGES: &[(&str, &[(&str, May)])] = &[
    ("base", &[]),
    ("link", &[("base", May::All)]),
    // An ARP packet names link addresses and EtherTypes.
    ("arp", &[("base", May::All), ("link", May::All)]),
    ("ipv4", &[("base", May::All)]),
    ("ipv6", &[("base", May::All)]),
    ("udp", &[("base", May::All)]),
    ("tcp", &[("base", May::All)]),
    ("dhcp", &[("base", May::All)]),
    // The names of a search list are those of a router's option.
    ("dhcp6", &[("base", May::All), ("ipv6", May::Wire)]),
    ("dns", &[("base", May::All)]),
    // A resolver over the sockets of a stack.
    (
        "names",
        &[
            ("base", May::All),
            ("dns", May::All),
            ("stack", May::All),
            ("tcp", May::All),
        ],
    ),
    (
        "device",
        &[("base", May::All), ("link", May::All), PROTOCOL_WIRE],
    ),
    (
        "decode",
        &[
            ("base", May::All),
            ("link", May::All),
            ("dhcp", May::Wire),
            ("dhcp6", May::Wire),
            PROTOCOL_WIRE,
        ],
    ),
    (
        "capture",
        &[
            ("base", May::All),
            ("link", May::All),
            ("device", May::All),
            PROTOCOL_WIRE,
        ],
    ),
    ("capture/replay", REPLAY),
    ("capture/foreign", REPLAY),
    (
        "stack",
        &[
            ("base", May::All),
            ("link", May::All),
            ("device", May::Traits),
            ("dhcp", May::All),
            ("dhcp6", May::All),
            PROTOCOL_ALL,
        ],
    ),
    ("host", HOST),
    ("sim", HOST),
    ("drill", HOST),
    // Pages, no code.
    ("guide", &[]),
];

const REPLAY: &[(&str, May)] = &[
    ("base", May::All),
    ("link", May::All),
    ("device", May::All),
    ("capture", May::All),
    ("stack", May::All),
    ("decode", May::All),
    ("dhcp", May::All),
    PROTOCOL_ALL,
];

const HOST: &[(&str, May)] = &[
    ("base", May::All),
    ("link", May::All),
    ("device", May::All),
    ("capture", May::All),
    ("stack", May::All),
    ("dns", May::All),
    ("names", May::All),
    ("dhcp", May::All),
    PROTOCOL_ALL,
];

/// Stands for each of [`PROTOCOLS`].
const PROTOCOL_WIRE: (&str, May) = ("*", May::Wire);
const PROTOCOL_ALL: (&str, May) = ("*", May::All);

/// The files of a protocol that hold wire formats, not state or rules.
const WIRE: &[&str] = &[
    "header",
    "message",
    "options",
    "packet",
    "extension",
    "icmp",
    "ndp",
    "igmp",
    "mld",
];

struct Source {
    /// Below `src/`, such as `tcp/header.rs`.
    path: String,
    text: String,
}

#[test]
fn the_sources_keep_the_rules() {
    let sources = read_sources();
    assert!(sources.len() > 20, "the sources were not found");
    let broken = check(&sources);
    assert!(
        broken.is_empty(),
        "{} rules broken:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

/// The counting allocator of `tests/memory.rs` is all the `unsafe` beside `device/sys.rs`.
#[test]
fn tests_are_safe_but_for_the_counting_allocator() {
    let mut found = Vec::new();
    for folder in ["tests", "benches", "examples", "fuzz"] {
        for source in read_folder(folder) {
            if words(&blank(&source.text)).any(|word| word == "unsafe") {
                found.push(format!("{folder}/{}", source.path));
            }
        }
    }
    assert_eq!(found, ["tests/memory.rs"]);
}

/// One loop drives a stack, and it is a type of `stack`: tests and fuzz targets have none of their own.
/// Examples and benches may show, or measure, a turn's parts.
#[test]
fn nobody_drives_a_stack_but_a_port() {
    let mut found = Vec::new();
    for folder in ["tests", "fuzz"] {
        for source in read_folder(folder) {
            // Those of DHCP's client and of the resolver drive these, in the same words.
            let own = ["bodies/dhcp.rs", "bodies/dns.rs"].contains(&source.path.as_str());
            if !own && drives(&blank(&source.text)) {
                found.push(format!("{folder}/{}", source.path));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

/// Does it let time pass, send, or decide when to come again, by hand?
fn drives(code: &str) -> bool {
    words(code).any(|word| ["handle_timeout", "poll_transmit", "poll_timeout"].contains(&word))
}

/// Where the parts of a turn are made, the port, a twin (which is told a turn's parts), and what is in
/// front of a whole stack. (Tests of the
/// stack's parts look at their deadlines; they are no product.)
fn may_drive(path: &str) -> bool {
    let own = [
        "stack/mod.rs",
        "stack/transmit.rs",
        "stack/port.rs",
        "stack/twin.rs",
    ];
    // A client of DHCP and a resolver are driven in the same words, and are no stacks.
    let others = ["dhcp/", "stack/dhcp/", "dns/", "names/", "host/", "sim/"];
    own.contains(&path) || others.iter().any(|other| path.starts_with(other))
}

fn read_sources() -> Vec<Source> {
    read_folder("src")
}

fn read_folder(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(&root).unwrap();
                sources.push(Source {
                    path: below.to_str().unwrap().replace('\\', "/"),
                    text: fs::read_to_string(&path).unwrap(),
                });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// All broken rules, one line each.
fn check(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    let tests = test_files(sources);
    for source in sources {
        let code = blank(&source.text);
        let (product, test_lines) = without_tests(&code);
        let is_test = tests
            .iter()
            .any(|test| source.path.starts_with(test.as_str()));
        let path = &source.path;
        check_size(source, test_lines, is_test, &mut broken);
        if !is_test && !may_drive(path) && drives(&product) {
            broken.push(format!("{path}: drives a stack, which a port does"));
        }
        if path != "device/sys.rs" && words(&code).any(|word| word == "unsafe") {
            broken.push(format!("{path}: unsafe outside device/sys.rs"));
        }
        check_citations(source, &mut broken);
        if !is_test && !path.starts_with("bin/") && path != "lib.rs" {
            check_edges(path, &product, sources, &mut broken);
        }
    }
    broken
}

fn check_size(source: &Source, test_lines: usize, is_test: bool, broken: &mut Vec<String>) {
    let lines = source.text.lines().count() - test_lines;
    let limit = if source.path == "lib.rs" {
        MAX_LIB_LINES
    } else {
        MAX_LINES
    };
    if !is_test && lines > limit {
        broken.push(format!("{}: {lines} lines, at most {limit}", source.path));
    }
}

/// `RFC 9293 §3.8.6.3`: a space before the number, the section sign after it.
fn check_citations(source: &Source, broken: &mut Vec<String>) {
    for (number, line) in source.text.lines().enumerate() {
        let Some((_, comment)) = line.split_once("//") else {
            continue;
        };
        for (at, _) in comment.match_indices("RFC") {
            let rest = &comment[at + 3..];
            let glued = rest.strip_prefix('-').unwrap_or(rest);
            let digits = rest
                .trim_start()
                .trim_start_matches(|c: char| c.is_ascii_digit());
            let after = digits
                .trim_start_matches([',', ' ', '\'', 's'])
                .to_ascii_lowercase();
            let worded = after.starts_with("ection") || after.starts_with("section");
            if glued.starts_with(|c: char| c.is_ascii_digit()) || worded {
                let place = format!("{}:{}", source.path, number + 1);
                broken.push(format!("{place}: cite as `RFC 9293 §3.4`: {}", line.trim()));
            }
        }
    }
}

fn check_edges(path: &str, code: &str, sources: &[Source], broken: &mut Vec<String>) {
    let folder = folder_of(path);
    let Some((_, allowed)) = EDGES.iter().find(|(from, _)| *from == folder) else {
        broken.push(format!(
            "{path}: `{folder}` has no place in the table of this test"
        ));
        return;
    };
    for named in paths(code, path) {
        let target = named[0].as_str();
        let known = EDGES.iter().any(|(from, _)| *from == target);
        if !known || target == folder {
            continue; // the crate's own re-exports, or itself
        }
        let edge = allowed
            .iter()
            .find(|(to, _)| *to == target || (*to == "*" && PROTOCOLS.contains(&target)));
        let allowed = match edge {
            None => false,
            Some((_, May::All)) => true,
            // The bare module; what is taken out of it is a path of its own.
            Some(_) if named.len() == 1 => true,
            Some((_, May::Wire)) => is_from(&named, target, WIRE, sources),
            Some((_, May::Traits)) => is_from(&named, "device", &["traits"], sources),
        };
        if !allowed {
            broken.push(format!(
                "{path}: `{folder}` must not name crate::{}",
                named.join("::")
            ));
        }
    }
}

fn folder_of(path: &str) -> &str {
    for part in ["capture/replay", "capture/foreign"] {
        if path.starts_with(part) {
            return part;
        }
    }
    path.split('/')
        .next()
        .unwrap_or(path)
        .trim_end_matches(".rs")
}

/// Does this path lead to something that one of `files` of `module` defines?
fn is_from(named: &[String], module: &str, files: &[&str], sources: &[Source]) -> bool {
    let Some(second) = named.get(1) else {
        return false;
    };
    files.contains(&second.as_str())
        || origin(module, second, sources).is_some_and(|file| files.contains(&file.as_str()))
}

/// The file that `module/mod.rs` re-exports `item` from.
fn origin(module: &str, item: &str, sources: &[Source]) -> Option<String> {
    let path = format!("{module}/mod.rs");
    let source = sources.iter().find(|source| source.path == path)?;
    let code = blank(&source.text);
    let tokens = tokens(&code);
    for (at, token) in tokens.iter().enumerate() {
        if *token == "use" {
            for tree in use_tree(&tokens, &mut (at + 1)) {
                if tree.len() >= 2 && tree.last().is_some_and(|last| last == item) {
                    let first = tree
                        .iter()
                        .find(|part| !["self", "super", "crate"].contains(&part.as_str()));
                    return first.cloned();
                }
            }
        }
    }
    None
}

/// Every path that leaves the module of `file` towards the crate's root, without its `crate`.
fn paths(code: &str, file: &str) -> BTreeSet<Vec<String>> {
    let depth = depth_of(file);
    let tokens = tokens(code);
    let mut found = BTreeSet::new();
    for (at, token) in tokens.iter().enumerate() {
        let continued = at > 0 && tokens[at - 1] == "::";
        if continued || !["crate", "super"].contains(token) || tokens.get(at + 1) != Some(&"::") {
            continue;
        }
        for tree in use_tree(&tokens, &mut { at }) {
            let supers = tree.iter().take_while(|part| *part == "super").count();
            let skip = if supers == 0 { 1 } else { supers };
            // Inline modules are few and hold tests, so a file is a module.
            if (supers == 0 || supers >= depth) && tree.len() > skip {
                let mut path = tree[skip..].to_vec();
                if path.last().is_some_and(|last| last == "self") {
                    path.pop();
                }
                if let [module] = &path[..] {
                    found.extend(taken_out(&tokens, module));
                }
                found.insert(path);
            }
        }
    }
    found
}

/// What a file that imported a whole module takes out of it: `module::item`.
fn taken_out(tokens: &[&str], module: &str) -> Vec<Vec<String>> {
    let starts = |at: usize| {
        tokens[at] == module
            && tokens.get(at + 1) == Some(&"::")
            && (at == 0 || tokens[at - 1] != "::")
    };
    (0..tokens.len())
        .filter(|at| starts(*at))
        .flat_map(|at| use_tree(tokens, &mut { at }))
        .collect()
}

/// How many `super` lead from a file to the crate's root.
fn depth_of(file: &str) -> usize {
    let parts = file.trim_end_matches(".rs").trim_end_matches("/mod");
    parts.split('/').count()
}

/// The paths of a use tree (or a plain path) that begins at `at`.
fn use_tree(tokens: &[&str], at: &mut usize) -> Vec<Vec<String>> {
    let mut prefix = Vec::new();
    while let Some(token) = tokens.get(*at) {
        if *token == "{" {
            *at += 1;
            return group(tokens, at, &prefix);
        }
        if !token.starts_with(is_word) && *token != "*" {
            break;
        }
        prefix.push((*token).to_owned());
        *at += 1;
        if tokens.get(*at) != Some(&"::") {
            break;
        }
        *at += 1;
    }
    vec![prefix]
}

/// The paths between braces, each behind `prefix`.
fn group(tokens: &[&str], at: &mut usize, prefix: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    while let Some(token) = tokens.get(*at) {
        if *token == "}" {
            *at += 1;
            break;
        }
        let before = *at;
        for tail in use_tree(tokens, at) {
            if !tail.is_empty() {
                found.push(prefix.iter().cloned().chain(tail).collect());
            }
        }
        if tokens.get(*at) == Some(&"as") {
            *at += 2;
        }
        if *at == before || tokens.get(*at) == Some(&",") {
            *at += 1;
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

/// Words, `::` and single signs.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..len]);
        rest = rest[len..].trim_start();
    }
    tokens
}

/// The source with comments, strings and character literals blanked out, its lines kept.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = literal_or_comment(rest);
        if skipped == 0 {
            code.push(first);
            let word = code.len();
            rest = &rest[first.len_utf8()..];
            if is_word(first) {
                // A whole word at once, so that its last letter is no prefix of a literal.
                let more = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                code.push_str(&rest[..more]);
                rest = &rest[more..];
            }
            debug_assert!(word <= code.len());
        } else {
            code.extend(
                rest[..skipped]
                    .chars()
                    .map(|c| if c == '\n' { '\n' } else { ' ' }),
            );
            rest = &rest[skipped..];
        }
    }
    code
}

/// Bytes of the comment or literal that `rest` begins with; zero when it begins with neither.
fn literal_or_comment(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    let unprefixed = rest.trim_start_matches(['b', 'c', 'r']);
    let prefix = rest.len() - unprefixed.len();
    let hashes = unprefixed.len() - unprefixed.trim_start_matches('#').len();
    let raw = rest[..prefix].ends_with('r');
    if prefix <= 2 && raw && unprefixed[hashes..].starts_with('"') {
        let close = format!("\"{}", "#".repeat(hashes));
        let body = &unprefixed[hashes + 1..];
        let end = body
            .find(&close)
            .map_or(body.len(), |end| end + close.len());
        return prefix + hashes + 1 + end;
    }
    if prefix <= 1 && unprefixed.starts_with('"') {
        return prefix + quoted(unprefixed, '"');
    }
    let mut after = unprefixed.chars().skip(1);
    let is_char =
        unprefixed.starts_with('\'') && (after.next() == Some('\\') || after.next() == Some('\''));
    if prefix <= 1 && is_char {
        prefix + quoted(unprefixed, '\'')
    } else {
        0
    }
}

/// Bytes up to and with the closing quote.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

const TEST: &str = "#[cfg(test)]";

/// Blanked code without its `#[cfg(test)]` items, and how many lines those had.
fn without_tests(code: &str) -> (String, usize) {
    let mut product = String::new();
    let mut lines = 0;
    let mut rest = code;
    while let Some(start) = rest.find(TEST) {
        product.push_str(&rest[..start]);
        let len = item_len(&rest[start..]);
        let item = &rest[start..start + len];
        lines += item.lines().count();
        rest = &rest[start + len..];
    }
    product.push_str(rest);
    (product, lines)
}

/// Bytes of an item with its attributes: up to a `;` outside of brackets, or its closing brace.
fn item_len(code: &str) -> usize {
    let mut depth = 0usize;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if c == '}' && depth == 0 {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Where test modules in files of their own lie: `tcp/tests.rs`, `tcp/tests/`.
fn test_files(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        // One that names its file: beside the file that names it.
        let beside = source.path.rfind('/').map_or(0, |slash| slash + 1);
        for named in source.text.split("#[cfg(test)]\n#[path = \"").skip(1) {
            let file = named.split('"').next().unwrap_or_default();
            found.push(format!("{}{file}", &source.path[..beside]));
        }
        let code = blank(&source.text);
        let mut rest = code.as_str();
        while let Some(start) = rest.find(TEST) {
            let item = &rest[start..start + item_len(&rest[start..])];
            let tokens = tokens(&item[TEST.len()..]);
            if let Some(at) = tokens.iter().position(|token| *token == "mod")
                && tokens.get(at + 2) == Some(&";")
            {
                let stem = source.path.trim_end_matches(".rs");
                let folder = stem
                    .strip_suffix("mod")
                    .map_or_else(|| format!("{stem}/"), str::to_owned);
                let folder = if source.path == "lib.rs" {
                    String::new()
                } else {
                    folder
                };
                found.push(format!("{folder}{}.rs", tokens[at + 1]));
                found.push(format!("{folder}{}/", tokens[at + 1]));
            }
            rest = &rest[start + item.len()..];
        }
    }
    found
}

// The rules over made-up sources.

fn made_up(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = files
        .iter()
        .map(|(path, text)| Source {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        })
        .collect();
    check(&sources)
}

#[test]
fn forbidden_edges_are_found_however_they_are_written() {
    let rows = [
        ("tcp/send.rs", "use crate::ipv4::Header;"),
        ("tcp/send.rs", "use crate::link::RxFrame;"),
        ("tcp/send.rs", "fn f() { crate::stack::g(); }"),
        (
            "tcp/congestion/reno.rs",
            "use crate::{base::Instant, host::{Host}};",
        ),
        ("tcp/mod.rs", "use super::stack::Stack;"),
        (
            "tcp/congestion/reno.rs",
            "use super::super::super::stack::Stack;",
        ),
        ("base/time.rs", "pub(crate) use crate::link::X;"),
        ("link/frame.rs", "use crate::device::Device;"),
        ("udp/header.rs", "use crate::link::EtherType;"),
        ("stack/mod.rs", "use crate::host::Host;"),
        ("stack/mod.rs", "use crate::device::Tap;"),
        ("stack/mod.rs", "use crate::{capture as c};"),
        ("device/tap.rs", "use crate::stack::Stack;"),
        ("device/tap.rs", "use crate::tcp::connection::Connection;"),
        ("device/tap.rs", "use crate::tcp::Connection;"),
        ("decode/mod.rs", "use crate::capture::Frame;"),
        (
            "decode/mod.rs",
            "use crate::{tcp}; fn f(c: tcp::Connection) {}",
        ),
        (
            "decode/mod.rs",
            "use crate::tcp::{self}; fn f(c: tcp::send::Queue) {}",
        ),
        ("stack/mod.rs", "use crate::device; fn f(t: device::Tap) {}"),
        ("capture/read.rs", "use crate::stack::Stack;"),
        ("newcomer/mod.rs", "fn f() {}"),
    ];
    let tcp = (
        "tcp/mod.rs",
        "pub use header::Header; pub use connection::{Connection, Other};",
    );
    for (path, text) in rows {
        let found = made_up(&[tcp, (path, text)]);
        assert_eq!(found.len(), 1, "{path}: {text}: {found:?}");
        assert!(found[0].starts_with(path), "{found:?}");
    }
}

#[test]
fn what_the_layout_allows_passes() {
    let files = [
        (
            "device/mod.rs",
            "pub use traits::{Device, Transmit}; pub use tap::Tap;",
        ),
        ("tcp/mod.rs", "mod header; pub use header::Header;"),
        (
            "tcp/congestion/reno.rs",
            "use super::super::seq::SeqNum; use crate::base::Instant;",
        ),
        (
            "stack/mod.rs",
            "use crate::{device::Transmit, tcp::Connection, udp, arp::*};",
        ),
        (
            "device/segment.rs",
            "use crate::tcp::{Header, header::LEN}; use crate::link::TxFrame;",
        ),
        ("capture/replay.rs", "use crate::stack::Stack;"),
        (
            "host/mod.rs",
            "use crate::{stack::Stack, device::Tap, capture::Capture};",
        ),
        (
            "tcp/send.rs",
            "// crate::stack::Stack\nconst S: &str = \"crate::stack\"; const R: &str = r#\"\"crate::host::X\"#;",
        ),
        (
            "tcp/plan.rs",
            "fn f<'a>(x: &'a u8) -> char { '\"' }\n#[cfg(test)]\nmod tests { use crate::stack::Stack; }",
        ),
        ("tcp/emit.rs", "#[cfg(test)]\nmod tests;"),
        ("tcp/emit/tests.rs", "use crate::sim::Network;"),
        (
            "tcp/ack.rs",
            "#[cfg(test)]\n#[path = \"ack_tests.rs\"]\nmod tests;",
        ),
        ("tcp/ack_tests.rs", "use crate::sim::Network;"),
        ("lib.rs", "pub use crate::stack::Stack;"),
    ];
    assert_eq!(made_up(&files), Vec::<String>::new());
}

#[test]
fn drivers_are_found() {
    for (path, text, expected) in [
        (
            "capture/replay.rs",
            "fn f(s: &mut Stack) { s.handle_timeout(now); }",
            1,
        ),
        (
            "bin/netloom/get.rs",
            "fn f(s: &Stack) { s.poll_timeout(); }",
            1,
        ),
        ("device/pair.rs", "// as poll_transmit does\nfn f() {}", 0),
        (
            "device/pair.rs",
            "#[cfg(test)]\nmod tests { fn f() { s.poll_timeout() } }",
            0,
        ),
        ("stack/port.rs", "fn f(s: &Stack) { s.poll_timeout(); }", 0),
        ("sim/host.rs", "fn f(s: &Stack) { s.poll_timeout(); }", 0),
    ] {
        assert_eq!(made_up(&[(path, text)]).len(), expected, "{path}: {text}");
    }
}

#[test]
fn sizes_unsafe_and_citations_are_checked() {
    let long = "const A: u8 = 0;\n".repeat(MAX_LINES + 1);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{long}}}\n");
    let lib = "mod a;\n".repeat(MAX_LIB_LINES + 1);
    let rows = [
        ("tcp/send.rs", long.as_str(), 1),
        ("tcp/send.rs", tests.as_str(), 0),
        ("lib.rs", lib.as_str(), 1),
        ("device/sys.rs", "fn f() { unsafe { g() } }", 0),
        ("device/tap.rs", "fn f() { unsafe { g() } }", 1),
        (
            "device/tap.rs",
            "#![deny(unsafe_code)] // nothing unsafe here",
            0,
        ),
        (
            "tcp/send.rs",
            "// RFC 9293 §3.4 MUST-8, and the RFCs after it",
            0,
        ),
        ("tcp/send.rs", "/// As RFC9293 says", 1),
        ("tcp/send.rs", "/// As RFC-9293 says", 1),
        ("tcp/send.rs", "/// As RFC 9293, section 3.4 says", 1),
        ("tcp/send.rs", "/// As RFC 9293's sections say", 1),
    ];
    for (path, text, expected) in rows {
        let found = made_up(&[(path, text)]);
        assert_eq!(found.len(), expected, "{path}: {found:?}");
    }
}
