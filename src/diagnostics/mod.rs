//! What we say: each message one that a person can act on, with its own id and fields.
//!
//! The only place that words messages of the service. The fields are `POP_BEFORE_SMTP_CLIENT`,
//! `_USER`, `_SERVER`, `_UNTIL`, `_CLIENTS`, `_MILLISECONDS`, `_FILE` and `_SOURCE`. A user's name is chosen by
//! strangers: it is never printed raw.

mod counted;
mod floods;
mod journal_socket;
pub mod message_id;
mod refusals;
mod sink;
mod sources;
mod stores;
mod wording;

pub use floods::{Change, Floods};
pub use refusals::Refusals;
pub use sink::{install, journald_hangs, level, level_for, set_level};
pub use sources::{
    SourceNames, at_source, cursor_gone, cursor_in_the_future, journal_incomplete,
    journal_recovered, journal_trouble, of_source, read_too_early, reading_again, source_ahead,
};
pub use stores::{carrier_connected, carrier_lost, clock_off};

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use log::{Level, debug, error, info, log, warn};

use crate::client::Client;
use crate::intake::Refused;
use crate::postfix::access_map::{AccessMap, MapChange};
use crate::postfix::policy::Request;
use crate::whitelist::{Grant, Listed, Listing, MANUAL, Refusal, Scope, Untold};
use message_id as id;
pub use wording::{count, local_time, name_of, printable};

/// The service has started.
pub fn started(servers: &str, networks: &str, map: Option<&AccessMap>) {
    let version = env!("CARGO_PKG_VERSION");
    info!(
        MESSAGE_ID = id::STARTED, POP_BEFORE_SMTP_SERVER = servers;
        "pop-before-smtp {version} started: servers {servers}; permitted networks {networks}"
    );
    if let Some(map) = map {
        debug!(MESSAGE_ID = id::NOTICE; "main.cf needs: {}", map.main_cf_line());
    }
}

/// The journal has been read up to now, and the map is right.
pub fn caught_up(clients: usize, sessions: usize) {
    info!(
        MESSAGE_ID = id::CAUGHT_UP, POP_BEFORE_SMTP_CLIENTS = clients;
        "caught up with the journal: {} listed, {} open",
        count(clients, "client"), count(sessions, "session")
    );
}

/// The service stops.
pub fn stopped(clients: usize) {
    info!(
        MESSAGE_ID = id::STOPPED, POP_BEFORE_SMTP_CLIENTS = clients;
        "stopped with {} listed; grace still ends for them", count(clients, "client")
    );
}

/// A client is listed that was not.
pub fn client_added(
    client: Client,
    listing: &Listing<'_>,
    source: Option<&str>,
    until: Timestamp,
    level: Level,
) {
    if !log::log_enabled!(level) {
        return;
    }
    let user = name_of(listing.user.as_deref());
    let session = if listing.open > 0 {
        ", and while its session is open"
    } else {
        ""
    };
    log!(
        level,
        MESSAGE_ID = id::CLIENT_ADDED,
        POP_BEFORE_SMTP_CLIENT:% = client,
        POP_BEFORE_SMTP_USER = user.as_str(),
        POP_BEFORE_SMTP_SERVER = &*listing.server,
        POP_BEFORE_SMTP_SOURCE = source,
        POP_BEFORE_SMTP_UNTIL:% = until;
        "added {client}: {user} has logged in to {}; it may relay until {}{session}",
        at_source(&listing.server, source), local_time(until)
    );
}

/// A listed client has logged in again.
pub fn login_prolonged(
    client: Client,
    listing: &Listing<'_>,
    source: Option<&str>,
    until: Timestamp,
) {
    if !log::log_enabled!(Level::Debug) {
        return;
    }
    let user = name_of(listing.user.as_deref());
    debug!(
        MESSAGE_ID = id::LOGIN_PROLONGED,
        POP_BEFORE_SMTP_CLIENT:% = client,
        POP_BEFORE_SMTP_USER = user.as_str(),
        POP_BEFORE_SMTP_SERVER = &*listing.server,
        POP_BEFORE_SMTP_SOURCE = source,
        POP_BEFORE_SMTP_UNTIL:% = until;
        "{client} stays listed: {user} has logged in to {}; until {}",
        at_source(&listing.server, source), local_time(until)
    );
}

/// Clients that are listed already have logged in again, since this was said last.
pub(super) fn logins_prolonged(logins: u64, listed: usize) {
    info!(
        MESSAGE_ID = id::LOGIN_PROLONGED, POP_BEFORE_SMTP_CLIENTS = listed;
        "{} of clients that were listed already; {} listed",
        count(logins, "login"), count(listed, "client")
    );
}

/// More clients have come, or gone, than are told of one by one.
pub(super) fn flood_of_clients(change: Change, more: u64, listed: usize) {
    let what = match change {
        Change::Added => "added",
        Change::Removed => "removed",
    };
    info!(
        MESSAGE_ID = id::MANY_CLIENTS, POP_BEFORE_SMTP_CLIENTS = listed;
        "{what} {} within a minute; {} listed",
        count(more, "more client"), count(listed, "client")
    );
}

/// A session of a listed client has ended.
pub fn session_ended(
    client: Client,
    listing: &Listing<'_>,
    source: Option<&str>,
    until: Timestamp,
) {
    debug!(
        MESSAGE_ID = id::SESSION_ENDED,
        POP_BEFORE_SMTP_CLIENT:% = client,
        POP_BEFORE_SMTP_SERVER = &*listing.server,
        POP_BEFORE_SMTP_SOURCE = source;
        "a session of {client} has ended, {} still open; listed until {}",
        listing.open, local_time(until)
    );
}

/// A client is listed no more, as its grace has passed.
pub fn client_expired(client: Client, listing: &Listing<'_>, source: Option<&str>, level: Level) {
    if !log::log_enabled!(level) {
        return;
    }
    let user = name_of(listing.user.as_deref());
    log!(
        level,
        MESSAGE_ID = id::CLIENT_REMOVED,
        POP_BEFORE_SMTP_CLIENT:% = client,
        POP_BEFORE_SMTP_USER = user.as_str(),
        POP_BEFORE_SMTP_SERVER = &*listing.server,
        POP_BEFORE_SMTP_SOURCE = source;
        "removed {client}: its grace has passed (last heard of {} at {})",
        user, local_time(listing.last)
    );
}

/// A client is listed no more, as the new configuration does not admit it.
pub fn client_refused_by_rules(client: Client, why: Refusal, level: Level) {
    log!(
        level,
        MESSAGE_ID = id::CLIENT_REMOVED, POP_BEFORE_SMTP_CLIENT:% = client;
        "removed {client}: {}", why.reason()
    );
}

/// A client is listed by hand.
pub fn client_allowed(client: Client, grant: &Grant) {
    let note = grant.note.as_deref().map(printable);
    let (uid, until) = (grant.by, grant.until);
    info!(
        MESSAGE_ID = id::CLIENT_ALLOWED,
        POP_BEFORE_SMTP_CLIENT:% = client,
        POP_BEFORE_SMTP_SERVER = MANUAL,
        POP_BEFORE_SMTP_UNTIL:% = until,
        POP_BEFORE_SMTP_BY_UID = uid,
        POP_BEFORE_SMTP_NOTE = note.as_deref().unwrap_or_default();
        "allowed {client} by hand (uid {uid}); it may relay until {}{}",
        local_time(until), note.as_deref().map(|note| format!(": {note}")).unwrap_or_default()
    );
}

/// A client is listed no more, as what was given by hand has ended.
pub fn grant_ended(client: Client, grant: &Grant) {
    info!(
        MESSAGE_ID = id::CLIENT_REMOVED,
        POP_BEFORE_SMTP_CLIENT:% = client,
        POP_BEFORE_SMTP_SERVER = MANUAL;
        "removed {client}: it was allowed by hand until {}", local_time(grant.until)
    );
}

/// Logins have been revoked.
pub fn revoked(what: &Scope, by: u32, removed: usize) {
    let user = match what {
        Scope::User(name) => printable(name),
        _ => String::new(),
    };
    let scope = printable(&what.to_string());
    info!(
        MESSAGE_ID = id::REVOKED, POP_BEFORE_SMTP_CLIENTS = removed,
        POP_BEFORE_SMTP_USER = user.as_str(), POP_BEFORE_SMTP_BY_UID = by;
        "revoked {scope} by hand (uid {by}): {} removed; earlier logins no longer count",
        count(removed, "client")
    );
}

/// A client is listed no more, as its logins have been revoked.
pub fn client_revoked(client: Client, what: &Scope) {
    let scope = printable(&what.to_string());
    info!(
        MESSAGE_ID = id::CLIENT_REMOVED, POP_BEFORE_SMTP_CLIENT:% = client;
        "removed {client}: {scope} was revoked by hand"
    );
}

/// What was done by hand could not be read, and is lost.
pub fn manual_set_aside(error: &dyn Display) {
    error!(MESSAGE_ID = id::STORE_SET_ASIDE; "{error}");
}

/// What was done by hand can't be written for now.
pub fn manual_trouble(error: &dyn Display) {
    error!(
        MESSAGE_ID = id::STORE_TROUBLE;
        "{error}: what was allowed and revoked by hand holds until the service is restarted"
    );
}

/// A server has started, and its sessions are over.
pub fn server_restarted(server: &str, sessions: usize) {
    info!(
        MESSAGE_ID = id::SERVER_RESTARTED, POP_BEFORE_SMTP_SERVER = server;
        "{server} has started: {} from before ended; grace counts from now",
        count(sessions, "session")
    );
}

/// Sessions are taken to have ended: the server said that one has, and not which.
pub fn sessions_unfollowed(server: &str, sessions: usize) {
    debug!(
        MESSAGE_ID = id::SESSIONS_UNFOLLOWED, POP_BEFORE_SMTP_SERVER = server;
        "{server} does not say which session has ended: {} taken to be over; grace counts from now",
        count(sessions, "session")
    );
}

/// A session has ended, and its server has lost its name.
pub fn session_lost(server: &str, sessions: usize) {
    info!(
        MESSAGE_ID = id::SESSION_LOST, POP_BEFORE_SMTP_SERVER = server;
        "{server} has logged the end of a session, but not which one: one of {}; grace of a client that \
         has no other open counts from now",
        count(sessions, "open session")
    );
}

/// A server does not log the ends of its sessions.
pub fn ends_untold(untold: &Untold, source: Option<&str>) {
    let text = self::untold(untold, source);
    warn!(
        MESSAGE_ID = id::ENDS_UNTOLD, POP_BEFORE_SMTP_SERVER = &untold.server,
        POP_BEFORE_SMTP_SOURCE = source;
        "{text}"
    );
}

/// What is said of a server that does not log the ends of its sessions.
const UNTOLD: &str = " does not log the ends of its sessions";

/// The same, for a sentence.
pub fn untold(untold: &Untold, source: Option<&str>) -> String {
    let server = match untold.protocol {
        Some(protocol) => format!("{} ({})", untold.server, protocol.name()),
        None => untold.server.clone(),
    };
    let server = at_source(&server, source);
    let last = match untold.last {
        Some(last) => format!("the last one was recognised at {}", local_time(last)),
        None => "none was ever recognised".to_owned(),
    };
    format!(
        "{server}{UNTOLD} ({last}, and sessions lasted as long as they can): grace counts from the \
         login; 'pop-before-smtp doctor' shows which lines come closest"
    )
}

/// The server of which a problem says that it does not log the ends of its sessions.
pub fn untold_server(problem: &str) -> Option<&str> {
    let (server, _) = problem.split_once(UNTOLD)?;
    server.split(' ').next()
}

/// A login lists nobody.
pub fn login_ignored(
    client: Client,
    user: Option<&str>,
    server: &str,
    source: Option<&str>,
    why: Refusal,
) {
    let (user, at) = (name_of(user), at_source(server, source));
    let reason = why.reason();
    if why.is_limit() {
        warn!(
            MESSAGE_ID = id::LIMIT_REACHED,
            POP_BEFORE_SMTP_CLIENT:% = client,
            POP_BEFORE_SMTP_USER = user.as_str(),
            POP_BEFORE_SMTP_SERVER = server,
            POP_BEFORE_SMTP_SOURCE = source;
            "refused {client}: {user} has logged in to {at}, but {reason}; raise it in the \
             configuration if this is wanted, or look for stolen passwords"
        );
    } else {
        debug!(
            MESSAGE_ID = id::LOGIN_IGNORED,
            POP_BEFORE_SMTP_CLIENT:% = client,
            POP_BEFORE_SMTP_USER = user.as_str(),
            POP_BEFORE_SMTP_SERVER = server,
            POP_BEFORE_SMTP_SOURCE = source;
            "{client} is not listed: {user} has logged in to {at}, but {reason}"
        );
    }
}

/// All logins come from one private address. Returns what is wrong, for those who ask later.
pub fn one_address(client: Client, users: usize) -> String {
    let finding = format!(
        "all logins come from {client}, a private address, by now of {}: if it is a bridge's, a \
         gateway's or a front end's, one login lets everybody behind it relay",
        count(users, "user")
    );
    let remedy = format!(
        "add \"{client}\" to never, and have the clients' addresses passed on (PROXY protocol; in \
         Dovecot: haproxy = yes)"
    );
    warn!(
        MESSAGE_ID = id::ONE_ADDRESS, POP_BEFORE_SMTP_CLIENT:% = client;
        "{finding}; {remedy}"
    );
    format!("{finding}\n{remedy}")
}

/// Postfix has asked, and the client may relay.
pub fn relay_granted(client: Client, listed: &Listed<'_>, request: &Request<'_>) {
    if !log::log_enabled!(log::Level::Debug) {
        return;
    }
    let user = name_of(listed.user());
    let why = match &listed.login {
        Some(login) => format!("{user} has logged in to {}", login.server),
        None => "it was allowed by hand".to_owned(),
    };
    let text = |bytes| printable(&String::from_utf8_lossy(bytes));
    let (sender, recipient) = (text(request.sender), text(request.recipient));
    let queue_id = match request.queue_id {
        b"" => String::new(),
        id => format!(", queue id {}", text(id)),
    };
    debug!(
        MESSAGE_ID = id::RELAY_GRANTED,
        POP_BEFORE_SMTP_CLIENT:% = client,
        POP_BEFORE_SMTP_USER = user.as_str(),
        POP_BEFORE_SMTP_SERVER = listed.server();
        "{client} may relay from <{sender}> to <{recipient}>{queue_id}: {why}"
    );
}

/// Logins over a limit that were not reported one by one.
pub fn more_refused_by_limits(more: u64) {
    warn!(
        MESSAGE_ID = id::LIMIT_REACHED;
        "refused {} more within a minute, as a limit is reached",
        count(more, "login")
    );
}

/// An entry looks like a server's, and is not by one of its senders.
pub fn entry_refused(refused: &Refused, source: Option<&str>) {
    let server = &*refused.server;
    let client = refused.client().map(|c| c.to_string()).unwrap_or_default();
    let what = refused.what();
    warn!(
        MESSAGE_ID = id::ENTRY_REFUSED,
        POP_BEFORE_SMTP_CLIENT = client.as_str(),
        POP_BEFORE_SMTP_SERVER = server,
        POP_BEFORE_SMTP_SOURCE = source;
        "{}refused {what} that looks like {server}'s, written by {}: {}. {}",
        of_source(source), refused.sender, refused.why, refused.advice()
    );
}

/// Refused entries of one sender that were not reported one by one.
pub fn more_entries_refused(more: u64, refused: &Refused, source: Option<&str>) {
    warn!(
        MESSAGE_ID = id::ENTRY_REFUSED, POP_BEFORE_SMTP_SERVER = &*refused.server,
        POP_BEFORE_SMTP_SOURCE = source;
        "{}refused {} more that look like {}'s, written by {}",
        of_source(source), count(more, "entry"),
        refused.server, refused.sender
    );
}

/// The access map has been published.
pub fn published(clients: usize, took: Duration) {
    let milliseconds = took.as_millis();
    info!(
        MESSAGE_ID = id::PUBLISHED,
        POP_BEFORE_SMTP_CLIENTS = clients,
        POP_BEFORE_SMTP_MILLISECONDS:% = milliseconds;
        "published {} in {milliseconds} ms", count(clients, "client")
    );
}

/// What Postfix has while the access map can't be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The map as it was.
    Old,
    /// The map as it was, with a client in it that may relay no more.
    TooMuch,
    /// No map.
    Nothing,
}

/// The access map could not be published.
pub fn publication_failed(error: &dyn Display, retry: Duration, kept: Kept) {
    let seconds = retry.as_secs();
    match kept {
        Kept::Old => warn!(
            MESSAGE_ID = id::PUBLICATION_FAILED;
            "the access map can't be published, the old one is kept: {error}; next try in \
             {seconds} s"
        ),
        Kept::TooMuch => error!(
            MESSAGE_ID = id::REMOVAL_NOT_PUBLISHED;
            "a client that may no longer relay is still in the access map, which can't be \
             published: {error}; next try in {seconds} s"
        ),
        Kept::Nothing => error!(
            MESSAGE_ID = id::PUBLICATION_FAILED;
            "there is no access map, so Postfix defers all mail where main.cf names it, and \
             it can't be published: {error}; next try in {seconds} s; {RELOAD_POSTFIX}"
        ),
    }
}

/// A publication takes longer than it should. Returns what is wrong, for those who ask later.
pub fn publication_late(longer_than: Duration, kept: Kept) -> String {
    let (id, level, meanwhile) = match kept {
        Kept::Old => (id::PUBLICATION_FAILED, Level::Warn, "the old one is kept"),
        Kept::TooMuch => (
            id::REMOVAL_NOT_PUBLISHED,
            Level::Error,
            "the old one, which is kept, lists a client that may no longer relay",
        ),
        Kept::Nothing => (
            id::PUBLICATION_FAILED,
            Level::Error,
            "there is none, so Postfix defers all mail where main.cf names it",
        ),
    };
    let seconds = longer_than.as_secs();
    let late = format!(
        "it takes longer than {seconds} s to publish the access map; until it is done, {meanwhile}: is \
         the machine overloaded, or a disk hanging?"
    );
    log!(level, MESSAGE_ID = id; "{late}");
    late
}

/// What is to be done once a map is back. An smtpd that has found none when it started answers 451 for
/// as long as it lives (`dict_surrogate` of Postfix).
pub const RELOAD_POSTFIX: &str =
    "run 'postfix reload' once it is back: an smtpd that has missed it goes on deferring mail";

/// Somebody else has changed what was published.
pub fn map_changed(changes: &[MapChange]) {
    let (file, mut what) = of_changes(changes);
    if changes.iter().any(MapChange::leaves_no_map) {
        what = format!("{what}; {RELOAD_POSTFIX}");
    }
    warn!(
        MESSAGE_ID = id::MAP_CHANGED, POP_BEFORE_SMTP_FILE = file.as_str();
        "somebody else has changed the access map, which is published again: {what}"
    );
}

/// Somebody else goes on to change what was published.
pub fn map_changed_often(changes: &[MapChange]) {
    let (file, what) = of_changes(changes);
    warn!(
        MESSAGE_ID = id::MAP_CHANGED, POP_BEFORE_SMTP_FILE = file.as_str();
        "somebody else changes the access map again and again: {what}. It is published again each \
         time, after a pause, and not told of any more until ten minutes go by without a change"
    );
}

/// The first file that has changed, and all that has.
fn of_changes(changes: &[MapChange]) -> (String, String) {
    let file = changes.first().map(|change| change.path.display());
    let all: Vec<String> = changes.iter().map(ToString::to_string).collect();
    (
        file.map(|file| file.to_string()).unwrap_or_default(),
        all.join("; "),
    )
}

/// A store that can't be used has been set aside.
pub fn store_set_aside(aside: &Path, reason: &str, from: Timestamp) {
    error!(
        MESSAGE_ID = id::STORE_SET_ASIDE;
        "{reason}; it is now {}, and is rebuilt from the journal since {}",
        aside.display(), local_time(from)
    );
}

/// The store can't be written for now.
pub fn store_trouble(error: &dyn Display) {
    error!(
        MESSAGE_ID = id::STORE_TROUBLE;
        "{error}: the whitelist continues in memory, and the journal is read again after a restart"
    );
}

/// The store can be written again.
pub fn store_recovered() {
    info!(MESSAGE_ID = id::STORE_RECOVERED; "the store can be written again");
}

/// The configuration has been taken anew.
pub fn reloaded(servers: &str, networks: &str) {
    info!(
        MESSAGE_ID = id::RELOADED, POP_BEFORE_SMTP_SERVER = servers;
        "reloaded: servers {servers}; permitted networks {networks}"
    );
}

/// The configuration is wrong, and the one in force is kept.
pub fn reload_refused(error: &dyn Display) {
    error!(
        MESSAGE_ID = id::RELOAD_REFUSED;
        "not reloaded, the configuration in force is kept: {error}"
    );
}

/// Somebody wants more or less to be written.
pub fn log_level_set(level: &str, by: &dyn Display) {
    info!(
        MESSAGE_ID = id::LOG_LEVEL_SET;
        "the log level is {level} from now on, set by {by}, until a reload or restart"
    );
}

/// The clock was set.
pub fn clock_set() {
    info!(MESSAGE_ID = id::CLOCK_SET; "the clock was set: checked all deadlines again");
}

/// Something is odd, and said once.
pub fn warning(text: &str) {
    warn!(MESSAGE_ID = id::NOTICE; "{text}");
}

/// A command, or the service, has failed.
pub fn failed(error: &dyn Display) {
    error!(MESSAGE_ID = id::FAILED; "{error}");
}
