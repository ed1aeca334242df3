//! The configuration on disk, whether it is what the service has in force, and what the service says
//! of itself.
//!
//! Asks nothing itself: it is given what was looked at.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::point::Point;
use crate::config::Loaded;
use crate::control::protocol::Status;
use crate::daemon::{Plan, PlanError};
use crate::diagnostics::{count, local_time};

const RELOAD: &str = "systemctl reload pop-before-smtp.service";
const RESTART: &str = "systemctl restart pop-before-smtp.service";

/// Judges the configuration as the service would.
#[must_use]
pub fn configuration(plan: &Result<Plan, PlanError>) -> Point {
    const POINT: &str = "configuration";
    match plan {
        Ok(plan) if plan.warnings.is_empty() => {
            let servers = count(plan.settings.servers.len(), "server");
            Point::ok(POINT, format!("is right; {servers} on"))
        }
        Ok(plan) => Point::notice(
            POINT,
            format!("is right, and odd: {}", plan.warnings.join("\n")),
        ),
        Err(error) if error.is_configuration() => {
            Point::wrong(POINT, error.to_string()).mend(format!(
                "# Change the file until this is content, and then have the service read it:\n\
                 pop-before-smtp check-config && {RELOAD}"
            ))
        }
        Err(error) => Point::wrong(POINT, error.to_string())
            .mend("# Put Postfix right first: see the point postfix."),
    }
}

/// When a file of the configuration was changed last, and which. A directory changes when a file in
/// it comes or goes.
#[must_use]
pub fn last_changed(loaded: &Loaded) -> Option<(PathBuf, Timestamp)> {
    let servers = &loaded.settings.servers_directory;
    let drop_ins = servers.with_file_name("config.d");
    let of_servers = fs::read_dir(servers).into_iter().flatten().flatten();
    let paths = loaded
        .files
        .iter()
        .cloned()
        .chain([drop_ins, servers.clone()])
        .chain(of_servers.map(|entry| entry.path()));
    let changed = |path: PathBuf| Some((changed(&path)?, path));
    let (time, path) = paths.filter_map(changed).max()?;
    Some((path, time))
}

/// When a file was written.
#[must_use]
pub fn changed(path: &Path) -> Option<Timestamp> {
    Timestamp::try_from(fs::metadata(path).ok()?.modified().ok()?).ok()
}

/// Judges whether the service has read the configuration since it was changed.
#[must_use]
pub fn read_since(changed: Option<&(PathBuf, Timestamp)>, read: Timestamp) -> Point {
    const POINT: &str = "configuration-in-force";
    match changed {
        Some((path, time)) if *time > read => Point::wrong(
            POINT,
            format!(
                "{} was changed at {}, and the service has read its configuration at {}",
                path.display(),
                local_time(*time),
                local_time(read)
            ),
        )
        .mend(RELOAD),
        _ => Point::ok(
            POINT,
            format!("read at {}, and not changed since", local_time(read)),
        ),
    }
}

/// Judges what the service says against what it would do if it read its configuration now.
#[must_use]
pub fn same(plan: &Plan, status: &Status) -> Vec<Point> {
    let mut points = Vec::new();
    if status.version != env!("CARGO_PKG_VERSION") {
        points.push(
            Point::wrong(
                "service-version",
                format!(
                    "version {} runs, and {} is installed",
                    status.version,
                    env!("CARGO_PKG_VERSION")
                ),
            )
            .mend(RESTART),
        );
    }
    let would = plan.rules.permitted.to_string();
    if status.permitted_networks != would {
        points.push(
            Point::wrong(
                "permitted-networks",
                format!(
                    "the service takes {} for the networks that Postfix lets relay anyway, and \
                     they are {would}",
                    status.permitted_networks
                ),
            )
            .mend(RELOAD),
        );
    }
    let map = format!("{}:{}", plan.map.kind, plan.map.path.display());
    let in_force = format!("{}:{}", status.map.kind, status.map.path);
    if map != in_force {
        points.push(
            Point::wrong(
                "map-in-force",
                format!("the service publishes {in_force}, and its configuration says {map}"),
            )
            .mend(RESTART),
        );
    }
    points
}

/// Passes on what the service itself finds wrong.
#[must_use]
pub fn problems(status: &Status) -> Vec<Point> {
    const POINT: &str = "service-problems";
    if status.problems.is_empty() {
        return vec![Point::ok(POINT, "the service knows of none")];
    }
    let wrong = |problem: &String| {
        Point::wrong(POINT, problem.clone()).mend(
            "# The service goes on trying. What happened: journalctl -u pop-before-smtp -n 50",
        )
    };
    status.problems.iter().map(wrong).collect()
}
