//! Starts every rival's server, and ends all of them.

use std::error::Error;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::socket;

use super::common::pin;
use super::machine::{Namespaces, RIVAL_CPU};
use super::rivals::{Api, Base, Rival};
use super::{by_hand, host, kernel, smol};

/// No server sleeps longer without a look at [`Control`].
pub(crate) const NAP: Duration = Duration::from_millis(100);

/// What a server's thread goes on with.
pub(crate) type Loop = Box<dyn FnOnce(&Control)>;

/// Flags that a server's loop reads in each turn.
#[derive(Debug, Default)]
pub(crate) struct Control {
    over: AtomicBool,
    spin: AtomicBool,
}

impl Control {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Is a loop not to sleep at all?
    pub(crate) fn spins(&self) -> bool {
        self.spin.load(Ordering::Relaxed) && !self.is_over()
    }
}

/// A loop spins for as long as this lives.
pub(crate) struct Spinning<'a>(Option<&'a Control>);

impl Drop for Spinning<'_> {
    fn drop(&mut self) {
        if let Some(control) = self.0 {
            control.spin.store(false, Ordering::Relaxed);
        }
    }
}

/// All servers, each in threads of its own on [`RIVAL_CPU`].
#[derive(Default)]
pub(crate) struct Servers {
    listeners: Vec<Arc<TcpListener>>,
    threads: Vec<JoinHandle<()>>,
    controls: Vec<(Rival, Arc<Control>)>,
}

impl Servers {
    pub(crate) fn start(namespaces: &Namespaces, record: bool) -> Result<Self, Box<dyn Error>> {
        let mut servers = Self::default();
        servers.start_kernel(namespaces)?;
        for base in Base::ALL {
            if base == Base::Recorded && !record {
                continue;
            }
            // One server with both faces.
            let rival = Rival::Host(Api::Chunks, base);
            servers.apart(rival, move |net| host::serve(net, base))?;
        }
        for base in [Base::Offload, Base::Plain] {
            servers.apart(Rival::Loop(base), move |net| by_hand::serve(net, base))?;
        }
        servers.apart(Rival::Smoltcp, smol::serve)?;
        servers.apart(Rival::SmoltcpOnOurs, smol::serve_on_ours)?;
        Ok(servers)
    }

    /// Lets the loop of this rival spin; the others have nothing to spin with.
    pub(crate) fn spin(&self, rival: Rival) -> Spinning<'_> {
        let mut controls = self.controls.iter();
        let control = controls.find_map(|(other, control)| (*other == rival).then_some(&**control));
        if let Some(control) = control {
            control.spin.store(true, Ordering::Relaxed);
        }
        Spinning(control)
    }

    fn start_kernel(&mut self, namespaces: &Namespaces) -> Result<(), Box<dyn Error>> {
        let started = thread::scope(|scope| {
            let start = || {
                let text = |errno| format!("cannot start the kernel's server: {errno}");
                pin([RIVAL_CPU]).map_err(text)?;
                namespaces.enter_far().map_err(text)?;
                kernel::serve().map_err(|error| error.to_string())
            };
            scope.spawn(start).join()
        });
        let served = started.map_err(|_| "the kernel's server panicked")??;
        (self.listeners, self.threads) = served.into_iter().unzip();
        Ok(())
    }

    /// Runs `set_up` in a pinned thread, then the loop that it returns.
    fn apart<S>(&mut self, rival: Rival, set_up: S) -> Result<(), String>
    where
        S: FnOnce(u8) -> Result<Loop, Box<dyn Error>> + Send + 'static,
    {
        let (ready, told) = mpsc::channel();
        let control = Arc::new(Control::default());
        self.controls.push((rival, Arc::clone(&control)));
        self.threads.push(thread::spawn(move || {
            let pinned = pin([RIVAL_CPU]).map_err(Into::into);
            match pinned.and_then(|()| set_up(rival.net())) {
                Ok(run) => {
                    // Nobody waits for a second word.
                    let _ = ready.send(Ok(()));
                    run(&control);
                }
                Err(error) => drop(ready.send(Err(format!("{}: {error}", rival.name())))),
            }
        }));
        told.recv().map_err(|_| "a server panicked".to_owned())?
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for (_, control) in &self.controls {
            control.over.store(true, Ordering::Relaxed);
        }
        for listener in &self.listeners {
            // Ends a thread that waits in accept(2).
            let _ = socket::shutdown(listener.as_raw_fd(), socket::Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            // Its panic was printed by itself.
            let _ = thread.join();
        }
    }
}
