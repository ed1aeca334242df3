//! The control interface: what the running service can be asked, over a unix socket.
//!
//! Varlink's wire form: one JSON object a message, each ended by a NUL byte. Whoever can connect
//! may ask; who can connect is decided by the socket's mode (root only).

pub mod client;
pub mod protocol;
pub mod server;

/// Where the control socket is.
pub const SOCKET: &str = "/run/pop-before-smtp/control";
