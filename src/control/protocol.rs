//! The methods and types of `org.pop-before-smtp`, as `org.pop-before-smtp.varlink` defines them.
//!
//! Plain data, the same for the service and for those who ask. Varlink's names have no hyphens:
//! they are in camel case, as systemd's are. A field that is added must not change the meaning of
//! the others, and must be an `Option`: during an upgrade a new command asks a service of before.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::postfix::access_map::AccessMap;

/// A method: its parameters, whose type this is for, and its answer.
pub trait Method: Serialize + DeserializeOwned {
    /// Its name, with its interface.
    const NAME: &'static str;
    /// Whether it changes something, and so is for root alone.
    const CHANGES: bool = false;
    /// What it answers, or answers again and again.
    type Answer: Serialize + DeserializeOwned;
}

/// Asks how the service is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetStatus {}

impl Method for GetStatus {
    const NAME: &'static str = "org.pop-before-smtp.GetStatus";
    type Answer = StatusAnswer;
}

/// The answer to [`GetStatus`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusAnswer {
    /// How it is.
    pub status: Status,
}

/// Whom to select of the clients: those for whom all that is given holds. The parameters of
/// `ListClients`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// One address.
    pub client: Option<Client>,
    /// A network.
    pub network: Option<IpNet>,
    /// Who logged in last, to the letter.
    pub user: Option<String>,
    /// The server of the last login.
    pub server: Option<String>,
    /// The source that tells of it. A service of before does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Filter {
    /// Whether a client is selected, by whom and to which server it logged in last, and which source
    /// tells of that.
    #[must_use]
    pub fn selects(
        &self,
        client: Client,
        user: Option<&str>,
        server: &str,
        source: Option<&str>,
    ) -> bool {
        self.client.is_none_or(|wanted| wanted == client)
            && self.network.is_none_or(|n| n.contains(&client.address()))
            && self.user.as_deref().is_none_or(|u| user == Some(u))
            && self.server.as_deref().is_none_or(|s| server == s)
            && self.source.as_deref().is_none_or(|s| source == Some(s))
    }
}

impl Method for Filter {
    const NAME: &'static str = "org.pop-before-smtp.ListClients";
    type Answer = ClientsAnswer;
}

/// An answer to `ListClients`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientsAnswer {
    /// Some of them, by address.
    pub clients: Vec<ClientInfo>,
}

/// Asks for what happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitor {}

impl Method for Monitor {
    const NAME: &'static str = "org.pop-before-smtp.Monitor";
    type Answer = EventsAnswer;
}

/// An answer to [`Monitor`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventsAnswer<E = Event> {
    /// What has happened since the last answer.
    pub events: Vec<E>,
    /// How many events before these the caller was too slow for.
    pub missed: u64,
}

/// Asks to write more or less to the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetLogLevel {
    /// How much.
    pub level: LogLevel,
}

impl Method for SetLogLevel {
    const NAME: &'static str = "org.pop-before-smtp.SetLogLevel";
    const CHANGES: bool = true;
    type Answer = LogLevelSet;
}

/// The answer to [`SetLogLevel`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLevelSet {
    /// How much it was before.
    pub former: LogLevel,
}

/// How much is written to the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum LogLevel {
    /// What must be mended.
    Error,
    /// And what should be looked at.
    Warn,
    /// And who is listed, until when, and what the service does.
    Info,
    /// And each login, logout and answer.
    Debug,
}

/// How the service is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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
    /// Once caught up, how long after it was written that entry was read; before, how far behind
    /// now reading is.
    pub lag_milliseconds: Option<u64>,
    /// The sources, if there are several. The first is the one that position and lag are about.
    pub sources: Option<Vec<SourceStatus>>,
    /// The last login that was heard of.
    pub last_login: Option<LoginStatus>,
    /// The access map, if there is a Postfix on its host that could make one.
    pub map: Option<MapStatus>,
    /// The last publication that succeeded.
    pub last_publication: Option<PublicationStatus>,
    /// The policy's answers.
    pub policy: PolicyStatus,
    /// What has happened since it runs.
    pub totals: Totals,
    /// How much it writes to the journal.
    pub log_level: LogLevel,
    /// What is wrong now, and what to do about it.
    pub problems: Vec<String>,
}

/// A source: a journal that is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Its name; "journal" for that of `[journal]`.
    pub name: String,
    /// Which journal it is.
    pub journal: String,
    /// Whether it has been read up to now.
    pub caught_up: bool,
    /// When the entry was written that was read last.
    pub journal_position: Option<Timestamp>,
    /// As that of the status.
    pub lag_milliseconds: Option<u64>,
    /// Whether the store is connected, if its journal is carried here.
    pub connected: Option<bool>,
    /// What is wrong with it; these are among those of the status.
    pub problems: Vec<String>,
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoginStatus {
    /// When.
    pub time: Timestamp,
    /// Where from.
    pub client: Client,
    /// As whom.
    pub user: Option<String>,
    /// To which server.
    pub server: String,
    /// The source that tells of it, if there are several.
    pub source: Option<String>,
}

/// What has happened since the service runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Logins.
    pub logins: u64,
    /// Of them, logins of clients that were listed already.
    pub unchanged_logins: u64,
    /// Sessions that have ended.
    pub logouts: u64,
    /// Clients that were listed.
    pub listed: u64,
    /// Clients that were taken off, whatever for.
    pub removed: u64,
    /// Entries and logins that were refused.
    pub refused: u64,
    /// Publications of the access map.
    pub publications: u64,
    /// Publications that failed.
    pub failed_publications: u64,
}

/// The access map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MapStatus {
    /// Its path, without the extension of its type.
    pub path: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
}

impl MapStatus {
    /// What is said of this map.
    #[must_use]
    pub fn of(map: &AccessMap) -> Self {
        MapStatus {
            path: map.path.display().to_string(),
            kind: map.kind.to_string(),
        }
    }
}

/// The policy's answers since the service runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// How many questions were answered.
    pub answered: u64,
    /// How many of them with OK.
    pub granted: u64,
}

/// A publication.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicationStatus {
    /// When it was done.
    pub time: Timestamp,
    /// How many clients the map lists since.
    pub clients: usize,
    /// How long it took.
    pub milliseconds: u64,
}

/// A listed client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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
    /// How many of its sessions are certainly open.
    pub sessions: u32,
    /// The source that tells of its last login, if there are several.
    pub source: Option<String>,
}

/// What kind of thing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    /// A server wrote that a client has logged in.
    Login,
    /// A server wrote that a session has ended.
    Logout,
    /// A client may relay now that might not before.
    Listed,
    /// A client may relay no more.
    Removed,
    /// An entry by an untrusted sender, or a login that lists nobody.
    Refused,
    /// The access map was published.
    Published,
    /// It could not be.
    NotPublished,
    /// Another configuration is in force.
    Reloaded,
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When the journal received the entry, or the service did it.
    pub time: Timestamp,
    /// What kind of thing.
    pub kind: EventKind,
    /// Of which client.
    pub client: Option<Client>,
    /// Of which user.
    pub user: Option<String>,
    /// Of which server.
    pub server: Option<String>,
    /// The source that tells of it, if there are several.
    pub source: Option<String>,
    /// Until when the client may relay if nothing more is heard of it.
    pub until: Option<Timestamp>,
    /// Why it was refused, removed or not published.
    pub reason: Option<String>,
    /// How many clients a published map lists.
    pub clients: Option<usize>,
    /// How long a publication took.
    pub milliseconds: Option<u64>,
}

impl Event {
    /// An event of which no more is known.
    #[must_use]
    pub fn new(time: Timestamp, kind: EventKind) -> Self {
        Event {
            time,
            kind,
            client: None,
            user: None,
            server: None,
            source: None,
            until: None,
            reason: None,
            clients: None,
            milliseconds: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_filters_must_hold() {
        let client: Client = "192.0.2.10".parse().unwrap();
        let selects = |json: &str| {
            let filter: Filter = serde_json::from_str(json).unwrap();
            filter.selects(client, Some("alice"), "dovecot", Some("store1"))
        };
        for (json, expected) in [
            (r#"{}"#, true),
            (r#"{"client":"::ffff:192.0.2.10"}"#, true),
            (r#"{"client":"192.0.2.1"}"#, false),
            (
                r#"{"network":"192.0.2.0/24","user":"alice","server":"dovecot"}"#,
                true,
            ),
            (r#"{"network":"2001:db8::/32"}"#, false),
            (r#"{"network":"192.0.2.0/24","user":"alic"}"#, false),
            (r#"{"server":"courier"}"#, false),
            (r#"{"source":"store1"}"#, true),
            (r#"{"source":"journal"}"#, false),
        ] {
            assert_eq!(selects(json), expected, "{json}");
        }
        let anybody = Filter {
            user: Some("alice".to_owned()),
            ..Filter::default()
        };
        assert!(!anybody.selects(client, None, "dovecot", None));
    }
}
