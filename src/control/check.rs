//! `Check`: whether a client may relay, and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::protocol::{ClientInfo, MapStatus, Method};
use crate::client::Client;

/// Asks whether a client may relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Check {
    /// Its address.
    pub client: Client,
}

impl Method for Check {
    const NAME: &'static str = "org.pop-before-smtp.Check";
    type Answer = Checked;
}

/// Whether a client may relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// The answer.
    pub may_relay: bool,
    /// Why, for a sentence.
    pub reason: String,
    /// What is listed: the client, or another of its IPv6 network.
    pub listing: Option<ClientInfo>,
    /// If that was done by hand.
    pub grant: Option<GrantInfo>,
    /// Where Postfix looks it up, if an access map is published.
    pub map: Option<MapStatus>,
}

/// What an operator has given a client by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantInfo {
    /// When.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The uid of whoever did it.
    pub by: u32,
    /// Why, in the operator's words.
    pub note: Option<String>,
}
