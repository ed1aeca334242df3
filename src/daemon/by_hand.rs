//! What operators do by hand: put in force, kept on disk, and confirmed when Postfix knows.
//!
//! Decides about nobody: the whitelist's rules do. What can't be written is tried again with the
//! next change, and whoever has asked for it is told.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::answers::client_info;
use super::publishing::MapKeeper;
use super::service::Service;
use super::start::later;
use crate::control::{Allow, Allowed, Answer, Fault, Peer, Revoke, Revoked};
use crate::diagnostics;
use crate::store::manual_file::{ManualFile, ManualFileError};
use crate::whitelist::{Grant, LONGEST_NOTE, Manual, Whitelist};

/// How long a publication may take until whoever waits for it is told that it has not come: half
/// of what our commands wait.
const PATIENCE: Duration = Duration::from_secs(30);
/// For so many clients each is told of in the journal; beyond that, their number is.
const TOLD: usize = 1000;

/// What was done by hand, on disk; and who waits for Postfix to know of it.
pub(super) struct ByHand {
    file: ManualFile,
    trouble: Option<String>,
    waiting: Vec<Waiting>,
}

struct Waiting {
    /// The whitelist's generation that the map must have.
    generation: u64,
    until: Instant,
    confirm: Confirm,
}

/// Answers: with success, or why not.
type Confirm = Box<dyn FnOnce(Result<(), Fault>)>;

impl ByHand {
    /// Reads what was done by hand, and applies it to the whitelist that the store kept. A damaged
    /// file is set aside, loudly.
    pub fn open(state_directory: &Path, whitelist: &mut Whitelist) -> Self {
        let file = ManualFile::of(state_directory);
        let mut trouble = None;
        let manual = file.read().unwrap_or_else(|error| {
            diagnostics::manual_set_aside(&error);
            trouble = Some(error.to_string());
            if let ManualFileError::Damaged { .. } = error
                && let Err(error) = file.set_aside()
            {
                diagnostics::manual_trouble(&error);
            }
            Manual::default()
        });
        whitelist.set_manual(manual);
        ByHand {
            file,
            trouble,
            waiting: Vec::new(),
        }
    }

    /// Writes what has been done by hand since, if anything.
    pub fn keep(&mut self, whitelist: &mut Whitelist) {
        let Some(manual) = whitelist.take_manual_change() else {
            return;
        };
        match self.file.write(manual) {
            Ok(()) => self.trouble = None,
            Err(error) => {
                if self.trouble.is_none() {
                    diagnostics::manual_trouble(&error);
                }
                self.trouble = Some(error.to_string());
                whitelist.keep_manual_change();
            }
        }
    }

    /// What is wrong now.
    pub fn trouble(&self) -> Option<&String> {
        self.trouble.as_ref()
    }

    /// A publication has succeeded, or failed for `error`.
    pub fn published(&mut self, map: &MapKeeper, error: Option<&dyn std::fmt::Display>) {
        let (done, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|w| error.is_some() || map.has_published(w.generation));
        self.waiting = waiting;
        for waiting in done {
            (waiting.confirm)(match error {
                None => Ok(()),
                Some(error) => Err(Fault::NotPublished {
                    reason: error.to_string(),
                }),
            });
        }
    }

    /// Tells those who have waited for too long; says when the next will have.
    pub fn give_up_if_due(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let (late, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|waiting| waiting.until <= now);
        self.waiting = waiting;
        for waiting in late {
            let seconds = PATIENCE.as_secs();
            (waiting.confirm)(Err(Fault::NotPublished {
                reason: format!(
                    "the access map was not published within {seconds} s (is the journal still \
                     being read? see 'pop-before-smtp status')"
                ),
            }));
        }
        self.waiting.iter().map(|waiting| waiting.until).min()
    }
}

impl Service {
    /// Lists a client by hand.
    pub(super) fn allow(&mut self, allow: Allow, peer: Peer, answer: Answer<Allowed>) {
        if let Err(fault) = self.list_by_hand(&allow, peer) {
            let _ = answer.send(Err(fault));
            return;
        }
        let whitelist = self.whitelist();
        let listed = whitelist.listed(allow.client);
        let listing = listed.map(|listed| client_info(&whitelist, &listed));
        drop(whitelist);
        // Dropped, the answer closes the connection; the client is listed, so that it is not.
        let Some(listing) = listing else { return };
        self.confirm(Box::new(move |done| {
            let _ = answer.send(done.map(|()| Allowed { listing }));
        }));
    }

    fn list_by_hand(&mut self, allow: &Allow, peer: Peer) -> Result<(), Fault> {
        let (client, note) = (allow.client, allow.note.clone());
        if note.as_ref().is_some_and(|note| note.len() > LONGEST_NOTE) {
            let parameter = "note".to_owned();
            return Err(Fault::InvalidParameter { parameter });
        }
        let now = Timestamp::now();
        let grant = Grant {
            since: now,
            until: allow
                .until
                .unwrap_or_else(|| later(now, self.plan.rules.grace)),
            by: peer.uid,
            note,
        };
        let was_listed = self.whitelist().listed(client).is_some();
        let allowed = self.whitelist_mut().allow(client, grant.clone()).map(drop);
        allowed.map_err(|why| Fault::NotAdmitted {
            client,
            reason: why.to_string(),
        })?;
        diagnostics::client_allowed(client, &grant);
        if !was_listed {
            self.activity.listed_by_hand(client, grant.until);
        }
        Ok(())
    }

    /// Takes clients off.
    pub(super) fn revoke(&mut self, revoke: &Revoke, peer: Peer, answer: Answer<Revoked>) {
        let Some(scope) = revoke.scope() else {
            let parameter = "all".to_owned();
            let _ = answer.send(Err(Fault::InvalidParameter { parameter }));
            return;
        };
        let revoked = self
            .whitelist_mut()
            .revoke(&scope, peer.uid, Timestamp::now());
        let clients = match revoked {
            Ok(clients) => clients,
            Err(error) => {
                let reason = error.to_string();
                let _ = answer.send(Err(Fault::NotRevoked { reason }));
                return;
            }
        };
        diagnostics::revoked(&scope, peer.uid, clients.len());
        for (n, client) in clients.iter().enumerate() {
            if n < TOLD {
                diagnostics::client_revoked(*client, &scope);
            }
            let reason = "it was revoked by hand";
            self.activity.removed(*client, None, reason);
        }
        self.note_removal(clients.len());
        let removed = clients.len();
        let clients = clients.into_iter().take(Revoked::SHOWN).collect();
        let revoked = Revoked { removed, clients };
        self.confirm(Box::new(move |done| {
            let _ = answer.send(done.map(|()| revoked));
        }));
    }

    /// Keeps what was done, and confirms it as soon as Postfix knows.
    fn confirm(&mut self, confirm: Confirm) {
        self.commit();
        if let Some(trouble) = self.by_hand.trouble() {
            let reason = trouble.clone();
            confirm(Err(Fault::NotKept { reason }));
            return;
        }
        let generation = self.whitelist().generation();
        if self.map.has_published(generation) {
            confirm(Ok(()));
            return;
        }
        self.map.hurry();
        self.by_hand.waiting.push(Waiting {
            generation,
            until: Instant::now() + PATIENCE,
            confirm,
        });
    }
}
