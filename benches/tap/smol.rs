//! smoltcp: one thread, its own poll loop, 1 MiB buffers; over its own TAP device or over netloom's.

use std::error::Error;
use std::os::fd::{AsRawFd, RawFd};

use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, Medium, TunTapInterface, wait};
use smoltcp::socket::tcp::{ListenError, Socket, SocketBuffer};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::EthernetAddress;

use super::common::ip;
use super::host::tap;
use super::machine::use_cubic;
use super::rivals::{BLOCK, PORTS, Service, kernel_cidr, own_cidr};
use super::servers::{Control, Loop, NAP};
use super::smol_tap::OurTap;

const BUFFER: usize = 1 << 20;

/// Sockets of each service: one more connection than there are needs one that listens already.
const SPARE: usize = 3;

/// Serves over smoltcp's own device.
pub(crate) fn serve(net: u8) -> Result<Loop, Box<dyn Error>> {
    let name = format!("sm{net}");
    let device = TunTapInterface::new(&name, Medium::Ethernet)?;
    ip(&format!("addr add {} dev {name}", kernel_cidr(net)))?;
    ip(&format!("link set {name} up"))?;
    use_cubic(&name, net, 1)?;
    let descriptor = device.as_raw_fd();
    serve_over(net, device, descriptor)
}

/// Serves over netloom's TAP device, which gives it super-segments.
pub(crate) fn serve_on_ours(net: u8) -> Result<Loop, Box<dyn Error>> {
    let device = OurTap::new(tap(net, true)?)?;
    let descriptor = device.as_raw_fd();
    serve_over(net, device, descriptor)
}

fn serve_over(
    net: u8,
    mut device: impl Device + 'static,
    descriptor: RawFd,
) -> Result<Loop, Box<dyn Error>> {
    let mac = EthernetAddress([2, 0, 0, 0, 0, net]);
    let mut interface = Interface::new(Config::new(mac.into()), &mut device, Instant::now());
    let cidr = own_cidr(net).parse().map_err(|()| "a bad address")?;
    let mut full = Ok(());
    interface.update_ip_addrs(|list| full = list.push(cidr));
    full.map_err(|_| "no room for an address")?;
    let mut sockets = SocketSet::new(Vec::new());
    let mut served = Vec::new();
    for service in Service::ALL {
        for _ in 0..SPARE {
            let buffer = || SocketBuffer::new(vec![0; BUFFER]);
            let mut socket = Socket::new(buffer(), buffer());
            socket.set_nagle_enabled(service != Service::Echo);
            socket.listen(service.port(PORTS))?;
            served.push((sockets.add(socket), service));
        }
    }
    Ok(Box::new(move |control| {
        let block = vec![0x5a; BLOCK];
        while !control.is_over() {
            let now = Instant::now();
            interface.poll(now, &mut device, &mut sockets);
            for &(handle, service) in &served {
                let socket = sockets.get_mut::<Socket<'_>>(handle);
                answer(socket, service, &block).expect("a port that can be listened on");
            }
            let delay = interface.poll_delay(Instant::now(), &sockets);
            sleep(control, descriptor, delay);
        }
    }))
}

/// Waits for a frame or the next deadline, unless it is to spin.
fn sleep(control: &Control, descriptor: RawFd, delay: Option<Duration>) {
    let nap = NAP.into();
    let delay = delay.map_or(nap, |delay| delay.min(nap));
    if delay > Duration::ZERO && !control.spins() {
        wait(descriptor, Some(delay)).expect("select works");
    }
}

fn answer(socket: &mut Socket<'_>, service: Service, block: &[u8]) -> Result<(), ListenError> {
    if !socket.is_open() {
        return socket.listen(service.port(PORTS));
    }
    // An error is the end of a connection, which the next turn finds closed.
    match service {
        Service::Discard => {
            while socket.can_recv() {
                let _ = socket.recv(|text| (text.len(), ()));
            }
        }
        Service::Source => {
            while socket.can_send() {
                let _ = socket.send_slice(block);
            }
        }
        Service::Echo => {
            let mut buf = [0; 4096];
            while socket.can_recv() && socket.can_send() {
                let read = socket.recv_slice(&mut buf).unwrap_or(0);
                let _ = socket.send_slice(&buf[..read]);
            }
        }
    }
    if socket.may_send() && !socket.may_recv() && !socket.can_recv() {
        socket.close();
    }
    Ok(())
}
