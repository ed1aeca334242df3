//! Which type an access map is of, where the configuration leaves that open.
//!
//! The type that it has stays: main.cf names it, and nobody changes main.cf when another Postfix, or a
//! newer one, prefers another type. Looks; changes nothing.

use std::path::Path;

use super::{WITHDRAWN, look_up_sentinel};
use crate::postfix::command::Programs;
use crate::postfix::map_type::MapType;
use crate::postfix::postconf::{self, PostconfError};

/// The type of the map that is at `path`, as long as Postfix supports it; otherwise the one that Postfix
/// prefers.
///
/// # Errors
/// When Postfix can't be asked, or supports none of our types.
pub fn kind_at(path: &Path, programs: &Programs) -> Result<MapType, PostconfError> {
    let mut there = indexes(path);
    if !there.is_empty() {
        let supported = postconf::supported_types(programs)?;
        there.retain(|kind| supported.contains(kind));
    }
    if there.len() > 1 {
        // The type has been changed by hand once: the others were emptied.
        let mut live = Vec::new();
        for kind in there {
            if !look_up_sentinel(programs, kind, path)?.starts_with(WITHDRAWN) {
                live.push(kind);
            }
        }
        there = live;
    }
    match there.first() {
        Some(kind) => Ok(*kind),
        None => postconf::default_type(programs),
    }
}

/// The types whose index is at `path`, the best first.
pub(super) fn indexes(path: &Path) -> Vec<MapType> {
    let mut types = Vec::new();
    for kind in [MapType::Lmdb, MapType::Cdb, MapType::Hash] {
        let index = kind.index(path);
        if !index.is_file() {
            continue;
        }
        types.push(match kind {
            // Whatever can't be told from one is taken for one.
            MapType::Hash => MapType::of_berkeley_db(&index)
                .ok()
                .flatten()
                .unwrap_or(kind),
            _ => kind,
        });
    }
    types
}
