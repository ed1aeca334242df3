//! Reads records: from the bytes of blocks to clients and sessions.
//!
//! The bytes come from a disk, and may be anything. Must never take a record for another one.

use serde::Deserialize;

use super::blocks;
use super::keys::{client_of, session_of};
use super::{FormerMap, InForce, StoreError};
use crate::whitelist::{Clients, KeptClients, Listing, Sessions};

/// Why a store can't be read.
#[derive(Debug)]
pub(super) enum ReadError {
    Sled(sled::Error),
    Record(String),
    /// Another version has written it. What it had in force, and before, is of the same form in all.
    OtherFormat {
        format: String,
        in_force: Option<Box<InForce>>,
        former_maps: Vec<FormerMap>,
    },
}

impl From<sled::Error> for ReadError {
    fn from(error: sled::Error) -> Self {
        ReadError::Sled(error)
    }
}

pub(super) fn wrong(what: &str) -> ReadError {
    ReadError::Record(format!("{what} can't be read"))
}

/// The name of a format that is not ours: its number, if it is one.
pub(super) fn other_format(bytes: &[u8]) -> String {
    let number = str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.parse::<u16>().ok());
    number.map_or("unknown".to_owned(), |number| number.to_string())
}

pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ReadError> {
    postcard::from_bytes(bytes).map_err(|error| ReadError::Record(error.to_string()))
}

/// The clients of these blocks, each with where it starts.
pub(super) fn clients<B: AsRef<[u8]>>(
    blocks: impl Iterator<Item = Result<(B, B), ReadError>>,
) -> Result<Clients, ReadError> {
    let mut clients = KeptClients::default();
    each_record(blocks, |key, value| {
        let client = client_of(key).ok_or_else(|| wrong("the key of a client"))?;
        clients.add(client, &decode::<Listing<'_>>(value)?);
        Ok(())
    })?;
    Ok(clients.finish())
}

/// The sessions of these blocks, likewise.
pub(super) fn sessions<B: AsRef<[u8]>>(
    blocks: impl Iterator<Item = Result<(B, B), ReadError>>,
) -> Result<Sessions, ReadError> {
    let mut sessions = Sessions::default();
    each_record(blocks, |key, value| {
        let key = session_of(key).ok_or_else(|| wrong("the key of a session"))?;
        sessions.add(key, &decode(value)?);
        Ok(())
    })?;
    Ok(sessions)
}

/// Reads all records, in order.
fn each_record<B: AsRef<[u8]>>(
    blocks: impl Iterator<Item = Result<(B, B), ReadError>>,
    mut take: impl FnMut(&[u8], &[u8]) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut last: Option<Vec<u8>> = None;
    for block in blocks {
        let (start, block) = block?;
        for record in blocks::records(block.as_ref()) {
            let (key, value) = record.map_err(|error| ReadError::Record(error.to_string()))?;
            if last.as_ref().is_some_and(|last| **last >= *key) || *key < *start.as_ref() {
                return Err(wrong("the order of the records"));
            }
            take(key, value)?;
            let last = last.get_or_insert_default();
            last.clear();
            last.extend_from_slice(key);
        }
    }
    Ok(())
}

/// What a store holds whose trees are one block each.
///
/// # Errors
/// When they can't be read.
#[doc(hidden)]
pub fn of_two_blocks(clients: &[u8], sessions: &[u8]) -> Result<(Clients, Sessions), StoreError> {
    let only = |block| std::iter::once(Ok((&[][..], block)));
    let read = || {
        let clients = self::clients(only(clients))?;
        Ok((clients, self::sessions(only(sessions))?))
    };
    read().map_err(|error: ReadError| StoreError::Damaged {
        path: "blocks".into(),
        reason: format!("{error:?}"),
    })
}
