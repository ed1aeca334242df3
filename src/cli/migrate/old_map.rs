//! The map of the Perl daemon: read through `postmap -s`, never written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::client::Client;
use crate::postfix::command::{Programs, table};
use crate::postfix::map_type::MapType;

/// What an old map holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OldMap {
    /// Its type.
    pub(super) kind: MapType,
    /// Its path, as main.cf names it: without `.db`.
    pub(super) path: PathBuf,
    /// The clients in it.
    pub(super) clients: BTreeSet<Client>,
    /// Keys that are no single addresses.
    pub(super) others: Vec<String>,
    /// What it says of the clients.
    pub(super) values: BTreeSet<String>,
}

impl OldMap {
    /// Reads a map: `TYPE:PATH`, or the file that it is in.
    ///
    /// # Errors
    /// Why it can't be read, with its name.
    pub(super) fn read(programs: &Programs, name: &str) -> Result<Self, String> {
        let (kind, path) = locate(name).map_err(|why| format!("{name}: {why}"))?;
        let entries = programs.entries(&table(kind, &path));
        let entries = entries.map_err(|error| error.to_string())?;
        let mut map = OldMap {
            kind,
            path,
            clients: BTreeSet::new(),
            others: Vec::new(),
            values: BTreeSet::new(),
        };
        for (key, value) in entries {
            match key.parse() {
                Ok(client) => {
                    map.clients.insert(client);
                    map.values.insert(value);
                }
                Err(_) => map.others.push(key),
            }
        }
        Ok(map)
    }
}

/// The type and the path of a map, by its name or by what is in its file.
fn locate(name: &str) -> Result<(MapType, PathBuf), String> {
    if let Some((kind, path)) = name.split_once(':')
        && let Ok(kind) = kind.parse()
    {
        return Ok((kind, path.into()));
    }
    let path = Path::new(name);
    let without_extension = path.with_extension("");
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("lmdb") => Ok((MapType::Lmdb, without_extension)),
        Some("cdb") => Ok((MapType::Cdb, without_extension)),
        Some("db") => {
            let kind = MapType::of_berkeley_db(path).map_err(|error| error.to_string())?;
            let neither =
                "it is no hash and no tree of Berkeley DB; name it as TYPE:PATH, as in main.cf";
            Ok((kind.ok_or(neither)?, without_extension))
        }
        _ => Err(
            "neither TYPE:PATH, as in main.cf, nor a file that ends with .db, .lmdb or .cdb"
                .to_owned(),
        ),
    }
}
