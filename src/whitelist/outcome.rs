//! What comes out of the whitelist: what an event did.

use super::Refusal;
use crate::client::Client;

/// What an event did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The client is listed now and was not before.
    Added(Client),
    /// The client was listed already, and stays so for longer.
    Prolonged(Client),
    /// The login lists nobody.
    Refused(Client, Refusal),
    /// A session of the client ended.
    Ended(Client),
    /// Sessions of the server ended with its start.
    Restarted(usize),
    /// Sessions of the server are taken to have ended, as it does not say which of them has.
    Unfollowed(usize),
    /// One of so many sessions of the server has ended, and it does not say which.
    Doubtful(usize),
    /// Nothing.
    Nothing,
}
