//! Reads the journal: a thread that waits for it, one that recognises what is read, looks on
//! demand, and what can't be read.
//!
//! Its door is a channel of [`FromReader`]. Must never decide what an event means.

mod health;
mod look_requests;
mod message;
mod reader;
mod recognition;
mod rescan;

pub use health::JournalHealth;
pub use look_requests::LookRequests;
pub use message::FromReader;
pub use reader::{Times, start};
