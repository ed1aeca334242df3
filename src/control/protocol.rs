//! The messages of the control interface.
//!
//! Plain data, the same for the service and for those who ask. A field that is added must not
//! change the meaning of the others.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;

/// Asks for [`Status`].
pub const GET_STATUS: &str = "org.pop-before-smtp.GetStatus";
/// Asks for the listed clients: with `more`, a [`ClientInfo`] a reply.
pub const LIST_CLIENTS: &str = "org.pop-before-smtp.ListClients";

/// The largest request, in bytes.
pub const LARGEST_REQUEST: usize = 64 * 1024;
/// The largest reply, in bytes: what a client of ours is willing to read.
pub const LARGEST_REPLY: usize = 1024 * 1024;

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The method's name, with its interface.
    pub method: String,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// Whether several replies are welcome.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// What is answered.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// The error's name, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether more replies to the same request follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
}

/// How the service is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Since when it runs.
    pub since: Timestamp,
    /// The servers that are on.
    pub servers: Vec<String>,
    /// The permitted networks, as mynetworks writes them.
    pub permitted_networks: String,
    /// How many clients are listed.
    pub clients: usize,
    /// How many sessions are open.
    pub sessions: usize,
    /// How many entries and logins were refused since it runs.
    pub refused: u64,
    /// Whether the journal has been read up to now.
    pub caught_up: bool,
    /// When the entry was written that was read last.
    pub journal_position: Option<Timestamp>,
    /// The access map.
    pub map: MapStatus,
    /// The last publication that succeeded.
    pub last_publication: Option<PublicationStatus>,
    /// The policy's answers.
    pub policy: PolicyStatus,
    /// What is wrong now, and what to do about it.
    pub problems: Vec<String>,
}

/// The access map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MapStatus {
    /// Its path, without the extension of its type.
    pub path: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The policy's answers since the service runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyStatus {
    /// How many questions were answered.
    pub answered: u64,
    /// How many of them with OK.
    pub granted: u64,
}

/// A publication.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PublicationStatus {
    /// When it was done.
    pub time: Timestamp,
    /// How many clients the map lists since.
    pub clients: usize,
    /// How long it took.
    pub milliseconds: u64,
}

/// A listed client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClientInfo {
    /// Its address.
    pub client: Client,
    /// Who logged in from it last.
    pub user: Option<String>,
    /// To which server; `manual` if it is listed by hand and nobody has logged in.
    pub server: String,
    /// Since when it is listed without a break.
    pub since: Timestamp,
    /// Its last login; none if it is listed by hand and nobody has logged in.
    pub last_login: Option<Timestamp>,
    /// Until when it may relay if nothing more is heard of it; none while a session is open.
    pub until: Option<Timestamp>,
    /// How many of its sessions are open.
    pub sessions: u32,
}

impl Reply {
    /// An answer.
    #[must_use]
    pub fn new<T: Serialize>(parameters: &T, continues: bool) -> Self {
        let parameters = match serde_json::to_value(parameters) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        Reply {
            parameters,
            error: None,
            continues,
        }
    }

    /// An error of the varlink service interface, about `what` (a method, a parameter).
    #[must_use]
    pub fn error(name: &str, key: &str, what: &str) -> Self {
        Reply {
            parameters: [(key.to_owned(), Value::from(what))].into_iter().collect(),
            error: Some(format!("org.varlink.service.{name}")),
            continues: false,
        }
    }

    /// The reply as it goes over the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Maps with text keys can always be expressed.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(0);
        bytes
    }
}
