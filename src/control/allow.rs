//! `Allow`: lists a client by hand.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::protocol::{ClientInfo, Method};
use crate::client::Client;

/// Asks to list a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allow {
    /// Its address.
    pub client: Client,
    /// Until when; for a grace, if it is not said.
    pub until: Option<Timestamp>,
    /// What the administrator notes.
    pub note: Option<String>,
}

impl Method for Allow {
    const NAME: &'static str = "org.pop-before-smtp.Allow";
    const CHANGES: bool = true;
    type Answer = Allowed;
}

/// A client is listed, and Postfix knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allowed {
    /// What is known of it.
    pub listing: ClientInfo,
}
