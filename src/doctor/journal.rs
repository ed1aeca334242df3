//! The journal: can it be read, does it keep what the servers write, and for how long.
//!
//! Looks at files, at journald's configuration and at its own notices; judging is apart.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::access::{Process, Want};
use super::point::Point;
use super::systemd::{JournaldConfiguration, SERVICE, Unit};
use super::units::{MailUnits, quoted};
use super::{Host, LATELY};
use crate::config::Settings;
use crate::daemon;
use crate::diagnostics::{count, local_time};
use crate::journal::own::beginning;
use crate::journal::reports::{Report, reports};
use crate::journal::{Files, JournalError, Source, directories_of};

const ACCESS: &str = "journal-access";
/// journald's message when it drops a unit's entries (sd-messages.h, SD_MESSAGE_JOURNAL_DROPPED).
const DROPPED: &str = "a596d6fe7bfa4994828e72309e95d61e";
/// More notices than one host writes in a day that anybody would want to read.
const NOTICES: usize = 10_000;
/// syslog(3): what servers log their logins at, at the least important.
const INFO: usize = 6;

/// Looks and judges.
pub fn points(host: &Host) -> Vec<Point> {
    let Some(settings) = host.settings() else {
        return vec![Point::unknown(
            ACCESS,
            "not without a configuration that is right",
        )];
    };
    let source = daemon::source(settings);
    let beginning = match beginning(&source) {
        Ok(beginning) => beginning,
        Err(error) => return vec![unreadable(&error)],
    };
    let mut points = Vec::new();
    points.extend(readable_for_service(host, &source));
    points.push(match beginning {
        None => empty(&source),
        Some(first) => reach(first, host.now, settings),
    });
    // What other hosts do with their journals can't be seen here.
    if matches!(source, Source::Directory(_)) {
        return points;
    }
    match JournaldConfiguration::look(&host.programs, settings.journal.namespace.as_deref()) {
        Ok(journald) => {
            let kept = directories_of(&source).next();
            let is_kept = kept.is_some_and(|directory| directory.exists());
            points.push(storage(&journald, is_kept));
            points.push(level(&journald));
        }
        Err(error) => points.push(Point::unknown(
            "journal-storage",
            super::systemd::reason(&error),
        )),
    }
    let Ok(units) = &host.units else {
        return points;
    };
    let mail = MailUnits::of(settings, &units.services);
    let since = host.now.checked_sub(LATELY).unwrap_or(Timestamp::MIN);
    let fields = [("MESSAGE_ID", DROPPED), ("_TRANSPORT", "driver")];
    points.extend(match reports(&source, &fields, since, NOTICES) {
        Ok(reports) => dropped(&reports, &mail),
        Err(error) => vec![unreadable(&error)],
    });
    points.extend(namespaces(settings.journal.namespace.as_deref(), &mail));
    points
}

fn unreadable(error: &JournalError) -> Point {
    match error {
        JournalError::Forbidden { file } => {
            let path = file.path.display();
            Point::unknown(
                ACCESS,
                format!("{path}: this user may not read it; ask as root"),
            )
        }
        error => Point::wrong(ACCESS, error.to_string()),
    }
}

/// Whether the service's own user, with the groups that its unit gives it, can read each file.
fn readable_for_service(host: &Host, source: &Source) -> Option<Point> {
    let unit = host.unit(SERVICE);
    let groups = unit.get("SupplementaryGroups").split(' ');
    let groups: Vec<&str> = groups.chain([unit.get("Group")]).collect();
    let service = Process::of_user(unit.get("User"), &groups)?;
    let files = match Files::look(source) {
        Ok(files) => files,
        Err(error) => return Some(unreadable(&error)),
    };
    if let [file, ..] = files.unreadable() {
        let finding = format!(
            "{}: this user may not read it; ask as root",
            file.path.display()
        );
        return Some(Point::unknown(ACCESS, finding));
    }
    let obstacles = service.obstacles(files.readable(), Want::Read);
    Some(match obstacles {
        Err(error) => Point::unknown(ACCESS, error.to_string()),
        Ok(obstacles) if obstacles.is_empty() => {
            let name = &service.name;
            Point::ok(
                ACCESS,
                format!("the service's user {name} can read {source}"),
            )
        }
        Ok(obstacles) => {
            let groups = groups_that_help(&service, files.readable(), &obstacles);
            let is_elsewhere = matches!(source, Source::Directory(_));
            let groups = groups.filter(|_| is_elsewhere);
            unreadable_for(&service.name, &obstacles, groups.as_deref())
        }
    })
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
    let group = uzers::get_group_by_gid(gid);
    group.map_or_else(
        || gid.to_string(),
        |group| group.name().to_string_lossy().into_owned(),
    )
}

/// It can't read these; with `groups` it could.
fn unreadable_for(user: &str, obstacles: &[PathBuf], groups: Option<&[String]>) -> Point {
    const NAMED: usize = 3;
    let of_group = |path: &PathBuf| match fs::metadata(path) {
        Ok(found) => format!(
            "{} (of the group {})",
            path.display(),
            group_name(found.gid())
        ),
        Err(_) => path.display().to_string(),
    };
    let named: Vec<String> = obstacles.iter().take(NAMED).map(of_group).collect();
    let mut finding = format!("the service's user {user} can't read {}", named.join(", "));
    if obstacles.len() > NAMED {
        finding.push_str(&format!(", and {} more", obstacles.len() - NAMED));
    }
    let Some(groups) = groups else {
        let paths: Vec<String> = (obstacles.iter())
            .map(|path| quoted(&path.to_string_lossy()))
            .collect();
        let paths = paths.join(" ");
        finding.push_str(": they must be readable by the group systemd-journal, and it needs that");
        return Point::wrong(ACCESS, finding).mend(format!(
            "# 'systemctl cat {SERVICE}' should show SupplementaryGroups=systemd-journal.\n\
             systemd-tmpfiles --create --prefix /var/log/journal --prefix /run/log/journal\n\
             chgrp -R systemd-journal {paths}\nchmod -R g+rX {paths}\nsystemctl restart {SERVICE}"
        ));
    };
    let groups = groups.join(" ");
    finding.push_str(&format!(": it needs {groups} among its groups"));
    Point::wrong(ACCESS, finding).mend(format!(
        "mkdir -p /etc/systemd/system/{SERVICE}.d\n\
         printf '[Service]\\nSupplementaryGroups={groups}\\n' \
         >/etc/systemd/system/{SERVICE}.d/journal-groups.conf\n\
         systemctl daemon-reload\nsystemctl restart {SERVICE}"
    ))
}

fn empty(source: &Source) -> Point {
    Point::wrong("journal-reach", format!("{source} has no entries")).mend(
        "# Is journald running? systemctl status systemd-journald\n\
         # Is the right journal read? pop-before-smtp show-config | grep -A3 journal",
    )
}

/// How far back a lost store could be made up for.
fn reach(first: Timestamp, now: Timestamp, settings: &Settings) -> Point {
    const POINT: &str = "journal-reach";
    let needed = settings.grace.saturating_add(settings.max_session);
    let needed = SignedDuration::try_from(needed).unwrap_or(SignedDuration::MAX);
    let back = now.duration_since(first);
    let since = format!("goes back to {}", local_time(first));
    if back >= needed {
        return Point::ok(POINT, since);
    }
    Point::notice(
        POINT,
        format!(
            "{since}, which is less than grace and max-session: were the store lost, so would be \
             the sessions that began before"
        ),
    )
}

fn storage(journald: &JournaldConfiguration, is_kept: bool) -> Point {
    const POINT: &str = "journal-storage";
    let storage = journald.get("Storage").to_ascii_lowercase();
    let drop_in = |value: &str| journald_drop_in("Storage", value);
    match (&*storage, is_kept) {
        ("none", _) => Point::wrong(POINT, "Storage=none: journald keeps no entries to be read")
            .mend(drop_in("persistent")),
        ("volatile", _) => Point::notice(
            POINT,
            "Storage=volatile: a boot forgets logins that the service has not read yet",
        )
        .mend(drop_in("persistent")),
        (_, false) => Point::notice(
            POINT,
            "in memory alone: a boot forgets logins that the service has not read yet",
        )
        .mend(
            "mkdir -p /var/log/journal\nsystemd-tmpfiles --create --prefix /var/log/journal\n\
             journalctl --flush",
        ),
        (_, true) => Point::ok(POINT, "on disk"),
    }
}

fn level(journald: &JournaldConfiguration) -> Point {
    const POINT: &str = "journal-level";
    const LEVELS: [&str; 8] = [
        "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
    ];
    let text = journald.get("MaxLevelStore").to_ascii_lowercase();
    let level = (LEVELS.iter().position(|level| *level == text)).or(text.parse().ok());
    match level {
        Some(level) if level < INFO => Point::wrong(
            POINT,
            format!("MaxLevelStore={text}: journald throws away what servers say of logins"),
        )
        .mend(journald_drop_in("MaxLevelStore", "debug")),
        _ => Point::ok(POINT, "entries of all levels that logins have are kept"),
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

/// What journald says that it has dropped of mail units.
fn dropped(reports: &[Report], mail: &MailUnits) -> Vec<Point> {
    const POINT: &str = "journal-rate-limit";
    let mut of_units: BTreeMap<&str, (u64, Timestamp)> = BTreeMap::new();
    for report in reports {
        let unit = report.get("OBJECT_SYSTEMD_UNIT");
        if mail.is_one(unit) {
            let dropped = report.get("N_DROPPED").parse().unwrap_or(0);
            let (sum, last) = of_units.entry(unit).or_insert((0, report.time));
            *sum += dropped;
            *last = report.time.max(*last);
        }
    }
    let points: Vec<Point> = of_units
        .into_iter()
        .map(|(name, (sum, last))| {
            let sum = count(usize::try_from(sum).unwrap_or(usize::MAX), "entry");
            let finding = format!(
                "journald has dropped {sum} of {name} within a day, last seen at {}, and with them \
                 perhaps logins",
                local_time(last)
            );
            if is_free_since(mail.get(name), last) {
                let finding = format!("{finding}; since then the unit has another limit");
                return Point::notice(POINT, finding);
            }
            Point::wrong(POINT, finding).mend(without_limit(name))
        })
        .collect();
    if points.is_empty() {
        return vec![Point::ok(
            POINT,
            "no entries of mail servers were dropped within a day",
        )];
    }
    points
}

/// Whether the unit was given a limit of its own, and started with it, after the last drop.
fn is_free_since(unit: Option<&Unit>, last: Timestamp) -> bool {
    unit.is_some_and(|unit| {
        let own = ["LogRateLimitIntervalUSec", "LogRateLimitBurst"]
            .iter()
            .any(|limit| !matches!(unit.get(limit), "" | "0"));
        own && unit.active_since().is_some_and(|since| since > last)
    })
}

/// `LogRateLimitIntervalSec=0` would not do: for systemd it means the default of journald.conf. An
/// interval of a microsecond holds no more than one entry. systemd tells journald of it when the
/// unit is started.
fn without_limit(unit: &str) -> String {
    let directory = quoted(&format!("/etc/systemd/system/{unit}.d"));
    format!(
        "mkdir -p {directory}\n\
         printf '[Service]\\nLogRateLimitIntervalSec=1us\\n' >{directory}/no-rate-limit.conf\n\
         systemctl daemon-reload\nsystemctl restart {}",
        quoted(unit)
    )
}

/// Whether the servers write where the service reads.
fn namespaces(read: Option<&str>, mail: &MailUnits) -> Vec<Point> {
    const POINT: &str = "journal-namespace";
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
        its != read && (!its.is_empty() || !any_here)
    });
    let points: Vec<Point> = elsewhere
        .map(|unit| {
            let its = unit.get("LogNamespace");
            let finding = format!(
                "{} writes to {}, and the service reads {}",
                unit.id(),
                name(its),
                name(read)
            );
            Point::wrong(POINT, finding).mend(format!(
                "printf '[journal]\\nnamespace = \"{its}\"\\n' \
                 >/etc/pop-before-smtp/config.d/90-namespace.toml\nsystemctl restart {SERVICE}"
            ))
        })
        .collect();
    if points.is_empty() {
        let finding = format!("mail servers write to {}, which is read", name(read));
        return vec![Point::ok(POINT, finding)];
    }
    points
}

#[cfg(test)]
mod tests;
