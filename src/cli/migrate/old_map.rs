//! The map of the Perl daemon: read through `postmap -s`, never written.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::client::Client;
use crate::postfix::command::{Output, Programs, table};
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

/// Berkeley DB's mark at the beginning of a hash and of a tree (db.h: DB_HASHMAGIC, DB_BTREEMAGIC).
const HASH: u32 = 0x0006_1561;
const BTREE: u32 = 0x0005_3162;

impl OldMap {
    /// Reads a map: `TYPE:PATH`, or the file that it is in.
    ///
    /// # Errors
    /// Why it can't be read, with its name.
    pub(super) fn read(programs: &Programs, name: &str) -> Result<Self, String> {
        let (kind, path) = locate(name).map_err(|why| format!("{name}: {why}"))?;
        let table = table(kind, &path);
        let listed = programs
            .run("postmap", &["-s".as_ref(), table.as_os_str()])
            .and_then(Output::succeeded)
            .map_err(|error| error.to_string())?;
        let mut map = OldMap {
            kind,
            path,
            clients: BTreeSet::new(),
            others: Vec::new(),
            values: BTreeSet::new(),
        };
        for line in listed.text().lines() {
            let (key, value) = line.split_once('\t').unwrap_or((line, ""));
            match key.parse() {
                Ok(client) => {
                    map.clients.insert(client);
                    map.values.insert(value.to_owned());
                }
                Err(_) => map.others.push(key.to_owned()),
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
        Some("db") => Ok((berkeley_db(path)?, without_extension)),
        _ => Err(
            "neither TYPE:PATH, as in main.cf, nor a file that ends with .db, .lmdb or .cdb"
                .to_owned(),
        ),
    }
}

/// Whether a file of Berkeley DB is a hash or a tree. The mark stands behind the first three words,
/// or in version 1.85 at the beginning, in the order of the machine that wrote it.
fn berkeley_db(path: &Path) -> Result<MapType, String> {
    let mut head = [0; 16];
    let opened = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    opened.map_err(|error| error.to_string())?;
    for at in [12, 0] {
        let [a, b, c, d] = [head[at], head[at + 1], head[at + 2], head[at + 3]];
        let mark = u32::from_le_bytes([a, b, c, d]);
        for mark in [mark, mark.swap_bytes()] {
            match mark {
                HASH => return Ok(MapType::Hash),
                BTREE => return Ok(MapType::Btree),
                _ => {}
            }
        }
    }
    Err("it is no hash and no tree of Berkeley DB; name it as TYPE:PATH, as in main.cf".to_owned())
}
