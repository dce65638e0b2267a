//! What follows when something became of an address or a link: who is told.
//!
//! *Owns* the list of those who hear. *Does not* change anything itself. Told when the layers below have come to rest, so
//! whoever hears may add and take away as he likes.

use super::Change;
use crate::base::Instant;
use crate::stack::Stack;
use crate::stack::address::{AddressEvent, AddressNews, Origin};
use crate::stack::ids::InterfaceId;

impl Stack {
    /// Something became of an address.
    pub(in crate::stack) fn on_address_news(&mut self, now: Instant, news: AddressNews) {
        let AddressNews {
            on,
            cidr,
            origin,
            what,
        } = news;
        let change = match what {
            AddressEvent::Usable => Change::AddressPreferred(cidr),
            AddressEvent::Duplicate(station) => Change::AddressDuplicate(cidr, station),
            AddressEvent::Conflict(station) => Change::AddressConflict(cidr, station),
            AddressEvent::Deprecated => Change::AddressDeprecated(cidr),
            AddressEvent::Gone => Change::AddressGone(cidr),
            AddressEvent::Insisted => {
                self.net.on_dhcp_conflict(now, on, cidr.address());
                self.on_ipv4_news(now, on, cidr.address(), true);
                return;
            }
        };
        self.changes.tell(on, change);
        match what {
            AddressEvent::Duplicate(_) if origin == Origin::Dhcp => {
                self.net.on_dhcp_conflict(now, on, cidr.address());
            }
            AddressEvent::Duplicate(_) => self.net.on_formed_duplicate(now, on, cidr.address()),
            AddressEvent::Gone => {
                self.net.on_formed_gone(on, cidr.address());
                self.net.on_dhcp_gone(now, on, cidr.address());
            }
            AddressEvent::Usable => self.net.on_dhcp_usable(now, on, cidr.address()),
            AddressEvent::Conflict(_) | AddressEvent::Insisted | AddressEvent::Deprecated => {}
        }
        let lost = matches!(what, AddressEvent::Duplicate(_));
        if cidr.address().is_ipv4() {
            self.on_ipv4_news(now, on, cidr.address(), lost);
        }
    }

    /// A link went up or down.
    pub(in crate::stack) fn on_link_news(&mut self, now: Instant, on: InterfaceId, up: bool) {
        let change = if up { Change::LinkUp } else { Change::LinkDown };
        self.changes.tell(on, change);
        self.net.on_router_link(now, on, up);
        if up {
            self.net.interfaces[on.index()].groups.members.tell_all();
            self.net.set_groups_timer(on);
            self.net.on_dhcp_link_up(now, on);
        }
    }
}
