//! The store: whitelist, sessions and journal position on disk, in sled.
//!
//! A cache of the journal. Records lie in blocks, in the order of their keys: see [`blocks`]. Each batch
//! is one transaction with its position, so that after a crash the whitelist and the position agree; what
//! was not committed is read again. A store that is damaged, or another version's, is set aside, and
//! rebuilt by the caller; this room never repairs and never decides who is listed.

mod blocks;
mod closer;
mod error;
mod flusher;
mod heard;
mod in_force;
mod keys;
pub mod manual_file;
mod reading;
mod unfinished;
mod unhurried;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use sled::transaction::{ConflictableTransactionError, TransactionError};
use sled::{Db, IVec, Transactional, Tree};

use blocks::{BlockChange, Blocks, Change};
use closer::Closer;
pub use error::StoreError;
use error::classify;
pub use flusher::Flusher;
use flusher::force;
pub use heard::Heard;
pub use in_force::{FormerMap, InForce};
use keys::{ENDS, POSITION, key_of_client, key_of_position, key_of_session, source_of};
#[doc(hidden)]
pub use reading::of_two_blocks;
use reading::{ReadError, decode};
use unhurried::Unhurried;

use crate::client::Client;
use crate::journal::Position;
use crate::origin::Id;
use crate::whitelist::{Clients, Ends, EndsOfServer, Listing, Session, SessionKey, Sessions};

/// The format of what is kept. Another one is not read but rebuilt from the journal.
const FORMAT: &[u8] = b"6";
/// sled's cache, in bytes. The whitelist is in our own memory already.
const CACHE: u64 = 2 << 20;
/// How many blocks a transaction may change: sled keeps the memory of the largest.
const TRANSACTION: usize = 32;
/// How many records of one block may change in a transaction, for the same reason: most of them
/// may be new, and make new blocks.
const RECORDS: usize = 256;
/// How many changes are made ready at once: what they are made of takes less room.
const PIECE: usize = 4096;
/// How long another process may take to leave the store: one that stops, or withdraws clients.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);
/// Between two tries to get sled's lock, which has no time limit of its own.
const LOCK_RETRY: Duration = Duration::from_millis(50);

/// The open store. Only one process can have it open.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    db: Db,
    /// Clients and sessions, in this order.
    records: [RecordTree; 2],
    meta: Tree,
    /// The last one to go.
    _closer: Closer,
}

/// A tree of sled that holds records, in blocks.
#[derive(Debug)]
struct RecordTree {
    tree: Tree,
    blocks: Blocks,
}

/// What the store kept.
#[derive(Debug, Default)]
pub struct Kept {
    /// The clients that were listed.
    pub clients: Clients,
    /// The sessions.
    pub sessions: Sessions,
    /// Which servers tell the ends of their sessions.
    pub ends: Ends,
    /// How far the journal of each source had been read.
    pub positions: Positions,
    /// What was in force.
    pub in_force: Option<InForce>,
    /// The maps from before that are yet to be emptied.
    pub former_maps: Vec<FormerMap>,
    /// What was heard of whom, if that is known.
    pub heard: Option<Heard>,
}

/// How far the journals have been read, by their sources.
pub type Positions = BTreeMap<Id, Position>;

/// What the journals have told, up to these places.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// How far they have been read.
    pub positions: &'a Positions,
    /// Which servers tell the ends of their sessions, if that has changed.
    pub ends: Option<&'a [EndsOfServer]>,
}

impl<'a> From<&'a Positions> for Told<'a> {
    fn from(positions: &'a Positions) -> Self {
        Told {
            positions,
            ends: None,
        }
    }
}

/// A store that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What it kept.
    pub kept: Kept,
    /// Where one that can't be used was set aside, and why.
    pub set_aside: Option<(PathBuf, String)>,
}

/// The places of the trees in a transaction.
const CLIENTS: usize = 0;
const SESSIONS: usize = 1;
const META: usize = 2;

/// A value of sled that is written, or removed.
struct Write {
    /// Its tree's place.
    tree: usize,
    key: Box<[u8]>,
    value: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct PositionRecord {
    cursor: String,
    time: Timestamp,
}

impl Store {
    /// Opens the store at `path`, or makes it. One that can't be used is set aside, and an empty one is
    /// made: a damaged one as `path.damaged`, that of another version as `path.format-N`. Either takes the
    /// place only of one of the same kind.
    ///
    /// Waits for a moment while another process has it open.
    ///
    /// # Errors
    /// When another process keeps it open, or the file system fails.
    pub fn open(path: &Path) -> Result<Opened, StoreError> {
        check_owner(path)?;
        let opened = |(store, kept), set_aside| Opened {
            store,
            kept,
            set_aside,
        };
        let error = match Self::open_whole(path, LOCK_PATIENCE) {
            Ok(whole) => return Ok(opened(whole, None)),
            Err(error) => error,
        };
        let Some(extension) = error.set_aside_as() else {
            return Err(error);
        };
        let aside = path.with_extension(extension);
        let system = |source| StoreError::System {
            path: aside.clone(),
            source,
        };
        match std::fs::remove_dir_all(&aside) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(system(e)),
            _ => std::fs::rename(path, &aside).map_err(system)?,
        }
        let mut whole = Self::open_whole(path, LOCK_PATIENCE)?;
        let set_aside = Some((aside, error.to_string()));
        if let StoreError::OtherFormat {
            in_force,
            former_maps,
            ..
        } = error
        {
            whole.1.in_force = in_force.map(|in_force| *in_force);
            whole.1.former_maps = former_maps;
        }
        Ok(opened(whole, set_aside))
    }

    /// Opens the store at `path` as it is, or not at all: waits for nobody, sets nothing aside.
    ///
    /// # Errors
    /// When another process has it open, it is damaged, or the file system fails.
    pub fn open_now(path: &Path) -> Result<Opened, StoreError> {
        check_owner(path)?;
        let (store, kept) = Self::open_whole(path, Duration::ZERO)?;
        Ok(Opened {
            store,
            kept,
            set_aside: None,
        })
    }

    fn open_whole(path: &Path, patience: Duration) -> Result<(Self, Kept), StoreError> {
        let damaged = |reason| StoreError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let existed = path.exists();
        let opened = open_patiently(path, patience)?;
        let _closer = Closer::of(&opened);
        // Goes before that.
        let db = opened;
        let _unhurried = Unhurried::new();
        // sled panics on some kinds of damage.
        let read = catch_unwind(AssertUnwindSafe(|| {
            let open_tree = |name| {
                db.open_tree(name).map(|tree| RecordTree {
                    tree,
                    blocks: Blocks::default(),
                })
            };
            let mut store = Store {
                path: path.to_owned(),
                records: [open_tree("clients")?, open_tree("sessions")?],
                meta: db.open_tree("meta")?,
                db: db.clone(),
                _closer: Closer::of(&db),
            };
            let kept = store.read(existed)?;
            Ok::<_, ReadError>((store, kept))
        }));
        match read {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(ReadError::Sled(error))) => Err(classify(path, error)),
            Ok(Err(ReadError::Record(reason))) => Err(damaged(reason)),
            Ok(Err(ReadError::OtherFormat {
                format,
                in_force,
                former_maps,
            })) => Err(StoreError::OtherFormat {
                path: path.to_owned(),
                format,
                in_force,
                former_maps,
            }),
            Err(_) => Err(damaged("sled panicked".to_owned())),
        }
    }

    fn read(&mut self, existed: bool) -> Result<Kept, ReadError> {
        match self.meta.get("format")? {
            Some(format) if format == FORMAT => {}
            Some(other) => {
                return Err(ReadError::OtherFormat {
                    format: reading::other_format(&other),
                    in_force: in_force::read(&self.meta).unwrap_or_default().map(Box::new),
                    former_maps: in_force::read_former_maps(&self.meta).unwrap_or_default(),
                });
            }
            // sled takes some damage for a store that is new.
            None if existed => {
                return Err(ReadError::Record("it has lost what it held".to_owned()));
            }
            None => {
                self.meta.insert("format", FORMAT)?;
                force(&self.db, &self.path)?;
            }
        }
        let mut kept = Kept::default();
        let [clients, sessions] = &mut self.records;
        kept.clients = reading::clients(clients.read())?;
        kept.sessions = reading::sessions(sessions.read())?;
        for entry in self.meta.scan_prefix(POSITION) {
            let (key, value) = entry?;
            let PositionRecord { cursor, time } = decode(&value)?;
            kept.positions
                .insert(source_of(&key), Position { cursor, time });
        }
        if let Some(value) = self.meta.get(ENDS)? {
            kept.ends = Ends::restore(decode(&value)?);
        }
        kept.in_force = in_force::read(&self.meta)?;
        kept.former_maps = in_force::read_former_maps(&self.meta)?;
        kept.heard = heard::read(&self.meta)?;
        Ok(kept)
    }

    /// Commits what has changed, as [`Store::write`] does, and waits for the disk: when it returns, a
    /// killed process loses nothing of it.
    ///
    /// # Errors
    /// When the file system fails. The store is then to be closed and opened again.
    pub fn commit<'a, 'b>(
        &mut self,
        clients: impl IntoIterator<Item = (Client, Option<Listing<'a>>)>,
        sessions: impl IntoIterator<Item = (SessionKey<'a>, Option<Session>)>,
        told: impl Into<Told<'b>>,
    ) -> Result<(), StoreError> {
        self.write(clients, sessions, told)?;
        self.flusher().flush()
    }

    /// Writes what has changed (`None` is gone), and what the journals have told up to where they have been
    /// read. It is quickest when records come in the order of their keys. It lasts once it has been flushed; a
    /// process that is killed before loses the end of what was written, and never a part from
    /// between.
    ///
    /// One transaction, unless so much has changed (after a catch-up) that it would take sled more
    /// memory than the whole whitelist: then several, and what the journals have told with the last.
    /// If they are interrupted, the entries from the old place on are read again, and events that
    /// are applied twice change nothing.
    ///
    /// # Errors
    /// When the file system fails. The store is then to be closed and opened again.
    pub fn write<'a, 'b>(
        &mut self,
        clients: impl IntoIterator<Item = (Client, Option<Listing<'a>>)>,
        sessions: impl IntoIterator<Item = (SessionKey<'a>, Option<Session>)>,
        told: impl Into<Told<'b>>,
    ) -> Result<(), StoreError> {
        let _unhurried = Unhurried::new();
        let clients = clients.into_iter().map(|(client, listing)| Change {
            key: key_of_client(client),
            value: listing.as_ref().map(encode),
        });
        let sessions = sessions.into_iter().map(|(key, session)| Change {
            key: key_of_session(key),
            value: session.as_ref().map(encode),
        });
        let mut writes = Vec::new();
        self.commit_records(CLIENTS, clients, &mut writes)?;
        self.commit_records(SESSIONS, sessions, &mut writes)?;
        let Told { positions, ends } = told.into();
        writes.extend(ends.map(|ends| Write {
            tree: META,
            key: ENDS.into(),
            value: Some(encode(&ends)),
        }));
        writes.extend(positions.iter().map(|(source, position)| Write {
            tree: META,
            key: key_of_position(*source).into(),
            value: Some(encode(&PositionRecord {
                cursor: position.cursor.clone(),
                time: position.time,
            })),
        }));
        self.transact(&mut writes)
    }

    /// Forgets how far the journals of other sources had been read.
    ///
    /// # Errors
    /// When the file system fails. The store is then to be closed and opened again.
    pub fn forget_other_sources(&self, sources: &[Id]) -> Result<(), StoreError> {
        let is_other = |key: &IVec| !sources.contains(&source_of(key));
        let keys = self.meta.scan_prefix(POSITION).keys();
        keys.filter(|key| key.as_ref().map_or(true, is_other))
            .try_for_each(|key| self.meta.remove(key?).map(drop))
            .map_err(|error| classify(&self.path, error))
    }

    /// What forces to the disk all that has been written, on a thread that may wait for it.
    #[must_use]
    pub fn flusher(&self) -> Flusher {
        Flusher {
            path: self.path.clone(),
            db: self.db.clone(),
            _closer: Closer::of(&self.db),
        }
    }

    /// Commits changes of the records of a tree, but for the last of them, which it leaves in
    /// `writes`.
    fn commit_records(
        &mut self,
        tree: usize,
        mut changes: impl Iterator<Item = Change>,
        writes: &mut Vec<Write>,
    ) -> Result<(), StoreError> {
        loop {
            let mut some: Vec<Change> = changes.by_ref().take(PIECE).collect();
            if some.is_empty() {
                return Ok(());
            }
            // Block after block: each is read and written once. What comes twice keeps its order, and
            // the last counts: a block holds each record once.
            some.sort_by(|a, b| a.key.cmp(&b.key));
            some.dedup_by(|next, kept| {
                let is_same = next.key == kept.key;
                if is_same {
                    std::mem::swap(next, kept);
                }
                is_same
            });
            self.commit_piece(tree, &some, writes)?;
        }
    }

    fn commit_piece(
        &mut self,
        tree: usize,
        changes: &[Change],
        writes: &mut Vec<Write>,
    ) -> Result<(), StoreError> {
        let mut rest = changes;
        while let Some(first) = rest.first() {
            if writes.len() >= TRANSACTION {
                self.transact(writes)?;
            }
            let records = &mut self.records[tree];
            let (start, end) = records.blocks.holding(&first.key);
            let of_block = |change: &Change| end.is_none_or(|end| *change.key < *end);
            let number = rest
                .iter()
                .take(RECORDS)
                .take_while(|c| of_block(c))
                .count();
            let (some, others) = rest.split_at(number);
            rest = others;
            // The block may be among what has yet to be written.
            let pending = writes
                .iter()
                .rev()
                .find(|w| w.tree == tree && *w.key == *start);
            let block = match pending {
                Some(write) => write.value.clone(),
                None => {
                    let block = records.tree.get(start);
                    let block = block.map_err(|error| classify(&self.path, error))?;
                    block.map(|block| block.to_vec())
                }
            };
            let made = blocks::merge(start, &block.unwrap_or_default(), some);
            let made = made.map_err(|error| StoreError::Damaged {
                path: self.path.clone(),
                reason: error.to_string(),
            })?;
            records.blocks.apply(&made);
            writes.extend(made.into_iter().map(|BlockChange { start, block }| Write {
                tree,
                key: start,
                value: block,
            }));
        }
        Ok(())
    }

    /// Carries out what is to be written, in one transaction.
    fn transact(&self, writes: &mut Vec<Write>) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        let [clients, sessions] = &self.records;
        let trees = [&clients.tree, &sessions.tree, &self.meta];
        let transaction = trees.as_slice().transaction(|trees| {
            for Write { tree, key, value } in &*writes {
                match value {
                    Some(value) => trees[*tree].insert(&**key, value.as_slice())?,
                    None => trees[*tree].remove(&**key)?,
                };
            }
            Ok::<(), ConflictableTransactionError<()>>(())
        });
        writes.clear();
        transaction.map_err(|error| match error {
            TransactionError::Storage(error) => classify(&self.path, error),
            TransactionError::Abort(()) => StoreError::Damaged {
                path: self.path.clone(),
                reason: "a transaction was aborted".to_owned(),
            },
        })
    }
}

impl RecordTree {
    /// Its blocks, in order, each with where it starts. Takes note of them.
    fn read(&mut self) -> impl Iterator<Item = Result<(IVec, IVec), ReadError>> {
        let blocks = &mut self.blocks;
        self.tree.iter().map(|block| {
            let (start, block) = block?;
            blocks.add(&start);
            Ok((start, block))
        })
    }
}

/// Records are of types that postcard can always express.
fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).unwrap_or_default()
}

fn open_patiently(path: &Path, patience: Duration) -> Result<Db, StoreError> {
    let started = Instant::now();
    loop {
        unfinished::remove(path).map_err(|source| StoreError::System {
            path: path.to_owned(),
            source,
        })?;
        let opened = catch_unwind(|| {
            let _unhurried = Unhurried::new();
            sled::Config::new()
                .path(path)
                .cache_capacity(CACHE)
                .flush_every_ms(None) // each commit flushes; nothing to wake up for
                .open()
        });
        let error = match opened {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(error)) => error,
            Err(_) => {
                let reason = "sled panicked".to_owned();
                return Err(StoreError::Damaged {
                    path: path.to_owned(),
                    reason,
                });
            }
        };
        if !is_lock_error(&error) {
            return Err(classify(path, error));
        }
        if started.elapsed() >= patience {
            return Err(StoreError::Locked {
                path: path.to_owned(),
            });
        }
        std::thread::sleep(LOCK_RETRY);
    }
}

/// sled has no error of its own for a lock that another process holds.
fn is_lock_error(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(e) if e.to_string().contains("could not acquire lock"))
}

/// root may not write into the directory of another user.
fn check_owner(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::MetadataExt;
    let Some(directory) = path.parent() else {
        return Ok(());
    };
    let system = |source| StoreError::System {
        path: directory.to_owned(),
        source,
    };
    let owner = std::fs::metadata(directory).map_err(system)?.uid();
    if geteuid().is_root() && owner != 0 {
        return Err(StoreError::NotOurs {
            path: directory.to_owned(),
            owner,
        });
    }
    Ok(())
}
