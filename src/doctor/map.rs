//! The access map: there, whole, readable, and the same as the service's list.
//!
//! Looks up; never builds.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::Installation;
use super::access::{Process, Want};
use super::point::{Point, ok, unknown, unseen, wrong};
use super::systemd::{RESTART, SERVICE, START};
use super::units::quoted;
use crate::client::Client;
use crate::control::client::{AskError, Service};
use crate::control::protocol::Filter;
use crate::diagnostics::count;
use crate::postfix::access_map::{AccessMap, SENTINEL, proof_in};
use crate::postfix::command::{CommandError, table};

/// smtpd complains of a source that is newer than its index by this much (dict_open of Postfix).
const NEWER: Duration = Duration::from_secs(100);
/// How long a change of the list may take to be in the map, the debounce aside.
const PUBLICATION: Duration = Duration::from_secs(2);
/// How long is waited for a publication at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many clients are looked up in a map that can't be listed.
const SAMPLE: usize = 20;

type Clients = BTreeSet<Client>;

/// May the service alone write where the map is? Whoever can replace it decides who may relay.
pub fn directory(host: &Installation) -> Option<Point> {
    let path = host.published_map()?.directory();
    let service = Process::of_user(host.unit(SERVICE).get("User"), &[])?;
    Some(match fs::metadata(path) {
        Ok(found) => directory_of(path, (found.uid(), found.gid(), found.mode()), &service),
        Err(error) => unseen(path, &error, "is missing", RESTART),
    })
}

fn directory_of(path: &Path, (uid, gid, mode): (u32, u32, u32), service: &Process) -> Point {
    let (name, user) = (path.display(), &service.name);
    let word = quoted(&path.to_string_lossy());
    let is_foreign_group = gid != 0 && !service.gids.contains(&gid);
    let others = match mode {
        mode if mode & 0o002 != 0 => Some("anybody on this host".to_owned()),
        mode if mode & 0o020 != 0 && is_foreign_group => Some(format!("the group {gid}")),
        _ => None,
    };
    if let Some(others) = others {
        wrong(
            format!("{name} can be written to by {others}, who thereby decides who may relay"),
            format!("chmod go-w {word}"),
        )
    } else if uid != service.uid && uid != 0 {
        wrong(
            format!("{name} belongs to the uid {uid}, who thereby decides who may relay"),
            format!("chown {user} {word}"),
        )
    } else if !may_write(service, mode, uid, gid) {
        wrong(
            format!("{name} can't be written to by {user}"),
            format!("chown {user} {word}\nchmod u+rwx {word}"),
        )
    } else {
        ok(format!("only {user} can write to {name}"))
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

/// Is the index there, and of its source?
pub fn file(host: &Installation) -> Option<Point> {
    let map = host.published_map()?;
    let (again, not_put_back) = match host.runs() {
        true => (RESTART, ", and the service has not put it back"),
        false => (START, ""),
    };
    // An smtpd that has found no map when it started answers 451 for as long as it lives.
    let again_and_heard = format!("{again}\npostfix reload");
    let path = map.index();
    let index = match fs::metadata(&path) {
        Ok(index) => index,
        Err(error) => {
            let finding =
                format!("is missing{not_put_back}: Postfix defers all mail where a list names it");
            return Some(unseen(&path, &error, &finding, &again_and_heard));
        }
    };
    let source = fs::metadata(&map.path).and_then(|source| source.modified());
    let behind = match (source, index.modified()) {
        (Ok(source), Ok(index)) => source.duration_since(index).unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let name = path.display();
    Some(if behind > NEWER {
        let finding = format!(
            "{name} is older than its source by {} s: somebody else has written {}",
            behind.as_secs(),
            map.path.display()
        );
        wrong(finding, again)
    } else {
        ok(format!("{name} is there"))
    })
}

/// Can those of Postfix's daemons read it that open maps without root's rights? smtpd opens its maps
/// as root, whatever comes later; proxymap(8) and a `postmap -q` by hand do not.
pub fn readable(host: &Installation) -> Option<Point> {
    let index = host.published_map()?.index();
    let reader = host.mail_owner()?;
    // Where it can't be seen, another point says so.
    fs::metadata(&index).ok()?;
    let name = &reader.name;
    Some(match reader.obstacle(&index, Want::Read) {
        Ok(None) => ok(format!("{name} can read it, as all of Postfix can")),
        Ok(Some(obstacle)) => {
            let (mode, what) = match obstacle == index {
                true => ("644", "read"),
                false => ("755", "go through"),
            };
            let obstacle = obstacle.display();
            wrong(
                format!(
                    "the user {name} can't {what} {obstacle}: daemons of Postfix without \
                     privileges can't use the map"
                ),
                format!("chmod {mode} {obstacle}"),
            )
        }
        Err(error) => unknown(format!("{}: {error}", index.display())),
    })
}

/// What the map says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The value of the sentinel in the index.
    sentinel: Option<String>,
    /// The value of the sentinel in the source.
    of_source: Option<String>,
    /// The addresses in it, where its type lets them be listed.
    clients: Option<Clients>,
}

/// Reads the map through postmap.
///
/// # Errors
/// When postmap can't be run.
pub fn read(map: &AccessMap) -> Result<Contents, CommandError> {
    let name = table(map.kind, &map.path);
    let looked_up = map.programs.look_up(&name, SENTINEL)?;
    let sentinel = looked_up.status.success();
    let source = fs::read_to_string(&map.path).ok();
    let of_source = source.and_then(|text| proof_in(&text).map(str::to_owned));
    // cdb can't be listed; a map of millions is more than we read.
    let entries = map.programs.entries(&name).ok();
    let clients = entries.map(|entries| {
        let keys = entries.iter().map(|(key, _)| key);
        keys.filter_map(|key| key.parse().ok()).collect()
    });
    Ok(Contents {
        sentinel: sentinel.then(|| looked_up.text().trim_end().to_owned()),
        of_source,
        clients,
    })
}

/// Is it whole?
pub fn contents(host: &Installation) -> Option<Point> {
    Some(match host.contents.as_ref()? {
        Ok(contents) => whole(contents),
        Err(error) => unknown(error.to_string()),
    })
}

fn whole(contents: &Contents) -> Point {
    match (&contents.sentinel, &contents.of_source) {
        (None, _) => wrong(
            format!("holds no {SENTINEL}: it is damaged, or not the service's"),
            RESTART,
        ),
        (Some(index), Some(source)) if index != source => wrong(
            "was not made from the source beside it: somebody else has written one of them",
            RESTART,
        ),
        (Some(_), _) => ok(match &contents.clients {
            Some(clients) => format!("is whole, and lists {}", count(clients.len(), "client")),
            None => "is whole".to_owned(),
        }),
    }
}

/// Does it list whom the service lists? A change that is on its way makes no difference: what
/// differs has to do so for longer than a publication takes.
pub fn and_list(host: &Installation) -> Option<Point> {
    host.contents.as_ref()?.as_ref().ok()?;
    host.status()?;
    let map = host.published_map()?;
    let wait = host.settings()?.map.debounce.saturating_add(PUBLICATION);
    Some(match compare(host, map, wait.min(PATIENCE)) {
        Ok((missing, left)) => agreement(&missing, &left),
        Err(why) => unknown(why),
    })
}

/// The clients that only the list has, and those that only the map has, all the while.
fn compare(
    host: &Installation,
    map: &AccessMap,
    wait: Duration,
) -> Result<(Clients, Clients), String> {
    let first = compare_once(host, map)?;
    if first.0.is_empty() && first.1.is_empty() {
        return Ok(first);
    }
    thread::sleep(wait);
    let second = compare_once(host, map)?;
    Ok((&first.0 & &second.0, &first.1 & &second.1))
}

fn compare_once(host: &Installation, map: &AccessMap) -> Result<(Clients, Clients), String> {
    let list = || -> Result<Clients, AskError> {
        let mut clients = Clients::new();
        Service::connect_for(&host.socket, host.programs.limit)?.clients(
            &Filter::default(),
            |info| {
                clients.insert(info.client);
                Ok::<_, AskError>(())
            },
        )?;
        Ok(clients)
    };
    let failed = |error: AskError| error.to_string();
    let before = list().map_err(failed)?;
    let contents = read(map).map_err(|error| error.to_string())?;
    let Some(in_map) = contents.clients else {
        let mut missing = Clients::new();
        for client in before.iter().take(SAMPLE) {
            let table = table(map.kind, &map.path);
            let found = map.programs.look_up(&table, &client.to_string());
            if !found.map_err(|error| error.to_string())?.status.success() {
                missing.insert(*client);
            }
        }
        return Ok((missing, Clients::new()));
    };
    // Who came or went meanwhile may be in the map or not.
    let after = list().map_err(failed)?;
    let (missing, _) = differences(&(&before & &after), &in_map);
    let (_, left) = differences(&(&before | &after), &in_map);
    Ok((missing, left))
}

/// The clients that only the list has, and those that only the map has.
fn differences(listed: &Clients, map: &Clients) -> (Clients, Clients) {
    (listed - map, map - listed)
}

fn agreement(missing: &Clients, left: &Clients) -> Point {
    let some = |clients: &Clients| {
        let first: Vec<String> = clients.iter().take(3).map(ToString::to_string).collect();
        let more = if clients.len() > 3 { ", …" } else { "" };
        let number = count(clients.len(), "client");
        format!("{number} ({}{more})", first.join(", "))
    };
    let mut found = Vec::new();
    if !missing.is_empty() {
        let some = some(missing);
        found.push(format!("it does not let in {some} of the service's list"));
    }
    if !left.is_empty() {
        let some = some(left);
        found.push(format!("it lets in {some} that the service does not list"));
    }
    if found.is_empty() {
        return ok("the map lists the same clients as the service");
    }
    wrong(found.join("; "), RESTART)
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
