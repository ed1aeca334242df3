//! `Check`: whether a client may relay, and why.

use serde::{Deserialize, Serialize};

use super::protocol::{ClientInfo, Method};
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
    /// What is known of it, if it is listed.
    pub listing: Option<ClientInfo>,
}
