//! A cookbook: what people build on netloom, a page each.
//!
//! *Owns* the pages, whose programs are compiled, and run where no device is needed. *Does not* hold code.
//!
//! | you want | page |
//! |---|---|
//! | a server on a TAP or TUN device | [`blocking_server`] |
//! | a server whose connections are tasks: tokio, axum, hyper | [`async_server`] |
//! | one that waits for all sockets at once, without async | [`own_loop`] |
//! | TLS | [`tls`] |
//! | to set its limits before the world may talk to it | [`public_server`] |
//! | frames to come from something that is no TAP | [`custom_device`] |
//! | a VPN's client, without a TUN device | [`vpn_client`] |
//! | to decide about all that hosts behind a device connect to | [`transparent_proxy`] |
//! | a network in a test | [`virtual_time`] |
//! | last night's failure, again, in CI | [`replay_in_ci`] |
//! | your own protocol fuzzed over a real TCP | [`fuzz_target`] |
//! | another congestion control | [`congestion_controller`] |

#[cfg(all(target_os = "linux", feature = "host"))]
#[doc = include_str!("../docs/guide/blocking_server.md")]
pub mod blocking_server {}

#[cfg(all(target_os = "linux", feature = "host"))]
#[doc = include_str!("../docs/guide/async_server.md")]
pub mod async_server {}

#[cfg(all(target_os = "linux", feature = "host"))]
#[doc = include_str!("../docs/guide/tls.md")]
pub mod tls {}

#[cfg(all(target_os = "linux", feature = "host"))]
#[doc = include_str!("../docs/guide/own_loop.md")]
pub mod own_loop {}

#[cfg(all(target_os = "linux", feature = "host"))]
#[doc = include_str!("../docs/guide/public_server.md")]
pub mod public_server {}

#[doc = include_str!("../docs/guide/custom_device.md")]
pub mod custom_device {}

#[cfg(all(target_os = "linux", feature = "host"))]
#[doc = include_str!("../docs/guide/vpn_client.md")]
pub mod vpn_client {}

#[cfg(all(target_os = "linux", feature = "host"))]
#[doc = include_str!("../docs/guide/transparent_proxy.md")]
pub mod transparent_proxy {}

#[doc = include_str!("../docs/guide/virtual_time.md")]
pub mod virtual_time {}

#[doc = include_str!("../docs/guide/replay_in_ci.md")]
pub mod replay_in_ci {}

#[doc = include_str!("../docs/guide/fuzz_target.md")]
pub mod fuzz_target {}

#[doc = include_str!("../docs/guide/congestion_controller.md")]
pub mod congestion_controller {}
