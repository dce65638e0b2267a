//! The thread that drives a host.
//!
//! *Owns* its sleeps. *Does not* know what to do when it is awake: `engine.rs` does.

use std::sync::Arc;

use super::clock;
use super::engine::{End, Engine, Step};
use super::error::HostError;
use super::shared::Shared;
use crate::device::DeviceError;

/// Drives until the host is asked to end or the devices fail, and ends it then.
pub(crate) fn run(shared: &Arc<Shared>) {
    let mut end = End::new(Arc::clone(shared), HostError::Panicked);
    end.end(drive(shared).unwrap_or_else(HostError::from));
}

/// Takes turns; how the host ends.
fn drive(shared: &Arc<Shared>) -> Result<HostError, DeviceError> {
    let mut engine = Engine::new(Arc::clone(shared));
    loop {
        match engine.step() {
            Step::Again => {}
            Step::Spin => {
                std::hint::spin_loop();
                engine.look_for_wake_up();
            }
            Step::StandBack(until) => {
                let timeout = until.map(|until| until.since(clock::now()));
                shared.driver.wait(timeout)?;
                shared.driver.take();
            }
            Step::Sleep(sleep) => {
                let found =
                    sleep
                        .sleeper
                        .sleep(&shared.driver, sleep.full, sleep.until, clock::now())?;
                engine.slept(&sleep, found);
                engine.look_for_wake_up();
            }
            Step::End(why) => return Ok(why),
        }
    }
}
