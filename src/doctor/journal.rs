//! The journal: can it be read, does it keep what the servers write, and for how long.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::Installation;
use super::access::{Process, Want};
use super::point::{Point, Verdict, notice, ok, or_ok, unknown, wrong};
use super::systemd::{JournaldConfiguration, RESTART, SERVICE, Unit, reason};
use super::units::{MailUnits, quoted};
use crate::daemon;
use crate::diagnostics::{count, local_time};
use crate::journal::reports::{Report, reports};
use crate::journal::{Files, JournalError, NoRoom, Source, directories_of};

/// journald's message when it drops a unit's entries (sd-messages.h, SD_MESSAGE_JOURNAL_DROPPED).
const DROPPED: &str = "a596d6fe7bfa4994828e72309e95d61e";
/// More notices than one host writes in a day that anybody would want to read.
const NOTICES: usize = 10_000;
/// What to do where journald has no room.
const MAKE_ROOM: &str =
    "# What takes the room there? df; du -xsh /var/* | sort -h\njournalctl --vacuum-size=100M";
/// syslog(3): what servers log their logins at, at the least important.
const INFO: usize = 6;

/// Can it be read? By this process; and by the service's own user, with the groups that its unit
/// gives it, each file.
pub fn access(host: &Installation) -> Option<Vec<Point>> {
    let Some(settings) = host.settings() else {
        return Some(vec![unknown("not without a configuration that is right")]);
    };
    if let Err(error) = host.beginning.as_ref()? {
        return Some(vec![unreadable(error)]);
    }
    let sources = daemon::sources(settings);
    sources
        .iter()
        .map(|s| access_to(host, &s.journal))
        .collect()
}

fn access_to(host: &Installation, source: &Source) -> Option<Point> {
    let unit = host.unit(SERVICE);
    let groups = unit.get("SupplementaryGroups").split(' ');
    let groups: Vec<&str> = groups.chain([unit.get("Group")]).collect();
    let service = Process::of_user(unit.get("User"), &groups)?;
    let files = match Files::look(source) {
        Ok(files) => files,
        Err(error) => return Some(unreadable(&error)),
    };
    if let [file, ..] = files.unreadable() {
        return Some(forbidden(&file.path));
    }
    Some(match service.obstacles(files.readable(), Want::Read) {
        Err(error) => unknown(error.to_string()),
        Ok(obstacles) if obstacles.is_empty() => ok(format!(
            "the service's user {} can read {source}",
            service.name
        )),
        Ok(obstacles) => {
            let is_elsewhere = matches!(source, Source::Directory(_));
            let groups = groups_that_help(&service, files.readable(), &obstacles);
            let groups = groups.filter(|_| is_elsewhere);
            unreadable_for(&service.name, &obstacles, groups.as_deref())
        }
    })
}

fn unreadable(error: &JournalError) -> Point {
    match error {
        JournalError::Forbidden { file } => forbidden(&file.path),
        error => Point::new(Verdict::Wrong, error.to_string()),
    }
}

fn forbidden(path: &Path) -> Point {
    let path = path.display();
    unknown(format!(
        "{path}: this user may not read it; run this as root"
    ))
}

/// The groups with which it could read all of these files; `None` if there are none, or none that it
/// should be given. In its group each file or directory shows what it takes, layer by layer.
fn groups_that_help(
    service: &Process,
    files: &[PathBuf],
    obstacles: &[PathBuf],
) -> Option<Vec<String>> {
    const LAYERS: usize = 5;
    let mut with_more = service.clone();
    let mut obstacles = obstacles.to_vec();
    for _ in 0..LAYERS {
        for obstacle in &obstacles {
            let gid = fs::metadata(obstacle).ok()?.gid();
            // Not root's; and one that it has is no help.
            if gid == 0 || service.gids.contains(&gid) {
                return None;
            }
            if !with_more.gids.contains(&gid) {
                with_more.gids.push(gid);
            }
        }
        obstacles = with_more.obstacles(files, Want::Read).ok()?;
        if obstacles.is_empty() {
            let more = &with_more.gids[service.gids.len()..];
            return Some(more.iter().map(|gid| group_name(*gid)).collect());
        }
    }
    None
}

fn group_name(gid: u32) -> String {
    let name = uzers::get_group_by_gid(gid).map(|g| g.name().to_string_lossy().into_owned());
    name.unwrap_or_else(|| gid.to_string())
}

/// It can't read these; with `groups` it could.
fn unreadable_for(user: &str, obstacles: &[PathBuf], groups: Option<&[String]>) -> Point {
    const NAMED: usize = 3;
    let with_rights = |path: &PathBuf| {
        let name = path.display();
        fs::metadata(path).map_or(name.to_string(), |found| {
            let (group, mode) = (group_name(found.gid()), found.mode() & 0o7777);
            format!("{name} (group {group}, mode {mode:04o})")
        })
    };
    let named: Vec<String> = obstacles.iter().take(NAMED).map(with_rights).collect();
    let mut finding = format!("the service's user {user} can't read {}", named.join(", "));
    if obstacles.len() > NAMED {
        finding.push_str(&format!(", and {} more", obstacles.len() - NAMED));
    }
    if let Some(groups) = groups {
        let groups = groups.join(" ");
        let mend = drop_in(SERVICE, "journal-groups", "SupplementaryGroups", &groups);
        return wrong(
            format!("{finding}: it needs {groups} among its groups"),
            format!("{mend}\n{RESTART}"),
        );
    }
    let paths = obstacles.iter().map(|path| quoted(&path.to_string_lossy()));
    let paths = paths.collect::<Vec<_>>().join(" ");
    wrong(
        format!(
            "{finding}: the group systemd-journal must be able to read them, and the service needs that group"
        ),
        format!(
            "# 'systemctl cat {SERVICE}' should show SupplementaryGroups=systemd-journal.\n\
             systemd-tmpfiles --create --prefix /var/log/journal --prefix /run/log/journal\n\
             chgrp -R systemd-journal {paths}\nchmod -R g+rX {paths}\n{RESTART}"
        ),
    )
}

/// The commands that set a key of a service for good.
fn drop_in(unit: &str, name: &str, key: &str, value: &str) -> String {
    let directory = quoted(&format!("/etc/systemd/system/{unit}.d"));
    format!(
        "mkdir -p {directory}\nprintf '[Service]\\n{key}={value}\\n' >{directory}/{name}.conf\n\
         systemctl daemon-reload"
    )
}

/// How far back could a lost store be made up for?
pub fn reach(host: &Installation) -> Option<Point> {
    let settings = host.settings()?;
    let Some(first) = host.beginning.as_ref()?.as_ref().ok()? else {
        return Some(wrong(
            format!("{} has no entries", host.source()?),
            "# Is journald running? systemctl status systemd-journald\n\
             # Is the right journal read? pop-before-smtp show-config | grep -A3 journal",
        ));
    };
    let needed = settings.grace.saturating_add(settings.max_session);
    let needed = SignedDuration::try_from(needed).unwrap_or(SignedDuration::MAX);
    let since = format!("goes back to {}", local_time(*first));
    if host.now.duration_since(*first) >= needed {
        return Some(ok(since));
    }
    Some(notice(format!(
        "{since}, which is less than grace and max-session: if the store were lost, so would be \
         the sessions that began earlier"
    )))
}

/// Is there room for it? Does it outlast a boot?
pub fn storage(host: &Installation) -> Option<Point> {
    if let Some(no_room) = NoRoom::look(&host.source()?) {
        return Some(wrong(no_room.to_string().replace('\n', "; "), MAKE_ROOM));
    }
    Some(match host.journald.as_ref()? {
        Ok(journald) => {
            let kept = directories_of(&host.source()?).next();
            judge_storage(journald, kept.is_some_and(|directory| directory.exists()))
        }
        Err(error) => unknown(reason(error)),
    })
}

fn judge_storage(journald: &JournaldConfiguration, is_kept: bool) -> Point {
    let mend = journald_drop_in("Storage", "persistent");
    match (&*journald.get("Storage").to_ascii_lowercase(), is_kept) {
        ("none", _) => wrong("Storage=none: journald keeps no entries to be read", mend),
        ("volatile", _) => {
            notice("Storage=volatile: a boot forgets logins that the service has not read yet")
                .mend(mend)
        }
        (_, false) => {
            notice("in memory only: a boot forgets logins that the service has not read yet").mend(
                "mkdir -p /var/log/journal\n\
                 systemd-tmpfiles --create --prefix /var/log/journal\njournalctl --flush",
            )
        }
        (_, true) => ok("on disk"),
    }
}

/// Does it keep entries of the levels at which servers tell of logins?
pub fn level(host: &Installation) -> Option<Point> {
    Some(judge_level(host.journald.as_ref()?.as_ref().ok()?))
}

fn judge_level(journald: &JournaldConfiguration) -> Point {
    const LEVELS: [&str; 8] = [
        "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
    ];
    let text = journald.get("MaxLevelStore").to_ascii_lowercase();
    let level = (LEVELS.iter().position(|level| *level == text)).or(text.parse().ok());
    match level {
        Some(level) if level < INFO => wrong(
            format!("MaxLevelStore={text}: journald drops the lines about logins"),
            journald_drop_in("MaxLevelStore", "debug"),
        ),
        _ => ok("entries of all levels that logins have are kept"),
    }
}

/// A drop-in that comes after others.
fn journald_drop_in(key: &str, value: &str) -> String {
    format!(
        "mkdir -p /etc/systemd/journald.conf.d\n\
         printf '[Journal]\\n{key}={value}\\n' >/etc/systemd/journald.conf.d/zz-{key}.conf\n\
         systemctl restart systemd-journald.service"
    )
}

/// Has journald dropped entries of mail units?
pub fn rate_limit(host: &Installation) -> Option<Vec<Point>> {
    let mail = host.mail.as_ref()?;
    let fields = [("MESSAGE_ID", DROPPED), ("_TRANSPORT", "driver")];
    Some(
        match reports(&host.source()?, &fields, host.lately(), NOTICES) {
            Ok(reports) => dropped(&reports, mail),
            Err(error) => vec![Point {
                point: "journal-access",
                ..unreadable(&error)
            }],
        },
    )
}

/// What journald says that it has dropped.
fn dropped(reports: &[Report], mail: &MailUnits) -> Vec<Point> {
    let mut of_units: BTreeMap<&str, (u64, Timestamp)> = BTreeMap::new();
    for report in reports {
        let unit = report.get("OBJECT_SYSTEMD_UNIT");
        if mail.is_one(unit) {
            let dropped: u64 = report.get("N_DROPPED").parse().unwrap_or(0);
            let (sum, last) = of_units.entry(unit).or_insert((0, report.time));
            *sum += dropped;
            *last = report.time.max(*last);
        }
    }
    let points = of_units.into_iter().map(|(name, (sum, last))| {
        let sum = count(sum, "entry");
        let finding = format!(
            "journald has dropped {sum} of {name} within a day, last seen at {}, perhaps including \
             logins",
            local_time(last)
        );
        if is_free_since(mail.get(name), last) {
            return notice(format!("{finding}; since then the unit has another limit"));
        }
        wrong(finding, without_limit(name))
    });
    or_ok(
        points,
        "no entries of mail servers were dropped within a day",
    )
}

/// Whether the unit was given a limit of its own, and started with it, after the last drop.
fn is_free_since(unit: Option<&Unit>, last: Timestamp) -> bool {
    unit.is_some_and(|unit| {
        let limits = ["LogRateLimitIntervalUSec", "LogRateLimitBurst"];
        let own = limits
            .iter()
            .any(|limit| !matches!(unit.get(limit), "" | "0"));
        own && unit.active_since().is_some_and(|since| since > last)
    })
}

/// `LogRateLimitIntervalSec=0` would not do: for systemd it means the default of journald.conf. An
/// interval of a microsecond holds no more than one entry. systemd tells journald of it when the
/// unit is started.
fn without_limit(unit: &str) -> String {
    let drop_in = drop_in(unit, "no-rate-limit", "LogRateLimitIntervalSec", "1us");
    format!("{drop_in}\nsystemctl restart {}", quoted(unit))
}

/// Do the servers write where the service reads?
pub fn namespace(host: &Installation) -> Option<Vec<Point>> {
    let settings = host.settings()?;
    let others = settings.sources.values();
    let others: Vec<&str> = others
        .filter_map(|source| source.namespace.as_deref())
        .collect();
    let read = settings.journal.namespace.as_deref();
    Some(namespaces(read, &others, host.mail.as_ref()?))
}

/// `read` is that of `[journal]`; the `others` are read, too.
fn namespaces(read: Option<&str>, others: &[&str], mail: &MailUnits) -> Vec<Point> {
    let read = read.unwrap_or_default();
    let name = |namespace: &str| match namespace {
        "" => "the default namespace".to_owned(),
        name => format!("the namespace {name}"),
    };
    let active = || mail.loaded.iter().filter(|unit| unit.is_active());
    let any_here = active().any(|unit| unit.get("LogNamespace") == read);
    let elsewhere = active().filter(|unit| {
        let its = unit.get("LogNamespace");
        // Some units of a server that is on may have nothing to do with mail, unless somebody has
        // put them into a namespace of their own.
        its != read && !others.contains(&its) && (!its.is_empty() || !any_here)
    });
    let points = elsewhere.map(|unit| {
        let its = unit.get("LogNamespace");
        wrong(
            format!(
                "{} writes to {}, and the service reads {}",
                unit.id(),
                name(its),
                name(read)
            ),
            format!(
                "printf '[journal]\\nnamespace = \"{its}\"\\n' \
                 >/etc/pop-before-smtp/config.d/90-namespace.toml\n{RESTART}"
            ),
        )
    });
    let finding = format!("mail servers write to {}, which is read", name(read));
    or_ok(points, finding)
}

#[cfg(test)]
mod tests;
