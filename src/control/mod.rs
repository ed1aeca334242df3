//! The control interface: what the running service can be asked, over a unix socket.
//!
//! Varlink, as systemd's own services speak it, so that varlinkctl(1) can ask as well as our
//! commands can. `org.pop-before-smtp.varlink` beside this file is the definition; a test holds the
//! types of [`protocol`] against it. Whoever can connect may ask, which the socket's mode decides;
//! who may change something, [`peer`] does.
//!
//! The service's loop owns what is asked for: this room has no state, and only carries questions
//! to it and answers back.

mod allow;
mod check;
pub mod client;
mod fault;
pub mod introspection;
mod peer;
pub mod protocol;
mod question;
mod revoke;
pub mod server;
#[doc(hidden)]
pub mod wire;

pub use allow::{Allow, Allowed};
pub use check::{Check, Checked, GrantInfo};
pub use fault::Fault;
pub use peer::Peer;
pub use protocol::Method;
pub use question::{Answer, Page, Question};
pub use revoke::{Revoke, Revoked};

/// Where the control socket is.
pub const SOCKET: &str = "/run/pop-before-smtp/control";
