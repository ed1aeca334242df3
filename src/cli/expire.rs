//! `expire`: while the service is stopped, grace ends all the same.
//!
//! Reads the store and publishes the access map, again if somebody else changes it; adds nobody, whatever
//! the store says, and steps back as soon as the service is there again, who then publishes what is right.
//! Without Postfix there is nothing to publish.

mod maps;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::{CommandError, CommandResult};
use crate::client::Client;
use crate::config::{self, Limits, Settings};
use crate::daemon::{
    DeadlineTimer, DirectoryWatch, ForeignChanges, Tell, source_names, sources, store_path,
};
use crate::diagnostics::{self, Change, Floods, Kept as Left};
use crate::networks::Networks;
use crate::postfix::access_map::{AccessMap, MapChange, Marks, PublishError};
use crate::postfix::command::Programs;
use crate::store::manual_file::ManualFile;
use crate::store::{InForce, Kept, Opened, Positions, Store, StoreError};
use crate::whitelist::{Listing, Rules, Whitelist};
use maps::FormerMaps;

/// Where the state is if the configuration can't say.
const STATE_DIRECTORY: &str = "/var/lib/pop-before-smtp";
/// How long a map that can't be published is left alone.
const RETRY: SignedDuration = SignedDuration::from_secs(5);

/// How long it goes on.
#[derive(Debug, Args)]
pub struct ExpireArgs {
    /// Remove the clients that have expired by now, and exit. Without it, wait for each client's
    /// time, and exit when no client is left or the service is back
    #[arg(long)]
    now: bool,
}

/// Withdraws clients at their time.
pub fn run(config: Option<&Path>, args: &ExpireArgs) -> CommandResult {
    diagnostics::install();
    // A configuration that is wrong is one reason why the service is stopped. Grace ends anyway.
    let settings = match config::load(config) {
        Ok(loaded) => Some(loaded.settings),
        Err(error) => {
            diagnostics::warning(&format!("{error}\ngoing on with what was in force before"));
            None
        }
    };
    let state_directory = settings.as_ref().map_or_else(
        || std::env::var_os("STATE_DIRECTORY").map_or(STATE_DIRECTORY.into(), PathBuf::from),
        |settings| settings.state_directory.clone(),
    );
    let path = store_path(&state_directory);
    let names = settings
        .as_ref()
        .map(|settings| source_names(&sources(settings)));
    let names = names.unwrap_or_default();
    let timer = DeadlineTimer::new().map_err(CommandError::Wait)?;
    let watch = DirectoryWatch::new().map_err(CommandError::Wait)?;
    let mut whitelist: Option<Whitelist> = None;
    // A store that could not be written may not know who has left since.
    let mut in_map: Option<Vec<Client>> = None;
    let mut published = InPlace::default();
    let mut with_sessions: HashSet<Client> = HashSet::new();
    let mut floods = Floods::default();
    let mut former_maps = FormerMaps::default();
    loop {
        // Only who has the store may publish. If the service has it, all is in good hands.
        let Some((mut store, mut kept)) = take_store(&path)? else {
            return Ok(ExitCode::SUCCESS);
        };
        let now = Timestamp::now();
        let programs = Programs::installed();
        let former = std::mem::take(&mut kept.former_maps);
        let (named, last) = (settings.as_ref(), kept.in_force.as_ref());
        if !programs.have_postfix() {
            maps::remove_all(named, last, &former, &state_directory)?;
            return Ok(ExitCode::SUCCESS);
        }
        let map = maps::in_force(named, last, &state_directory, programs)?;
        if whitelist.is_none() {
            maps::make_next(named, &map);
            in_map = map.listed();
        }
        if settings.as_ref().is_some_and(|s| !s.publish.map) {
            // It lists nobody; and it is there, as Postfix defers all mail where it is told to read one
            // that is missing.
            map.publish(&[])?;
            former_maps.empty(store.as_ref(), &former, &map, true)?;
            return Ok(ExitCode::SUCCESS);
        }
        let whitelist = whitelist.get_or_insert_with(|| {
            let mut whitelist = restore(settings.as_ref(), kept);
            match ManualFile::of(&state_directory).read() {
                Ok(manual) => drop(whitelist.set_manual(manual)),
                // It says nothing: then nobody is listed by hand.
                Err(error) => diagnostics::warning(&error.to_string()),
            }
            whitelist
        });
        whitelist.clock_set(now);
        floods.sum_up(now, whitelist.len());
        for (client, grant) in whitelist.expire_manual(now) {
            diagnostics::grant_ended(client, &grant);
        }
        let removed = whitelist.expire(now, usize::MAX);
        for (client, listing) in &removed {
            if whitelist.listed(*client).is_none() {
                let level = floods.level(Change::Removed, now);
                let source = names.name(listing.source);
                diagnostics::client_expired(*client, listing, source, level);
            }
        }
        if let Some(store) = &mut store {
            forget(store, &removed, &with_sessions)?;
        }
        // Nobody hears of logouts any more: sessions end now. Those that a returning service finds
        // open are so again, as the store keeps them.
        let open = whitelist.clients().filter(|(_, listing)| listing.open > 0);
        with_sessions.extend(open.map(|(client, _)| client));
        whitelist.end_all_sessions(now);
        let was_listed = |client: &Client| {
            (in_map.as_ref()).is_none_or(|in_map| in_map.binary_search(client).is_ok())
        };
        let clients: Vec<Client> = whitelist.addresses().filter(was_listed).collect();
        let listed = clients.len();
        let mut next = whitelist.next_deadline();
        let due = published.due(&map, &clients, now);
        match due {
            None => {}
            Some(later) if later > now => next = next.map_or(later, |next| next.min(later)).into(),
            Some(_) => match published.publish(&map, clients) {
                Ok(()) => {}
                Err(error) if args.now => return Err(error.into()),
                Err(error) => {
                    let left = if map.exists() {
                        Left::TooMuch
                    } else {
                        Left::Nothing
                    };
                    diagnostics::publication_failed(&error, RETRY.unsigned_abs(), left);
                    next = now.checked_add(RETRY).ok();
                }
            },
        }
        if let Some(pause) = former_maps.empty(store.as_ref(), &former, &map, args.now)? {
            let later = now.checked_add(pause).unwrap_or(now);
            next = next.map_or(later, |next| next.min(later)).into();
        }
        if args.now {
            floods.finish(listed);
            return Ok(ExitCode::SUCCESS);
        }
        let Some(next) = next else {
            floods.finish(listed);
            return Ok(ExitCode::SUCCESS);
        };
        let next = floods
            .next_deadline()
            .map_or(next, |sum_up| next.min(sum_up));
        drop(store);
        if timer.set(Some(next)).map_err(CommandError::Wait)? {
            // The clock was set since it was looked at.
            continue;
        }
        // A directory that is not there is tried again; otherwise it rings, and may have before.
        let _ = watch.watch(map.directory());
        watch.silence();
        if published.changes(&map).is_empty() {
            timer.wait_or(&watch);
        }
    }
}

/// What this process has published.
#[derive(Default)]
struct InPlace {
    clients: Option<Vec<Client>>,
    marks: Option<Marks>,
    foreign_changes: ForeignChanges,
    /// Not to be published again before.
    pause: Option<Timestamp>,
}

impl InPlace {
    /// What somebody else has changed of it since.
    fn changes(&self, map: &AccessMap) -> Vec<MapChange> {
        let marks = self.marks.as_ref();
        marks.map_or_else(Vec::new, |marks| marks.changes(&Marks::of(map), map))
    }

    /// When the map is to be published, if it is not as it should be.
    fn due(&mut self, map: &AccessMap, clients: &[Client], now: Timestamp) -> Option<Timestamp> {
        let changes = self.changes(map);
        if !changes.is_empty() {
            let (pause, tell) = self.foreign_changes.note(std::time::Instant::now());
            match tell {
                Tell::Change => diagnostics::map_changed(&changes),
                Tell::Often => diagnostics::map_changed_often(&changes),
                Tell::Nothing => {}
            }
            self.clients = None;
            self.marks = None;
            self.pause = now.checked_add(pause).ok();
        }
        if self.clients.as_deref() == Some(clients) {
            return None;
        }
        Some(self.pause.unwrap_or(now))
    }

    fn publish(&mut self, map: &AccessMap, clients: Vec<Client>) -> Result<(), PublishError> {
        self.marks = None;
        let done = map.publish(&clients)?;
        diagnostics::published(done.clients, done.took);
        self.marks = Some(*done.marks);
        self.clients = Some(clients);
        self.pause = None;
        Ok(())
    }
}

/// The store, unless the service has it. One that can't be read, whatever the reason, says nothing: then
/// nobody is listed until the service has rebuilt it, or can read it.
fn take_store(path: &Path) -> Result<Option<(Option<Store>, Kept)>, CommandError> {
    if !path.exists() {
        return Ok(Some((None, Kept::default())));
    }
    match Store::open_now(path) {
        Ok(Opened { store, kept, .. }) => Ok(Some((Some(store), kept))),
        Err(StoreError::Locked { .. }) => Ok(None),
        Err(error @ StoreError::NotOurs { .. }) => Err(error.into()),
        Err(error) => {
            diagnostics::warning(&format!("{error}: withdrawing everybody"));
            let mut kept = Kept::default();
            if let StoreError::OtherFormat {
                in_force,
                former_maps,
                ..
            } = error
            {
                kept.in_force = in_force.map(|in_force| *in_force);
                kept.former_maps = former_maps;
            }
            Ok(Some((None, kept)))
        }
    }
}

/// Takes clients out of the store that a returning service would remove at once, and tell of it a
/// second time. The others it may list again: a session of theirs may be open.
fn forget(
    store: &mut Store,
    removed: &[(Client, Listing<'_>)],
    with_sessions: &HashSet<Client>,
) -> Result<(), StoreError> {
    let gone = removed
        .iter()
        .filter(|(client, _)| !with_sessions.contains(client));
    let clients: Vec<_> = gone.map(|(client, _)| (*client, None)).collect();
    if clients.is_empty() {
        return Ok(());
    }
    store.commit(clients, [], &Positions::new())
}

/// The whitelist as the service left it.
fn restore(settings: Option<&Settings>, kept: Kept) -> Whitelist {
    // Of what the configuration says and what was in force, the shorter counts: a client was
    // promised no more than the one, and is owed no more than the other.
    let shorter = |of_settings: fn(&Settings) -> Duration, of_kept: fn(&InForce) -> Duration| {
        let known = settings.map(of_settings).into_iter();
        known
            .chain(kept.in_force.as_ref().map(of_kept))
            .min()
            .unwrap_or_default()
    };
    let grace = shorter(|s| s.grace, |k| k.grace);
    let max_session = shorter(|s| s.max_session, |k| k.max_session);
    let signed = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let rules = Rules {
        grace: signed(grace),
        max_session: signed(max_session),
        limits: Limits::NONE,
        permitted: Networks::default(),
        never: Networks::default(),
    };
    Whitelist::restore(rules, kept.clients, kept.sessions)
}
