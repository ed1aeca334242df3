//! What is remembered of a client and of a session: the whitelist's records.
//!
//! Plain data, as the store keeps it. A field that is added needs a default.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::client::Client;

/// A client that may relay now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Since when it is listed without a break.
    pub since: Timestamp,
    /// Its last login.
    pub last_login: Timestamp,
    /// Its last login or logout: grace counts from here.
    pub last: Timestamp,
    /// Who logged in last.
    pub user: Option<String>,
    /// The server that this was on.
    pub server: Arc<str>,
    /// How many of its sessions are open; counted anew when the whitelist is restored.
    #[serde(skip)]
    pub open: u32,
}

/// A session: open, or ended a moment ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose it is; unknown where the end of the session came before its login.
    pub client: Option<Client>,
    /// When it was opened, or was first heard of.
    pub since: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
}
