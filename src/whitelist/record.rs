//! What is told of a client and of a session: the whitelist's records.
//!
//! Plain data, as the store keeps it, in this order and with times in microseconds since 1970. A
//! change of what is kept is another format: see the store's. A field that is skipped is not kept.

use std::borrow::Cow;
use std::num::NonZeroU32;

use jiff::fmt::serde::timestamp::microsecond::{optional, required};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::event::Protocol;
use crate::origin::{Id, Origin};

/// A client that may relay now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing<'a> {
    /// Since when it is listed without a break.
    #[serde(with = "required")]
    pub since: Timestamp,
    /// Its last login.
    #[serde(with = "required")]
    pub last_login: Timestamp,
    /// Its last login or logout: grace counts from here.
    #[serde(with = "required")]
    pub last: Timestamp,
    /// Who logged in last.
    pub user: Option<Cow<'a, str>>,
    /// The server that this was on.
    #[serde(borrow)]
    pub server: Cow<'a, str>,
    /// The source that tells of it.
    pub source: Id,
    /// How many of its sessions are certainly open: those whose end has not been told, less one for each
    /// end that was told and did not say whose it was. Not kept: it is counted anew when the whitelist is
    /// restored.
    #[serde(skip)]
    pub open: u32,
}

impl Listing<'_> {
    /// The same, of one who is listed no more.
    #[must_use]
    pub fn into_owned(self) -> Listing<'static> {
        Listing {
            user: self.user.map(|user| user.into_owned().into()),
            server: self.server.into_owned().into(),
            ..self
        }
    }
}

/// A session: where it is, its server's name, and the id that this gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey<'a> {
    /// Where the server runs.
    pub origin: Origin,
    /// The name of the server's definition.
    pub server: &'a str,
    /// What the server calls the session.
    pub id: &'a str,
}

/// A session: open, or ended a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose it is; unknown where the end of the session came before its login.
    pub client: Option<Client>,
    /// When it was opened, or was first heard of.
    #[serde(with = "required")]
    pub since: Timestamp,
    /// When it ended.
    #[serde(with = "optional")]
    pub ended: Option<Timestamp>,
    /// Its protocol, where that is known.
    pub protocol: Option<Protocol>,
    /// How long it can last at the most, in seconds, if its server's definition says so.
    pub longest: Option<NonZeroU32>,
    /// Whether it may be over: an end was told of one of several sessions, and not of which.
    pub is_doubtful: bool,
}

/// How long a session can last at the most, in whole seconds.
pub(super) fn longest_in_seconds(longest: Option<SignedDuration>) -> Option<NonZeroU32> {
    let seconds = longest?.as_secs().max(1);
    NonZeroU32::new(u32::try_from(seconds).unwrap_or(u32::MAX))
}
