//! The service, its sockets, and what goes on when it is stopped: as systemd has them.
//!
//! Pure: judges what systemctl has shown.

use jiff::Timestamp;

use super::point::Point;
use super::systemd::{
    CONTROL_SOCKET, EXPIRE_SERVICE, EXPIRE_TIMER, NETWORKS_SERVICE, POLICY_SOCKET, SERVICE, Unit,
    Units,
};
use crate::diagnostics::local_time;

/// Exit status of a service whose configuration is wrong.
const EX_CONFIG: &str = "78";

/// Judges all units. `program_changed` is when the installed program was last written, where that
/// is known.
#[must_use]
pub fn judge(units: &Units, program_changed: Option<Timestamp>) -> Vec<Point> {
    let service = units.get(SERVICE);
    if !service.is_there() {
        return vec![
            Point::wrong("service", format!("systemd does not know {SERVICE}"))
                .mend("# Install the package pop-before-smtp, or: systemctl daemon-reload"),
        ];
    }
    let mut points = vec![running(&service), enabled(&service)];
    points.extend(installed(&service, program_changed));
    points.push(socket(
        "control-socket",
        &units.get(CONTROL_SOCKET),
        &service,
    ));
    points.push(socket("policy-socket", &units.get(POLICY_SOCKET), &service));
    points.push(expiry(units, &service));
    points.extend(networks(&units.get(NETWORKS_SERVICE)));
    points
}

fn running(service: &Unit) -> Point {
    const POINT: &str = "service";
    let start = format!("systemctl start {SERVICE}");
    match service.get("ActiveState") {
        "active" | "reloading" => {
            let since = service.active_since();
            let since = since.map(|since| format!(" since {}", local_time(since)));
            Point::ok(POINT, format!("runs{}", since.unwrap_or_default()))
        }
        _ if service.get("LoadState") == "masked" => {
            Point::wrong(POINT, "is masked: nothing can start it")
                .mend(format!("systemctl unmask {SERVICE}\n{start}"))
        }
        "failed" if service.get("ExecMainStatus") == EX_CONFIG => Point::wrong(
            POINT,
            "has not started, as its configuration is wrong: see the point configuration",
        )
        .mend(format!("# First put the configuration right.\n{start}")),
        "failed" => Point::wrong(
            POINT,
            format!(
                "has failed ({}, exit status {})",
                service.get("Result"),
                service.get("ExecMainStatus")
            ),
        )
        .mend(format!(
            "# Why: journalctl -u pop-before-smtp -n 20\n{start}"
        )),
        "activating" => Point::wrong(
            POINT,
            format!(
                "is being started: {}, {} restarts so far",
                service.state(),
                service.get("NRestarts")
            ),
        )
        .mend("# It may be up in a moment. If not: journalctl -u pop-before-smtp -n 20"),
        _ => Point::wrong(
            POINT,
            format!(
                "is stopped ({}): no login lets anybody in until somebody asks it",
                service.state()
            ),
        )
        .mend(start),
    }
}

fn enabled(service: &Unit) -> Point {
    const POINT: &str = "service-at-boot";
    if service.is_enabled() {
        Point::ok(POINT, "the service is started at boot")
    } else {
        let finding = format!(
            "the service is not started at boot ({})",
            service.get("UnitFileState")
        );
        Point::wrong(POINT, finding).mend(format!("systemctl enable {SERVICE}"))
    }
}

/// Whether what runs is what is installed.
fn installed(service: &Unit, program_changed: Option<Timestamp>) -> Option<Point> {
    const POINT: &str = "service-version";
    if service.get("NeedDaemonReload") == "yes" {
        return Some(
            Point::wrong(
                POINT,
                "the unit file was changed, and systemd has not read it",
            )
            .mend(format!(
                "systemctl daemon-reload\nsystemctl restart {SERVICE}"
            )),
        );
    }
    if !service.is_active() {
        return None;
    }
    let (since, changed) = (service.active_since()?, program_changed?);
    Some(if changed > since {
        Point::wrong(
            POINT,
            format!(
                "the program was installed at {}, and the service runs an older one",
                local_time(changed)
            ),
        )
        .mend(format!("systemctl restart {SERVICE}"))
    } else {
        Point::ok(
            POINT,
            concat!("the installed program runs, ", env!("CARGO_PKG_VERSION")),
        )
    })
}

fn socket(point: &'static str, socket: &Unit, service: &Unit) -> Point {
    let path = socket.get("Listen").split(' ').next().unwrap_or_default();
    if !socket.is_there() {
        return Point::wrong(point, "systemd does not know it")
            .mend("# Install the package pop-before-smtp, or: systemctl daemon-reload");
    }
    let name = socket.id();
    let mut wrong = Vec::new();
    let mut mend = Vec::new();
    if socket.get("LoadState") == "masked" {
        wrong.push("it is masked".to_owned());
        mend.push(format!("systemctl unmask {name}"));
    } else if !socket.is_enabled() {
        wrong.push("it is not opened at boot".to_owned());
        mend.push(format!("systemctl enable {name}"));
    }
    if !socket.is_active() {
        wrong.push(format!(
            "systemd does not listen on it ({})",
            socket.state()
        ));
        // A socket is not opened under a service that runs; but a service opens its sockets.
        mend.push(if service.is_active() {
            format!("systemctl restart {SERVICE}")
        } else {
            format!("systemctl start {name}")
        });
    }
    if wrong.is_empty() {
        Point::ok(point, format!("systemd listens on {path}"))
    } else {
        Point::wrong(point, format!("{name}: {}", wrong.join(", and "))).mend(mend.join("\n"))
    }
}

fn expiry(units: &Units, service: &Unit) -> Point {
    const POINT: &str = "expiry";
    let (timer, oneshot) = (units.get(EXPIRE_TIMER), units.get(EXPIRE_SERVICE));
    if !timer.is_there() || !oneshot.is_there() {
        return Point::wrong(
            POINT,
            format!("systemd does not know {EXPIRE_TIMER}: grace does not end while the service is stopped"),
        )
        .mend("# Install the package pop-before-smtp, or: systemctl daemon-reload");
    }
    if oneshot.get("ActiveState") == "failed" {
        let finding = "clients whose grace has passed could not be taken out of the access map \
                       while the service was stopped";
        let again = if service.is_active() {
            SERVICE
        } else {
            EXPIRE_TIMER
        };
        // A unit that has failed stays so until somebody says that it was seen.
        return Point::wrong(POINT, finding).mend(format!(
            "# Why: journalctl -u {EXPIRE_SERVICE} -n 20\n\
             systemctl reset-failed {EXPIRE_SERVICE}\nsystemctl restart {again}"
        ));
    }
    if !timer.is_enabled() {
        let finding = format!(
            "{EXPIRE_TIMER} is not enabled: after a boot that does not start the service, grace \
             would not end"
        );
        return Point::wrong(POINT, finding).mend(format!("systemctl enable {EXPIRE_TIMER}"));
    }
    let at_work = ["active", "activating"];
    let expires = at_work.contains(&timer.get("ActiveState"))
        || at_work.contains(&oneshot.get("ActiveState"));
    let finding = match (service.is_active(), expires) {
        (true, _) => "grace would end in time, also with the service stopped",
        (false, true) => "the service is stopped, and grace ends all the same",
        (false, false) => "the service is stopped, and so is what ends grace: nobody was listed",
    };
    Point::ok(POINT, finding)
}

fn networks(networks: &Unit) -> Option<Point> {
    (networks.get("ActiveState") == "failed").then(|| {
        let finding = format!("{NETWORKS_SERVICE} has failed: if main.cf does not set mynetworks, the service does not know whom Postfix lets relay anyway");
        Point::wrong("networks-service", finding).mend(format!(
            "# Why: journalctl -u {NETWORKS_SERVICE} -n 20\nsystemctl restart {NETWORKS_SERVICE}\n\
             systemctl reload {SERVICE}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::point::Verdict;

    const GOOD: [&str; 6] = [
        "Id=pop-before-smtp.service LoadState=loaded ActiveState=active SubState=running \
         UnitFileState=enabled ActiveEnterTimestamp=Thu+1970-01-01+00:16:40+UTC",
        "Id=pop-before-smtp.socket LoadState=loaded ActiveState=active UnitFileState=enabled \
         Listen=/run/pop-before-smtp/control",
        "Id=pop-before-smtp-policy.socket LoadState=loaded ActiveState=active \
         UnitFileState=enabled Listen=/var/spool/postfix/pop-before-smtp/policy",
        "Id=pop-before-smtp-expire.timer LoadState=loaded ActiveState=inactive \
         UnitFileState=enabled",
        "Id=pop-before-smtp-expire.service LoadState=loaded ActiveState=inactive \
         UnitFileState=static",
        "Id=pop-before-smtp-networks.service LoadState=loaded ActiveState=active",
    ];

    /// What is wrong once `change` is made to the good host.
    fn wrong(change: (&str, &str), changed: i64) -> Vec<(&'static str, String)> {
        let text = GOOD.map(|unit| unit.replace(change.0, change.1));
        let units = Units::of(text.iter().map(|unit| Unit::with(unit)).collect());
        let points = judge(&units, Timestamp::from_second(changed).ok());
        points
            .into_iter()
            .filter(|p| p.verdict != Verdict::Ok)
            .map(|p| {
                assert_eq!(p.verdict, Verdict::Wrong);
                (p.point, p.mend.unwrap())
            })
            .collect()
    }

    #[test]
    fn a_good_host_is_well() {
        assert_eq!(wrong(("", ""), 900), []);
    }

    #[test]
    fn each_unit_can_be_wrong_and_is_mended_by_itself() {
        let running = "active SubState=running";
        for (change, point, mend) in [
            (
                (running, "inactive SubState=dead"),
                "service",
                "systemctl start pop-before-smtp.service",
            ),
            (
                (running, "failed ExecMainStatus=78"),
                "service",
                "# First put the configuration right.\nsystemctl start pop-before-smtp.service",
            ),
            (
                (
                    "UnitFileState=enabled ActiveEnter",
                    "UnitFileState=disabled ActiveEnter",
                ),
                "service-at-boot",
                "systemctl enable pop-before-smtp.service",
            ),
            (
                (
                    "ActiveState=active UnitFileState=enabled Listen=/run",
                    "ActiveState=inactive UnitFileState=enabled Listen=/run",
                ),
                "control-socket",
                "systemctl restart pop-before-smtp.service",
            ),
            (
                (
                    "ActiveState=active UnitFileState=enabled Listen=/var",
                    "ActiveState=failed UnitFileState=disabled Listen=/var",
                ),
                "policy-socket",
                "systemctl enable pop-before-smtp-policy.socket\nsystemctl restart pop-before-smtp.service",
            ),
            (
                (
                    "ActiveState=inactive UnitFileState=enabled",
                    "ActiveState=inactive UnitFileState=disabled",
                ),
                "expiry",
                "systemctl enable pop-before-smtp-expire.timer",
            ),
        ] {
            assert_eq!(wrong(change, 900), [(point, mend.to_owned())], "{change:?}");
        }
        let networks = wrong(
            (
                "networks.service LoadState=loaded ActiveState=active",
                "networks.service ActiveState=failed",
            ),
            900,
        );
        assert_eq!(networks[0].0, "networks-service");
    }

    #[test]
    fn an_older_program_that_runs_is_found() {
        let restart = "systemctl restart pop-before-smtp.service".to_owned();
        assert_eq!(wrong(("", ""), 1001), [("service-version", restart)]);
        let found = wrong(
            ("SubState=running", "SubState=running NeedDaemonReload=yes"),
            900,
        );
        assert_eq!(found[0].0, "service-version");
    }

    #[test]
    fn without_the_unit_nothing_else_is_said() {
        let points = judge(&Units::default(), None);
        assert_eq!(points.len(), 1);
        assert_eq!(points[0].verdict, Verdict::Wrong);
    }
}
