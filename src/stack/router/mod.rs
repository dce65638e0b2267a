//! Routers: what they say of a link is taken into the interface, and whom they redirect to is heeded.
//!
//! RFC 4861 §6.3, §8.3, RFC 4862 §5.5, RFC 1122 §3.2.2.2, RFC 8415 §6.1. *Does not* judge advertisements: `ipv6::discovery` does, as a value.
//!
//! | file | owns |
//! |---|---|
//! | `information` | the questions to servers of DHCPv6 that routers ask for |
//! | `join` | what is to be done about what routers say, done |
//! | `redirect` | which redirects are believed |
//! | `told` | what users are told of them |

mod information;
mod join;
mod redirect;
mod told;

pub use told::RouterInfo;
