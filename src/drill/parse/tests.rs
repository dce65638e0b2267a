//! Scripts and what they are read as; texts that are none, and what is said of them.

use core::time::Duration;

use super::super::ast::*;
use super::super::{Defines, SyntaxError};
use crate::tcp::Flags;

fn script(text: &str) -> Script {
    Script::parse(text, &Defines::new()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn error(text: &str) -> SyntaxError {
    Script::parse(text, &Defines::new()).expect_err(text)
}

fn one(text: &str) -> Event {
    let mut script = script(text);
    assert_eq!(script.events.len(), 1, "{text}");
    script.events.remove(0)
}

fn tcp(line: &str) -> Tcp {
    match one(&format!("0 {line}")).action {
        Action::Inject(packet) | Action::Expect(packet) => match packet.body {
            Body::Tcp(tcp) => tcp,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn call(line: &str) -> Call {
    match one(&format!("0 {line}")).action {
        Action::Call(call) => call,
        other => panic!("{other:?}"),
    }
}

fn relative(value: u32) -> Number {
    Number {
        value,
        absolute: false,
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_whole_script_keeps_its_parts_and_lines() {
    let script = script(
        "// head\n--tolerance_usecs=10000\n--non_fatal=packet --local_ip=192.168.0.1\n\
         `sysctl a=1\nsysctl b=2`\n\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n\
         +0 < S 0:0(0) win 100\n   <mss 1000>\n+.1 %{ assert tcpi_state == 1 }%\n`true`\n",
    );
    let options: Vec<_> = script
        .options
        .iter()
        .map(|o| (o.line, o.name.as_str()))
        .collect();
    assert_eq!(
        options,
        [(2, "tolerance_usecs"), (3, "non_fatal"), (3, "local_ip")]
    );
    assert_eq!(script.options[2].value.as_deref(), Some("192.168.0.1"));
    assert_eq!(script.init.unwrap().text, "sysctl a=1\nsysctl b=2");
    let lines: Vec<_> = script.events.iter().map(|event| event.line).collect();
    assert_eq!(lines, [7, 8, 10]);
    assert_eq!(script.cleanup.unwrap().line, 11);
}

#[test]
fn times_of_every_form() {
    let table = [
        ("0", When::At(ms(0)), None),
        ("0.25", When::At(ms(250)), None),
        ("+.05", When::After(ms(50)), None),
        ("+2.000000001", When::After(Duration::new(2, 1)), None),
        ("0...0.2", When::At(ms(0)), Some(ms(200))),
        ("0.1...0.2", When::At(ms(100)), Some(ms(200))),
        ("+0...+.3", When::After(ms(0)), Some(ms(300))),
        ("+.1...0.25", When::After(ms(100)), Some(ms(250))),
        ("+.002 ... 0.05", When::After(ms(2)), Some(ms(50))),
    ];
    for (time, when, until) in table {
        let event = one(&format!("{time} close(3) = 0"));
        assert_eq!((event.when, event.until), (when, until), "{time}");
    }
    let table = [
        ("*", When::Any),
        ("1~2", When::Between(ms(1000), ms(2000))),
        ("+.1~+.2", When::BetweenAfter(ms(100), ms(200))),
        ("+.1 ~+.2", When::BetweenAfter(ms(100), ms(200))),
        ("1 ~ 2", When::Between(ms(1000), ms(2000))),
    ];
    for (time, when) in table {
        assert_eq!(
            one(&format!("{time} > . 1:1(0) ack 1")).when,
            when,
            "{time}"
        );
    }
}

#[test]
fn packets_with_everything() {
    let read = tcp(
        "> (ect0, ttl 3) 80 > 5000 FP.W 1:1001(1000) ack 5 win 7 urg 9 <nop,nop,sack 1:2 7!:8,TS val 4 ecr 5>",
    );
    assert_eq!(read.ports, Some((80, 5000)));
    assert_eq!(
        read.flags,
        Flags::FIN | Flags::PSH | Flags::ACK | Flags::CWR
    );
    assert_eq!((read.seq, read.len), (relative(1), 1000));
    assert_eq!(
        (read.ack, read.window, read.urgent),
        (Some(relative(5)), Some(7), Some(9))
    );
    let absolute = Number {
        value: 7,
        absolute: true,
    };
    let options = vec![
        TcpOption::Nop,
        TcpOption::Nop,
        TcpOption::Sack(vec![(relative(1), relative(2)), (absolute, relative(8))]),
        TcpOption::Timestamps { val: 4, ecr: 5 },
    ];
    assert_eq!(read.options, TcpOptionList::These(options));
}

#[test]
fn lengths_may_say_how_they_are_cut() {
    for (text, len, size) in [
        ("(1000)", 1000, None),
        ("(0x10)", 16, None),
        ("(5x1000)", 5000, Some(1000)),
        ("( 1x48+4 )", 52, Some(48)),
    ] {
        let read = tcp(&format!("> . 1:...{text} ack 1"));
        assert_eq!((read.len, read.size.map(u16::from)), (len, size), "{text}");
    }
    for (text, expected) in [
        ("(2x0)", "segments: how many, `x`, and the bytes of each"),
        ("(x5)", "segments: how many, `x`, and the bytes of each"),
        (
            "(4000000000x9)",
            "a length of at most 4294967295 before this",
        ),
        (
            "(2x5+5)",
            "a last segment that is shorter than the others before this",
        ),
    ] {
        let text = format!("0 > . 1:...{text} ack 1");
        let error = Script::parse(&text, &Defines::new()).unwrap_err();
        assert_eq!(error.expected, expected, "{text}");
    }
    let Action::Inject(packet) = one("0 << . 1:1(0) ack 1").action else {
        panic!("no packet of the peer");
    };
    assert!(packet.joined);
}

#[test]
fn flags_and_ranges_of_every_form() {
    let table = [
        ("S", Flags::SYN),
        ("S.", Flags::SYN | Flags::ACK),
        ("SEW", Flags::SYN | Flags::ECE | Flags::CWR),
        (".", Flags::ACK),
        ("-", Flags::empty()),
        ("R.", Flags::RST | Flags::ACK),
        ("S.5", Flags::SYN | Flags::ACK | Flags::AE | Flags::ECE),
        ("3.", Flags::CWR | Flags::ECE | Flags::ACK),
        ("UA.", Flags::URG | Flags::AE | Flags::ACK),
    ];
    for (flags, wanted) in table {
        assert_eq!(
            tcp(&format!("< {flags} 0:0(0) win 1")).flags,
            wanted,
            "{flags}"
        );
    }
    assert_eq!(tcp("< . 5:...(0) ack 1").seq, relative(5));
    assert_eq!(tcp("< . 4294967295:9(10)").len, 10, "the end wraps");
    assert!(tcp("< . 7!:7!(0) ack 9!").ack.unwrap().absolute);
    assert_eq!(tcp("> . 1:1(0) <...>").options, TcpOptionList::Any);
    assert_eq!(tcp("> . 1:1(0)").options, TcpOptionList::These(Vec::new()));
    let cookie = vec![0xab, 0xcd, 0x12, 0x34];
    let options = TcpOptionList::These(vec![TcpOption::FastOpen(cookie), TcpOption::Nop]);
    assert_eq!(tcp("> . 1:1(0) <FO abcd1234,nop>").options, options);
    let options = TcpOptionList::These(vec![TcpOption::FastOpen(vec![]), TcpOption::SackOk]);
    assert_eq!(tcp("> . 1:1(0) <FO,sackOK>").options, options);
    let options = TcpOptionList::These(vec![TcpOption::Unsupported("FOEXP".into())]);
    assert_eq!(tcp("> . 1:1(0) <FOEXP abcd1234>").options, options);
}

#[test]
fn other_protocols() {
    let body = |line: &str| match one(&format!("0 < {line}")).action {
        Action::Inject(packet) => packet.body,
        other => panic!("{other:?}"),
    };
    let udp = Udp {
        ports: Some((5, 6)),
        len: 1000,
    };
    assert_eq!(body("udp 5 > 6 (1000)"), Body::Udp(udp));
    let icmp = Icmp {
        kind: "unreachable".into(),
        code: Some("frag_needed".into()),
        mtu: Some(1200),
        id: None,
        quoted: Some(Quoted::Tcp {
            flags: None,
            ack: None,
            seq: relative(1),
            len: 1460,
        }),
    };
    assert_eq!(
        body("icmp unreachable frag_needed mtu 1200 [1:1461(1460)]"),
        Body::Icmp(icmp)
    );
    let Body::Icmp(echo) = body("icmp echo_request id 7 [raw (20)]") else {
        panic!("no icmp");
    };
    assert_eq!(
        (echo.id, echo.quoted),
        (Some(7), Some(Quoted::Raw { len: 20 }))
    );
    assert_eq!(body("sctp: INIT[flgs=0]"), Body::Unsupported("sctp".into()));
    assert_eq!(body("gre: . 1:1(0)"), Body::Unsupported("gre".into()));
    assert_eq!(
        body("[proto 7] . 1:1(0)"),
        Body::Unsupported("proto".into())
    );
}

#[test]
fn calls_with_arguments_of_every_form() {
    let read = call(
        "setsockopt(3, SOL_SOCKET, SO_LINGER, {onoff=1, linger=2}, 8) = -1 EINVAL (Invalid argument)",
    );
    assert_eq!((read.name.as_str(), read.args.len()), ("setsockopt", 5));
    assert_eq!(read.args[0], Arg::Number(3));
    let field = |name: &str, value| Field {
        name: Some(name.into()),
        length: None,
        value,
    };
    let linger = vec![
        field("onoff", Arg::Number(1)),
        field("linger", Arg::Number(2)),
    ];
    assert_eq!(read.args[3], Arg::Record(linger));
    assert_eq!(
        (read.result, read.errno.as_deref()),
        (Arg::Number(-1), Some("EINVAL"))
    );

    let read = call("fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0x2 (flags O_RDWR)");
    let flags = ["O_RDWR", "O_NONBLOCK"].map(|name| Arg::Name(name.into()));
    assert_eq!(read.args[2], Arg::Or(flags.to_vec()));
    assert_eq!((read.result, read.errno), (Arg::Number(2), None));

    let read = call(
        "connect(3, {sa_family = AF_INET, sin_port = htons(8080),\n sin_addr = inet_addr(\"192.0.2.1\")}, ...) = 0",
    );
    let Arg::Record(fields) = &read.args[1] else {
        panic!("no record");
    };
    let port = Arg::Function("htons".into(), vec![Arg::Number(8080)]);
    assert_eq!(fields[1].value, port);

    let read = call(
        "recvmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 100},{..., 5}], msg_flags=0}, 0) = ?",
    );
    let Arg::Record(fields) = &read.args[1] else {
        panic!("no record");
    };
    assert_eq!(fields[1].length, Some(Arg::Number(2)));
    assert_eq!(read.result, Arg::Any);

    let read = call("poll([{fd=4, events=POLLIN, revents=POLLIN|POLLOUT}], 1, 0) = 1");
    assert!(matches!(&read.args[0], Arg::List(list) if list.len() == 1));
}

#[test]
fn an_error_and_a_note_end_with_their_line() {
    let script = script("0 close(3) = -1 EBADF (Bad file descriptor)\n+0 read(3, ..., 1) = 1\n");
    assert_eq!(script.events.len(), 2);
}

fn statements(code: &str) -> Vec<Statement> {
    match one(&format!("0 %{{ {code} }}%")).action {
        Action::Code(statements) => statements,
        other => panic!("{other:?}"),
    }
}

#[test]
fn code_binds_as_it_should() {
    let name = |name: &str| Expr::Name(name.into());
    let number = Expr::Number;
    let binary = |op, a, b| Expr::Binary(op, Box::new(a), Box::new(b));
    let cases = [
        (
            "a + 2 * 3 == b & 4",
            Expr::Compare(
                Box::new(binary(
                    Operator::Add,
                    name("a"),
                    binary(Operator::Multiply, number(2), number(3)),
                )),
                vec![(
                    Comparison::Equal,
                    binary(Operator::BitAnd, name("b"), number(4)),
                )],
            ),
        ),
        (
            "not 1 < a <= 3 and b or c",
            Expr::Or(
                Box::new(Expr::And(
                    Box::new(Expr::Not(Box::new(Expr::Compare(
                        Box::new(number(1)),
                        vec![
                            (Comparison::Less, name("a")),
                            (Comparison::LessOrEqual, number(3)),
                        ],
                    )))),
                    Box::new(name("b")),
                )),
                Box::new(name("c")),
            ),
        ),
        (
            "1 << 3 > -0x10",
            Expr::Compare(
                Box::new(binary(Operator::ShiftLeft, number(1), number(3))),
                vec![(Comparison::Greater, Expr::Minus(Box::new(number(16))))],
            ),
        ),
    ];
    for (code, wanted) in cases {
        let read = statements(&format!("assert {code}"));
        let StatementKind::Assert { condition, message } = &read[0].kind else {
            panic!("{read:?}");
        };
        assert_eq!((condition, message), (&wanted, &None), "{code}");
    }
}

#[test]
fn statements_end_with_lines_and_semicolons_but_not_in_brackets() {
    let read = statements(
        "\nassert tcpi_snd_cwnd == 10, tcpi_snd_cwnd # why\nx = (1 +\n 2); assert (x,\n 'text')\nprint(x)\n",
    );
    let kinds: Vec<_> = read
        .iter()
        .map(|statement| match &statement.kind {
            StatementKind::Assert { message, .. } => format!("assert {}", message.is_some()),
            StatementKind::Assign(name, _) => format!("{name} ="),
            StatementKind::Unsupported(name) => name.clone(),
        })
        .collect();
    assert_eq!(kinds, ["assert true", "x =", "assert false", "print"]);
    assert_eq!(read[1].text, "x = (1 +\n 2)");
    assert_eq!(read[1].line, 3);
}

/// What is not a script is told with its place and what would have been right there.
#[test]
fn errors_name_line_column_and_what_was_expected() {
    let table: &[(&str, u32, u32, &str)] = &[
        ("", 1, 1, "an event"),
        ("0 socket(3 = 3", 1, 12, "`,` or `)`"),
        ("0 socket() 3", 1, 12, "`=`"),
        ("0\n +0 close(3) = 0", 2, 2, "`<` or `>`"),
        ("0 < S 0:5(4) win 1", 1, 9, "4, which is start and length"),
        ("0 < Q 0:0(0)", 1, 5, "flags"),
        ("0 < S. 0:0(0) ack x", 1, 19, "an acknowledgment number"),
        ("0 < . 1:1(0) win 65536", 1, 18, "a window of at most 65535"),
        ("0 < . 1:1(0) <mss>", 1, 18, "a segment size"),
        ("0 < . 1:1(0) <sack>", 1, 19, "a block"),
        ("0 < . 1:1(0) <nop nop>", 1, 19, "`,` or `>`"),
        (
            "0 < . 1:4294967296(0)",
            1,
            9,
            "the sequence number of the end of at most",
        ),
        ("x close(3) = 0", 1, 1, "a time in seconds"),
        ("99999999999 close(3) = 0", 1, 1, "a time of at most"),
        ("*  close(3) = 0", 1, 1, "one time"),
        ("0...1 < . 1:1(0)", 1, 1, "one time"),
        (
            "+1...0.5 close(3) = 0",
            1,
            9,
            "an end that is not before the start",
        ),
        ("1~+2 > . 1:1(0)", 1, 4, "both ends"),
        ("0 `sysctl", 1, 10, "a closing ```"),
        ("0 %{ assert 1", 1, 14, "`}%`"),
        ("0 %{ assert 1 + }%", 1, 17, "a number, a name"),
        ("0 %{ assert 1 2 }%", 1, 15, "the end of the statement"),
        ("0 close(3) = 0\n`a` `b`", 2, 5, "the end"),
        ("--=1\n0 close(3) = 0", 1, 3, "the name of an option"),
        ("0 f({a=1, 2=3}) = 0", 1, 13, "`,` or `}`"),
    ];
    for &(text, line, column, expected) in table {
        let error = error(text);
        assert_eq!(
            (error.line, error.column),
            (line, column),
            "{text}: {error}"
        );
        assert!(error.expected.starts_with(expected), "{text}: {error}");
    }
}

/// Each sign of a chain is one more level of the tree that is walked and dropped.
#[test]
fn a_chain_of_operators_is_bounded() {
    for sign in ["+", " and ", " or ", "<<", "|"] {
        let chain =
            |count: usize| format!("0 %{{ assert 1{} }}%", format!("{sign}1").repeat(count));
        assert!(
            Script::parse(&chain(200), &Defines::new()).is_ok(),
            "{sign}"
        );
        for count in [201, 100_000] {
            let error = error(&chain(count));
            assert_eq!(error.expected, "a statement with fewer operators");
        }
    }
}

/// The longest script of the shortest events: the line of each is looked up and not counted.
#[test]
fn many_events_are_read_in_a_time_that_grows_with_their_number() {
    let script = script(&"0 %{}%\n".repeat(149_000));
    assert_eq!(script.event_count(), 149_000);
    assert_eq!(script.events.last().unwrap().line, 149_000);
}

#[test]
fn depth_is_bounded_and_nothing_panics() {
    for (open, close) in [("[", "]"), ("{", "}"), ("f(", ")")] {
        let deep = format!("0 f({}{}) = 0", open.repeat(5000), close.repeat(5000));
        assert!(error(&deep).expected.contains("less deep"));
    }
    for sign in ["(", "-", "not "] {
        let deep = format!("0 %{{ assert {}1 }}%", sign.repeat(100_000));
        assert!(error(&deep).expected.contains("less deep"));
    }
}

mod property {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the text, reading it ends, with an error that lies in it.
        #[test]
        fn parsing_is_total(text in "(\\PC|\n|`|%\\{|\\}%|\"|<|>|0 |\\+1 |\\.\\.\\.|#ifdef A\n|#else\n){0,60}") {
            if let Err(error) = Script::parse(&text, &Defines::new()) {
                let lines = text.matches('\n').count() + 1;
                prop_assert!(error.line as usize <= lines, "{error}");
            }
        }

        /// The same of texts that are nearly scripts: a good one with a piece cut out or put in.
        #[test]
        fn parsing_what_is_nearly_a_script_is_total(at in 0usize..600, cut in 0usize..20, put in "\\PC{0,4}") {
            let good = include_str!("sample.pkt");
            let from = at.min(good.len());
            let to = (from + cut).min(good.len());
            if let (Some(head), Some(tail)) = (good.get(..from), good.get(to..)) {
                let _ = Script::parse(&format!("{head}{put}{tail}"), &Defines::new());
            }
        }
    }
}
