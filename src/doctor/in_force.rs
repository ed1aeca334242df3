//! The configuration on disk, whether it is what the service has in force, and what the service says
//! of itself.

use std::fs;
use std::io::ErrorKind::PermissionDenied;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Installation;
use super::access::{Process, Want};
use super::point::{Point, notice, ok, or_ok, unknown, wrong};
use super::systemd::{RELOAD, RESTART, SERVICE};
use super::units::quoted;
use crate::config::Loaded;
use crate::control::client::AskError;
use crate::control::protocol::{MapStatus, Status};
use crate::daemon::Plan;
use crate::diagnostics::{count, local_time, message_id};
use crate::journal::Source;
use crate::journal::reports::reports;

/// Is the configuration right?
pub fn configuration(host: &Installation) -> Option<Point> {
    Some(match &host.plan {
        Ok(plan) if plan.warnings.is_empty() => {
            let servers = count(plan.settings.servers.len(), "server");
            ok(format!("is right; {servers} on"))
        }
        Ok(plan) => notice(format!("is valid, but odd: {}", plan.warnings.join("\n"))),
        Err(error) if error.is_configuration() => wrong(
            error.to_string(),
            format!(
                "# Change the file until this command is satisfied, and then have the service read it:\n\
                 pop-before-smtp check-config && {RELOAD}"
            ),
        ),
        Err(error) => wrong(
            error.to_string(),
            "# First put Postfix right: see the point postfix.",
        ),
    })
}

/// May the service read its files? Whoever checks them as root can read them all.
pub fn readable(host: &Installation) -> Option<Point> {
    let loaded = host.loaded.as_ref().ok()?;
    let service = Process::of_user(host.unit(SERVICE).get("User"), &[])?;
    let files: Vec<PathBuf> = files(loaded).filter(|path| path.is_file()).collect();
    Some(match service.obstacles(&files, Want::Read) {
        Ok(obstacles) => readable_but_for(&service.name, &obstacles),
        Err(error) => unknown(error.to_string()),
    })
}

fn readable_but_for(user: &str, obstacles: &[PathBuf]) -> Point {
    if obstacles.is_empty() {
        return ok(format!("{user} can read it"));
    }
    let mode = |path: &PathBuf| if path.is_dir() { "a+rx" } else { "a+r" };
    let names: Vec<String> = obstacles
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let chmod = |path| format!("chmod {} {}\n", mode(path), quoted(&path.to_string_lossy()));
    wrong(
        format!(
            "{user} can't read {}: the service does not start, or keeps what it has read before",
            names.join(", ")
        ),
        obstacles.iter().map(chmod).collect::<String>() + RELOAD,
    )
}

/// Has the service read it since it was changed?
pub fn read_since_changed(host: &Installation) -> Option<Point> {
    let loaded = host.loaded.as_ref().ok()?;
    let service = Some(host.unit(SERVICE)).filter(|unit| unit.is_active())?;
    let since = service.active_since()?;
    // A reload by systemctl, or by a signal, of which the service tells at most levels.
    let reloads = [service.reloaded(), last_reload(since)];
    let read = reloads.into_iter().flatten().fold(since, Timestamp::max);
    Some(match last_changed(loaded) {
        Some((time, path)) if time > read => wrong(
            format!(
                "{} was changed at {}, but the service read its configuration at {}",
                path.display(),
                local_time(time),
                local_time(read)
            ),
            RELOAD,
        ),
        _ => ok(format!(
            "read at {}, and not changed since",
            local_time(read)
        )),
    })
}

/// When the service has last said that it has taken its configuration anew.
fn last_reload(since: Timestamp) -> Option<Timestamp> {
    let fields = [
        ("MESSAGE_ID", message_id::RELOADED),
        ("_SYSTEMD_UNIT", SERVICE),
    ];
    let reports = reports(&Source::Host, &fields, since, 1).ok()?;
    Some(reports.last()?.time)
}

/// When a file of the configuration was changed last, and which. A directory changes when a file in
/// it comes or goes.
fn last_changed(loaded: &Loaded) -> Option<(Timestamp, PathBuf)> {
    files(loaded)
        .filter_map(|path| Some((changed(&path)?, path)))
        .max()
}

/// The files of the configuration, and the directories that they are in.
fn files(loaded: &Loaded) -> impl Iterator<Item = PathBuf> {
    let servers = &loaded.settings.servers_directory;
    let drop_ins = servers.with_file_name("config.d");
    let of_servers = fs::read_dir(servers).into_iter().flatten().flatten();
    (loaded.files.iter().cloned())
        .chain([drop_ins, servers.clone()])
        .chain(of_servers.map(|entry| entry.path()))
}

/// When a file was written.
fn changed(path: &Path) -> Option<Timestamp> {
    Timestamp::try_from(fs::metadata(path).ok()?.modified().ok()?).ok()
}

/// What the service would do if it read its configuration now, and what it says.
fn both(host: &Installation) -> Option<(&Plan, &Status)> {
    Some((host.plan()?, host.status()?))
}

/// Does this version run?
pub fn version(host: &Installation) -> Option<Point> {
    let installed = env!("CARGO_PKG_VERSION");
    let runs = &both(host)?.1.version;
    let finding = || format!("version {runs} is running, but {installed} is installed");
    (runs != installed).then(|| wrong(finding(), RESTART))
}

/// Does the service know whom Postfix lets relay anyway?
pub fn permitted_networks(host: &Installation) -> Option<Point> {
    let (plan, status) = both(host)?;
    let (are, taken) = (plan.rules.permitted.to_string(), &status.permitted_networks);
    let finding = || {
        format!(
            "the service believes that Postfix lets {taken} relay anyway, but the networks \
             are {are}"
        )
    };
    (*taken != are).then(|| wrong(finding(), RELOAD))
}

/// Does it publish the map that the configuration names?
pub fn map(host: &Installation) -> Option<Point> {
    let (plan, status) = both(host)?;
    let named = |map: &MapStatus| format!("{}:{}", map.kind, map.path);
    let none = || "no map".to_owned();
    let in_force = status.map.as_ref().map_or_else(none, named);
    let map = plan.map.as_ref().map(MapStatus::of);
    let map = map.as_ref().map_or_else(none, named);
    let finding = || format!("the service publishes {in_force}, but its configuration says {map}");
    (map != in_force).then(|| wrong(finding(), RESTART))
}

/// What does the service itself find wrong?
pub fn problems(host: &Installation) -> Option<Vec<Point>> {
    let status = match host.asked.as_ref()? {
        Ok(status) => status,
        Err(error @ AskError::Connect { source, .. }) if source.kind() == PermissionDenied => {
            return Some(vec![unknown(error.to_string())]);
        }
        Err(error) => return Some(vec![wrong(error.to_string(), RESTART)]),
    };
    let mend = "# The service keeps trying. What happened: journalctl -u pop-before-smtp -n 50";
    let points = status.problems.iter().map(|problem| wrong(problem, mend));
    Some(or_ok(points, "the service knows of none"))
}
