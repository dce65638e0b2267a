//! smoltcp over its own TAP device: one thread, its own poll loop, 1 MiB buffers.

use std::error::Error;
use std::os::fd::AsRawFd;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Medium, TunTapInterface, wait};
use smoltcp::socket::tcp::{ListenError, Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::EthernetAddress;

use crate::machine::ip;
use crate::rivals::{BLOCK, Loop, PORTS, Service, kernel_cidr, own_cidr};

const BUFFER: usize = 1 << 20;

/// Sockets of each service: one more connection than there are needs one that listens already.
const SPARE: usize = 3;

/// Opens the device and makes the sockets.
pub(crate) fn serve(net: u8) -> Result<Loop, Box<dyn Error>> {
    let name = format!("sm{net}");
    let mut device = TunTapInterface::new(&name, Medium::Ethernet)?;
    ip(&format!("addr add {} dev {name}", kernel_cidr(net)))?;
    ip(&format!("link set {name} up"))?;
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
    Ok(Box::new(move || {
        drive(&mut interface, &mut device, &mut sockets, &served)
    }))
}

fn drive(
    interface: &mut Interface,
    device: &mut TunTapInterface,
    sockets: &mut SocketSet<'_>,
    served: &[(SocketHandle, Service)],
) {
    let fd = device.as_raw_fd();
    let block = vec![0x5a; BLOCK];
    loop {
        let now = Instant::now();
        interface.poll(now, device, sockets);
        for &(handle, service) in served {
            let socket = sockets.get_mut::<Socket<'_>>(handle);
            answer(socket, service, &block).expect("a port that can be listened on");
        }
        let delay = interface.poll_delay(Instant::now(), sockets);
        if delay.is_none_or(|delay| delay.total_micros() > 0) {
            wait(fd, delay).expect("select works");
        }
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
