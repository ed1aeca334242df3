//! A session as it is kept: small, as there may be a million.
//!
//! Says when it is over at the latest. Must never say that it has ended: that is told.

use std::num::NonZeroU32;

use jiff::SignedDuration;

use super::Slot;
use crate::client::Client;
use crate::event::Protocol;
use crate::whitelist::moment::Moment;
use crate::whitelist::servers::Server;
use crate::whitelist::untold_changes::UntoldChanges;

/// Sessions in this order lie side by side in the store; almost, which is near enough.
pub(super) type Near = (Server, [u8; 8]);

/// A [`Session`](crate::whitelist::Session) and its key, as they are kept.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: Box<str>,
    pub(super) since: Moment,
    pub(super) ended: Option<Moment>,
    pub(super) client: Option<Client>,
    pub(super) server: Server,
    pub(super) protocol: Option<Protocol>,
    /// How long it can last at the most, in seconds.
    pub(super) longest: Option<NonZeroU32>,
    /// Whether it may be over.
    pub(super) is_doubtful: bool,
    /// Whether it is among `changed` or `telling`.
    pub(super) is_changed: bool,
    /// Whether the store has been told of it.
    pub(super) is_stored: bool,
}

impl Record {
    pub(super) fn changed(&mut self, slot: Slot, changed: &mut UntoldChanges<(Near, Slot)>) {
        if !std::mem::replace(&mut self.is_changed, true) {
            changed.add((self.near(), slot));
        }
    }

    pub(super) fn near(&self) -> Near {
        let mut first = [0; 8];
        let length = self.id.len().min(first.len());
        first[..length].copy_from_slice(&self.id.as_bytes()[..length]);
        (self.server, first)
    }

    /// Whether it is open, and this is its deadline.
    pub(super) fn ends_at(&self, time: Moment, max_session: SignedDuration) -> bool {
        self.ended.is_none() && self.deadline(max_session) == time
    }

    /// When it is over at the latest.
    pub(super) fn deadline(&self, max_session: SignedDuration) -> Moment {
        let longest = self
            .longest
            .map(|longest| SignedDuration::from_secs(longest.get().into()));
        self.since
            .plus(longest.unwrap_or(max_session).min(max_session))
    }
}
