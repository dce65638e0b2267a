//! The poller that a socket was added to, as the socket sees it.
//!
//! *Owns* the way from what happens to a socket to its poller's list. *Does not* ask what is ready: `poller.rs` does.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::poll_list::{PollList, Token};
use crate::stack::Readiness;

/// At most one poller, and the socket's place in its list. Whether there is one [`Waits`](super::waits::Waits) knows without a lock.
#[derive(Default)]
pub(crate) struct Watcher {
    // Boxed: there is one for each connection, and mostly none.
    place: Mutex<Option<Box<Place>>>,
}

struct Place {
    list: Arc<PollList>,
    token: Token,
}

impl Watcher {
    /// Something happened, and is true by now: puts the socket on its poller's list, whose sleepers are to be woken then without the
    /// core's lock.
    pub(crate) fn tell(&self, news: Readiness) -> Option<Arc<PollList>> {
        let place = self.place();
        let Place { list, token } = &**place.as_ref()?;
        list.note(*token, news).then(|| Arc::clone(list))
    }

    /// Stands in this list from now on, unless it does in one already.
    pub(crate) fn enter(&self, list: &Arc<PollList>, token: Token) -> bool {
        let mut place = self.place();
        if place.is_some() {
            return false;
        }
        let list = Arc::clone(list);
        *place = Some(Box::new(Place { list, token }));
        true
    }

    /// Its place in this list.
    pub(crate) fn token_in(&self, list: &Arc<PollList>) -> Option<Token> {
        let place = self.place();
        let known = place.as_ref()?;
        Arc::ptr_eq(&known.list, list).then_some(known.token)
    }

    /// Leaves the list, whichever it is. What the list held of the socket is dropped here: never under the core's lock.
    pub(crate) fn leave(&self) {
        let place = self.place().take();
        if let Some(place) = place {
            place.list.remove(place.token);
        }
    }

    fn place(&self) -> MutexGuard<'_, Option<Box<Place>>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}
