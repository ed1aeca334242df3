//! The access map: there, whole, readable, and the same as the service's list.
//!
//! Looks up; never builds.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::access::{Process, Want};
use super::point::Point;
use super::systemd::SERVICE;
use super::units::quoted;
use crate::client::Client;
use crate::diagnostics::count;
use crate::postfix::access_map::{AccessMap, SENTINEL};
use crate::postfix::command::{CommandError, table};

const FILE: &str = "map-file";
const DIRECTORY: &str = "map-directory";
const READABLE: &str = "map-readable";
const CONTENTS: &str = "map-contents";
/// smtpd complains of a source that is newer than its index by this much (dict_open of Postfix).
const NEWER: Duration = Duration::from_secs(100);

/// Looks at the files of the map. `service_runs`: whether there is a service that could mend it;
/// `reader` is the process that opens maps for Postfix's other daemons.
#[must_use]
pub fn files(map: &AccessMap, reader: Option<&Process>, service_runs: bool) -> Vec<Point> {
    let again = if service_runs {
        format!("systemctl restart {SERVICE}")
    } else {
        format!("systemctl start {SERVICE}")
    };
    let index = map.index();
    let metadata = match fs::metadata(&index) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let finding = format!(
                "{} is missing{}: Postfix defers all mail where a list names it",
                index.display(),
                if service_runs {
                    ", and the service has not put it back"
                } else {
                    ""
                }
            );
            return vec![Point::wrong(FILE, finding).mend(again)];
        }
        Err(error) => {
            return vec![Point::unknown(
                FILE,
                format!("{}: {error}", index.display()),
            )];
        }
    };
    let source = fs::metadata(&map.path).and_then(|source| source.modified());
    let behind = match (source, metadata.modified()) {
        (Ok(source), Ok(index)) => source.duration_since(index).unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let mut points = Vec::new();
    if behind > NEWER {
        let finding = format!(
            "{} is older than its source by {} s: somebody else has written {}",
            index.display(),
            behind.as_secs(),
            map.path.display()
        );
        points.push(Point::wrong(FILE, finding).mend(again));
    } else {
        points.push(Point::ok(FILE, format!("{} is there", index.display())));
    }
    points.extend(reader.map(|reader| readable(&index, reader)));
    points
}

/// Whether the service alone may write where the map is: whoever can replace it decides who may
/// relay.
#[must_use]
pub fn directory(map: &AccessMap, service: &Process) -> Point {
    let path = map.directory();
    match fs::metadata(path) {
        Ok(found) => directory_of(path, (found.uid(), found.gid(), found.mode()), service),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let finding = format!("{} is missing", path.display());
            Point::wrong(DIRECTORY, finding).mend(format!("systemctl restart {SERVICE}"))
        }
        Err(error) => Point::unknown(DIRECTORY, format!("{}: {error}", path.display())),
    }
}

fn directory_of(path: &Path, (uid, gid, mode): (u32, u32, u32), service: &Process) -> Point {
    let name = path.display();
    let word = quoted(&path.to_string_lossy());
    let wrong = |what: String, mend: String| {
        let finding = format!("{name} {what}");
        Point::wrong(DIRECTORY, finding).mend(mend)
    };
    let is_foreign_group = gid != 0 && !service.gids.contains(&gid);
    let others = match mode {
        mode if mode & 0o002 != 0 => Some("anybody on this host".to_owned()),
        mode if mode & 0o020 != 0 && is_foreign_group => Some(format!("the group {gid}")),
        _ => None,
    };
    if let Some(others) = others {
        wrong(
            format!("can be written to by {others}, who so decides who may relay"),
            format!("chmod go-w {word}"),
        )
    } else if uid != service.uid && uid != 0 {
        wrong(
            format!("belongs to the uid {uid}, who so decides who may relay"),
            format!("chown {} {word}", service.name),
        )
    } else if !may_write(service, mode, uid, gid) {
        wrong(
            format!("can't be written to by {}", service.name),
            format!("chown {} {word}\nchmod u+rwx {word}", service.name),
        )
    } else {
        Point::ok(
            DIRECTORY,
            format!("only {} can write to {name}", service.name),
        )
    }
}

/// Whether a process may write to what has this mode, user and group.
fn may_write(process: &Process, mode: u32, uid: u32, gid: u32) -> bool {
    let class = if process.uid == uid {
        0o200
    } else if process.gids.contains(&gid) {
        0o020
    } else {
        0o002
    };
    process.uid == 0 || mode & class != 0
}

/// smtpd opens its maps as root, whatever comes later; proxymap(8) and a `postmap -q` by hand do not.
fn readable(index: &Path, reader: &Process) -> Point {
    match reader.obstacle(index, Want::Read) {
        Ok(None) => Point::ok(
            READABLE,
            format!("{} can read it, as all of Postfix can", reader.name),
        ),
        Ok(Some(obstacle)) => {
            let (mode, what) = if obstacle == index {
                ("644", "read")
            } else {
                ("755", "go through")
            };
            let finding = format!(
                "the user {} can't {what} {}: daemons of Postfix without privileges can't use the \
                 map",
                reader.name,
                obstacle.display()
            );
            Point::wrong(READABLE, finding).mend(format!("chmod {mode} {}", obstacle.display()))
        }
        Err(error) => Point::unknown(READABLE, format!("{}: {error}", index.display())),
    }
}

/// What the map says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The value of the sentinel in the index.
    sentinel: Option<String>,
    /// The value of the sentinel in the source.
    of_source: Option<String>,
    /// The addresses in it, where its type lets them be listed.
    pub clients: Option<BTreeSet<Client>>,
}

/// Reads the map through postmap.
///
/// # Errors
/// When postmap can't be run.
pub fn read(map: &AccessMap) -> Result<Contents, CommandError> {
    let name = table(map.kind, &map.path);
    let looked_up = map
        .programs
        .run("postmap", &["-q".into(), SENTINEL.into(), name.clone()])?;
    let sentinel = looked_up.status.success();
    let sentinel = sentinel.then(|| looked_up.text().trim_end().to_owned());
    let of_source = fs::read_to_string(&map.path).ok().and_then(|text| {
        let last = text.lines().last()?.strip_prefix(SENTINEL)?;
        Some(last.trim().to_owned())
    });
    // cdb can't be listed; a map of millions is more than we read.
    let listed = map.programs.run("postmap", &["-s".into(), name]);
    let clients = listed
        .ok()
        .filter(|listed| listed.status.success())
        .map(|listed| {
            let text = listed.text();
            let keys = text.lines().filter_map(|line| line.split('\t').next());
            keys.filter_map(|key| key.parse().ok()).collect()
        });
    Ok(Contents {
        sentinel,
        of_source,
        clients,
    })
}

/// Judges the contents by themselves.
#[must_use]
pub fn whole(contents: &Contents) -> Point {
    let mend = format!("systemctl restart {SERVICE}");
    match (&contents.sentinel, &contents.of_source) {
        (None, _) => Point::wrong(
            CONTENTS,
            format!("holds no {SENTINEL}: it is damaged, or not the service's"),
        )
        .mend(mend),
        (Some(index), Some(source)) if index != source => Point::wrong(
            CONTENTS,
            "was not made from the source beside it: somebody else has written one of them",
        )
        .mend(mend),
        (Some(_), _) => {
            let clients = contents.clients.as_ref();
            let lists =
                clients.map(|clients| format!(", and lists {}", count(clients.len(), "client")));
            Point::ok(CONTENTS, format!("is whole{}", lists.unwrap_or_default()))
        }
    }
}

/// The clients that only the list has, and those that only the map has.
#[must_use]
pub fn differences(
    listed: &BTreeSet<Client>,
    map: &BTreeSet<Client>,
) -> (BTreeSet<Client>, BTreeSet<Client>) {
    (
        listed.difference(map).copied().collect(),
        map.difference(listed).copied().collect(),
    )
}

/// Judges what differs between the service's list and the map, and has for longer than a
/// publication takes.
#[must_use]
pub fn agreement(missing: &BTreeSet<Client>, left: &BTreeSet<Client>) -> Point {
    const POINT: &str = "map-and-list";
    let some = |clients: &BTreeSet<Client>| {
        let first: Vec<String> = clients.iter().take(3).map(ToString::to_string).collect();
        let more = if clients.len() > 3 { ", …" } else { "" };
        format!(
            "{} ({}{more})",
            count(clients.len(), "client"),
            first.join(", ")
        )
    };
    let mut wrong = Vec::new();
    if !missing.is_empty() {
        wrong.push(format!(
            "it does not let in {} of the service's list",
            some(missing)
        ));
    }
    if !left.is_empty() {
        wrong.push(format!(
            "it lets in {} that the service does not list",
            some(left)
        ));
    }
    if wrong.is_empty() {
        Point::ok(POINT, "the map lists whom the service lists")
    } else {
        Point::wrong(POINT, wrong.join("; ")).mend(format!("systemctl restart {SERVICE}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::point::Verdict;

    fn contents(index: Option<&str>, source: Option<&str>) -> Contents {
        Contents {
            sentinel: index.map(str::to_owned),
            of_source: source.map(str::to_owned),
            clients: None,
        }
    }

    #[test]
    fn the_sentinel_proves_the_map() {
        for (index, source, verdict) in [
            (Some("DUNNO 1"), Some("DUNNO 1"), Verdict::Ok),
            (Some("DUNNO 1"), None, Verdict::Ok),
            (Some("DUNNO 1"), Some("DUNNO 2"), Verdict::Wrong),
            (None, Some("DUNNO 2"), Verdict::Wrong),
        ] {
            assert_eq!(
                whole(&contents(index, source)).verdict,
                verdict,
                "{index:?} {source:?}"
            );
        }
    }

    #[test]
    fn nobody_but_the_service_may_write_where_the_map_is() {
        let service = Process {
            name: "pop-before-smtp".to_owned(),
            uid: 7,
            gids: vec![70, 71],
        };
        for (found, said) in [
            ((7, 70, 0o755), ""),
            ((7, 70, 0o775), ""),
            ((7, 0, 0o775), ""),
            ((0, 71, 0o775), ""),
            ((7, 99, 0o775), "by the group 99"),
            ((7, 70, 0o1777), "by anybody"),
            ((8, 70, 0o775), "belongs to the uid 8"),
            ((0, 0, 0o755), "can't be written to by pop-before-smtp"),
            ((7, 70, 0o555), "can't be written to by pop-before-smtp"),
        ] {
            let point = directory_of(Path::new("/var/lib/x y"), found, &service);
            let expected = match said {
                "" => Verdict::Ok,
                _ => Verdict::Wrong,
            };
            assert_eq!(point.verdict, expected, "{found:?}: {}", point.finding);
            assert!(point.finding.contains(said), "{found:?}: {}", point.finding);
            let mend = point.mend.unwrap_or_default();
            assert_eq!(mend.contains("'/var/lib/x y'"), !said.is_empty(), "{mend}");
        }
    }

    #[test]
    fn list_and_map_are_compared_both_ways() {
        let set = |clients: &[&str]| clients.iter().map(|c| c.parse().unwrap()).collect();
        let both = differences(
            &set(&["192.0.2.1", "192.0.2.2"]),
            &set(&["192.0.2.2", "::1"]),
        );
        let point = agreement(&both.0, &both.1);
        assert_eq!(point.verdict, Verdict::Wrong);
        assert!(point.finding.contains("192.0.2.1") && point.finding.contains("::1"));
        assert!(!point.finding.contains("192.0.2.2"));
        assert_eq!(agreement(&set(&[]), &set(&[])).verdict, Verdict::Ok);
    }
}
