//! One copy of options that many connections were opened with.
//!
//! *Owns* the copy that was asked for last. *Does not* know what they mean. Who opens thousands of connections
//! opens them alike: each would keep a copy of its own otherwise.

use std::sync::Arc;

use crate::tcp::TcpOptions;

/// The options of the connection that was opened last.
#[derive(Debug, Default)]
pub(super) struct SharedOptions(Option<Arc<TcpOptions>>);

impl SharedOptions {
    /// The copy to keep of `options`: the last one when they are equal.
    pub(super) fn share(&mut self, options: TcpOptions) -> Arc<TcpOptions> {
        match &self.0 {
            Some(last) if **last == options => Arc::clone(last),
            _ => Arc::clone(self.0.insert(Arc::new(options))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_options_are_kept_once_and_others_are_not_mixed_up() {
        let mut shared = SharedOptions::default();
        let plain = shared.share(TcpOptions::default());
        assert!(Arc::ptr_eq(&plain, &shared.share(TcpOptions::default())));
        let other = TcpOptions::default().nodelay(true);
        let other = (shared.share(other.clone()), other);
        assert_eq!(*other.0, other.1);
        assert_eq!(*shared.share(TcpOptions::default()), *plain);
    }
}
