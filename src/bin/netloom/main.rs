//! The command-line tool: each subcommand is a file, each error one line.
//!
//! Exit status: 0 done, 1 failed, 2 wrong usage, 3 unsupported (`drill`). SIGINT and SIGTERM end every host in order: `serve`, `route`, `proxy` and
//! `dump` are done then, `get` and `send` have failed.
#![allow(clippy::cast_possible_truncation)]
#![deny(clippy::print_stdout)]

mod control;
mod demo;
mod drill;
mod dump;
mod failure;
mod get;
mod http;
mod interface_args;
mod ip;
mod mistakes;
mod namespace;
mod output;
mod ping;
mod proxy;
mod rate;
mod replay;
mod route;
mod running;
mod send;
mod serve;
mod services;
mod signals;
mod sim;
mod slots;
mod trace;
mod values;
mod web;
mod whom;
mod written_args;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXIT_STATUS: &str = "Exit status: 0 done, 1 failed, 2 wrong usage, 3 unsupported (drill). SIGINT and SIGTERM end a \
    host in order; for serve, route, proxy and dump that is 0, for get and send 1.";

/// A userspace TCP/IP stack over TAP and TUN.
#[derive(Debug, Parser)]
#[command(name = "netloom", version, arg_required_else_help = true, after_help = EXIT_STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure netloom against the kernel, in a namespace of its own.
    Demo(demo::Args),
    /// Run scripts in packetdrill's notation against the stack, in virtual time.
    ///
    /// Prints what each script that does not pass expected and what came, with the last packets before
    /// it, and a summary by folder. Shell commands in scripts are never run: those that set what netloom
    /// can be told are understood, all others are unsupported.
    #[command(after_help = drill::EXIT_STATUS)]
    Drill(drill::Args),
    /// Print one decoded line per packet, from a capture or a live device.
    ///
    /// Times are of the day, in UTC. A capture that is cut in a later record is printed up to there and
    /// is no failure.
    #[command(after_help = dump::FILTERS)]
    Dump(dump::Args),
    /// Fetch a URL and print what came and how fast.
    Get(get::Args),
    /// Ask a host that runs with --control for its addresses, routes, neighbours and leases, or change them.
    Ip(ip::Args),
    /// Send echo requests and print the round trips.
    Ping(ping::Args),
    /// Send what comes into a device on over a SOCKS5 proxy: TCP by connections, UDP by flows.
    ///
    /// Whatever the kernel routes into the device, for any address and port, goes on. A connection is accepted when the proxy
    /// has made the outer one; a refusal is told as it is (reset, unreachable, prohibited), a proxy that says nothing by silence. Prints
    /// `ready` when it passes on, its counters at SIGUSR1, with an empty line behind them, and at the end.
    Proxy(proxy::Args),
    /// Tell a recorded run to a fresh stack, without a network, and say what it does otherwise.
    ///
    /// Prints that all of it was the same, or the first difference: packet (as Wireshark numbers them),
    /// field, what was recorded, what came. Exits with 1 then. A recording that ends early is replayed up
    /// to its last whole input.
    ///
    /// With --from or --to FILE is any capture, pcap or pcapng: one end of it is fed in virtual time, our stack
    /// takes the other's place, and what it does otherwise is listed by class. Exits with 1 when it breaks
    /// what must hold (every byte as it was sent, every drop counted, nothing left behind).
    Replay(replay::Args),
    /// Pass packets on between devices, as a router.
    ///
    /// Each --tap or --tun begins an interface, and the options behind it are its own, up to the next; --capture and --record are of
    /// all. Other hosts are told of no router: they need a gateway by hand. Prints `ready` when its addresses can be used, its counters
    /// at SIGUSR1, with an empty line behind them, and at the end.
    Route(route::Args),
    /// Send data to a TCP port and print how fast it was taken.
    Send(send::Args),
    /// Answer as a host: echo, discard and chargen over TCP and UDP, and HTTP on port 80.
    ///
    /// TCP and UDP echo (7), discard (9) and chargen (19), and HTTP/1.1 on 80: GET /bytes/N, GET
    /// /stats, PUT. Each TCP service serves --connections at once. Beyond that HTTP answers /stats and
    /// 503, the others keep who comes waiting; a peer with more than its share is turned away. Who is
    /// silent for 5 minutes is closed, or for 10 seconds when more than three quarters are taken; HTTP
    /// wants a whole request head within 10 seconds. Prints `ready` when it answers, its counters at
    /// SIGUSR1, with an empty line behind them, and at the end.
    Serve(serve::Args),
    /// Run an experiment in a simulated network, in virtual time, and hold it to what it should come to.
    ///
    /// Prints what was measured beside what was expected, and a hash that is the same wherever the
    /// same version runs with the same seed. Exits with 1 when anything is not as expected.
    Sim(sim::Args),
    /// Print the routers on the way to a host, as traceroute does, and how long each took.
    ///
    /// All probes are of one flow, so that routers which spread flows over several ways show one of them. Marks: !N no way to
    /// the network, !H to the host, !P no such protocol, !X prohibited, !F too large, !<N> code N. Exits with 1 when the host is not reached.
    Trace(trace::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Drill(args) => drill::run(&args),
        Command::Dump(args) => dump::run(&args),
        Command::Get(args) => get::run(&args),
        Command::Ip(args) => ip::run(&args),
        Command::Ping(args) => ping::run(&args),
        Command::Proxy(args) => proxy::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Route(args) => route::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Sim(args) => sim::run(&args),
        Command::Trace(args) => trace::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
