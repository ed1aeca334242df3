//! The service, its sockets, and what goes on when it is stopped: as systemd has them.

use super::Installation;
use super::point::{Point, Verdict, notice, ok, unknown, wrong};
use super::systemd::{
    CONTROL_SOCKET, EXPIRE_SERVICE, EXPIRE_TIMER, NETWORKS_SERVICE, POLICY_INET_SOCKET,
    POLICY_SOCKET, RELOAD, RESTART, SERVICE, START, Unit, reason,
};
use crate::diagnostics::local_time;

/// Exit status of a service whose configuration is wrong.
const EX_CONFIG: &str = "78";
const INSTALL: &str = "# Install the package pop-before-smtp, or: systemctl daemon-reload";

/// Is there a systemd to ask? It is a point only where there is none.
pub fn systemd(host: &Installation) -> Option<Point> {
    let error = host.units.as_ref().err()?;
    Some(unknown(reason(error)))
}

/// Does it run? Where systemd does not know it, the other points say nothing.
pub fn running(host: &Installation) -> Option<Point> {
    let service = host.units.as_ref().ok()?.get(SERVICE);
    let state = service.state();
    Some(match service.get("ActiveState") {
        _ if !service.is_there() => wrong(format!("systemd does not know {SERVICE}"), INSTALL),
        "active" | "reloading" => ok(match service.active_since() {
            Some(since) => format!("runs since {}", local_time(since)),
            None => "runs".to_owned(),
        }),
        _ if service.get("LoadState") == "masked" => wrong(
            "is masked: nothing can start it",
            format!("systemctl unmask {SERVICE}\n{START}"),
        ),
        "failed" if service.get("ExecMainStatus") == EX_CONFIG => wrong(
            "has not started, as its configuration is wrong: see the point configuration",
            format!("# First put the configuration right.\n{START}"),
        ),
        "failed" => wrong(
            format!(
                "has failed ({}, exit status {})",
                service.get("Result"),
                service.get("ExecMainStatus")
            ),
            format!("# Why: journalctl -u pop-before-smtp -n 20\n{START}"),
        ),
        "activating" => wrong(
            format!(
                "is being started: {state}, {} restarts so far",
                service.get("NRestarts")
            ),
            "# It may be up in a moment. If not: journalctl -u pop-before-smtp -n 20",
        ),
        _ => wrong(
            format!("is stopped ({state}): no login lets anybody in until a request starts it"),
            START,
        ),
    })
}

/// Does a boot start it?
pub fn enabled(host: &Installation) -> Option<Point> {
    let service = host.service()?;
    if service.is_enabled() {
        return Some(ok("the service is started at boot"));
    }
    let state = service.get("UnitFileState");
    Some(wrong(
        format!("the service is not started at boot ({state})"),
        format!("systemctl enable {SERVICE}"),
    ))
}

/// Is what runs what is installed?
pub fn installed(host: &Installation) -> Option<Point> {
    let service = host.service()?;
    if service.get("NeedDaemonReload") == "yes" {
        return Some(wrong(
            "the unit file was changed, but systemd has not read it",
            format!("systemctl daemon-reload\n{RESTART}"),
        ));
    }
    if !service.is_active() {
        return None;
    }
    let (since, changed) = (service.active_since()?, host.program_changed?);
    if changed <= since {
        let version = env!("CARGO_PKG_VERSION");
        return Some(ok(format!("the installed program runs, {version}")));
    }
    let changed = local_time(changed);
    let finding =
        format!("the program was installed at {changed}, but the service runs an older one");
    Some(wrong(finding, RESTART))
}

/// Is the socket open where it is asked about itself?
pub fn control_socket(host: &Installation) -> Option<Point> {
    socket(host, CONTROL_SOCKET)
}

/// Is the socket open where Postfix asks?
pub fn policy_socket(host: &Installation) -> Option<Point> {
    let unit = host.unit(POLICY_SOCKET);
    let is_skipped = unit.get("ConditionResult") == "no" || !unit.is_enabled();
    // Where Postfix would ask is the business of the point postfix.
    if host.lacks_postfix() && unit.get("ActiveState") == "inactive" && is_skipped {
        return None;
    }
    socket(host, POLICY_SOCKET)
}

/// Where other hosts may ask, is the socket open, and is anybody answered?
pub fn policy_inet_socket(host: &Installation) -> Option<Point> {
    let inet = host.unit(POLICY_INET_SOCKET);
    if !inet.is_enabled() && !inet.is_active() {
        return None;
    }
    let relays = host
        .settings()
        .map(|settings| settings.policy.relays.as_slice());
    match socket(host, POLICY_INET_SOCKET)? {
        point if point.verdict == Verdict::Ok => Some(match relays {
            Some([]) => notice(format!(
                "{}, and nobody is answered there: policy.relays names no relay",
                point.finding
            )),
            _ => point,
        }),
        point => Some(point),
    }
}

fn socket(host: &Installation, name: &str) -> Option<Point> {
    let service = host.service()?;
    let socket = host.unit(name);
    if !socket.is_there() {
        return Some(wrong("systemd does not know it", INSTALL));
    }
    let mut found = Vec::new();
    let mut mend = Vec::new();
    if socket.get("LoadState") == "masked" {
        found.push("it is masked".to_owned());
        mend.push(format!("systemctl unmask {name}"));
    } else if !socket.is_enabled() {
        found.push("it is not opened at boot".to_owned());
        mend.push(format!("systemctl enable {name}"));
    }
    if !socket.is_active() {
        let state = socket.state();
        found.push(format!("systemd does not listen on it ({state})"));
        // A socket is not opened under a service that runs; but a service opens its sockets.
        mend.push(match service.is_active() {
            true => RESTART.to_owned(),
            false => format!("systemctl start {name}"),
        });
    }
    if found.is_empty() {
        let path = socket.get("Listen").split(' ').next().unwrap_or_default();
        return Some(ok(format!("systemd listens on {path}")));
    }
    let finding = format!("{name}: {}", found.join(", and "));
    Some(wrong(finding, mend.join("\n")))
}

/// Does grace end while the service is stopped?
pub fn expiry(host: &Installation) -> Option<Point> {
    let service = host.service()?;
    let (timer, oneshot) = (host.unit(EXPIRE_TIMER), host.unit(EXPIRE_SERVICE));
    if !timer.is_there() || !oneshot.is_there() {
        let finding = format!(
            "systemd does not know {EXPIRE_TIMER}: grace does not end while the service is stopped"
        );
        return Some(wrong(finding, INSTALL));
    }
    if oneshot.get("ActiveState") == "failed" {
        let again = match service.is_active() {
            true => SERVICE,
            false => EXPIRE_TIMER,
        };
        // A unit that has failed stays so until somebody says that it was seen.
        return Some(wrong(
            "clients whose grace has passed could not be taken out of the access map while the \
             service was stopped",
            format!(
                "# Why: journalctl -u {EXPIRE_SERVICE} -n 20\n\
                 systemctl reset-failed {EXPIRE_SERVICE}\nsystemctl restart {again}"
            ),
        ));
    }
    if !timer.is_enabled() {
        return Some(wrong(
            format!(
                "{EXPIRE_TIMER} is not enabled: after a boot that does not start the service, \
                 grace would not end"
            ),
            format!("systemctl enable {EXPIRE_TIMER}"),
        ));
    }
    let is_at_work = |unit: &Unit| matches!(unit.get("ActiveState"), "active" | "activating");
    let expires = is_at_work(timer) || is_at_work(oneshot);
    Some(ok(match (service.is_active(), expires) {
        (true, _) => "grace would end on time even if the service were stopped",
        (false, true) => "the service is stopped, but grace still ends on time",
        (false, false) => "the service is stopped, and so is the expiry timer: nobody was listed",
    }))
}

/// Could Postfix's networks be found out? It is a point only where they could not.
pub fn networks(host: &Installation) -> Option<Point> {
    host.service()?;
    let failed = host.unit(NETWORKS_SERVICE).get("ActiveState") == "failed";
    let finding = || {
        format!(
            "{NETWORKS_SERVICE} has failed: if main.cf does not set mynetworks, the service does \
             not know which clients Postfix lets relay anyway"
        )
    };
    let mend = format!(
        "# Why: journalctl -u {NETWORKS_SERVICE} -n 20\n\
         systemctl restart {NETWORKS_SERVICE}\n{RELOAD}"
    );
    failed.then(|| wrong(finding(), mend))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::found;
    use crate::doctor::point::Verdict;
    use crate::doctor::systemd::Units;
    use crate::postfix::command::CommandError;

    use jiff::Timestamp;

    const GOOD: [&str; 7] = [
        "Id=pop-before-smtp-policy-inet.socket LoadState=loaded ActiveState=active \
         UnitFileState=enabled Listen=192.0.2.1:10040",
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

    /// What the checks of this file find.
    fn judge(units: Units, program_changed: Option<Timestamp>) -> Vec<Point> {
        let points = [
            "systemd",
            "service",
            "service-at-boot",
            "service-version",
            "control-socket",
            "policy-socket",
            "policy-inet-socket",
            "expiry",
            "networks-service",
        ];
        found(&Installation::with_units(units, program_changed), &points)
    }

    /// What is wrong once `change` is made to the good host.
    fn wrong(change: (&str, &str), changed: i64) -> Vec<(&'static str, String)> {
        let text = GOOD.map(|unit| unit.replace(change.0, change.1));
        let units = Units::of(text.iter().map(|unit| Unit::with(unit)).collect());
        let points = judge(units, Timestamp::from_second(changed).ok());
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
    fn without_postfix_its_socket_may_be_closed_but_not_have_failed() {
        let judged = |state: &str| {
            let listening = "active UnitFileState=enabled Listen=/var";
            let state = format!("{state} Listen=/var");
            let text = GOOD.map(|unit| unit.replace(listening, &state));
            let units = Units::of(text.iter().map(|unit| Unit::with(unit)).collect());
            let mut host = Installation::with_units(units, None);
            host.postfix = Err(CommandError::NotFound {
                program: "postconf",
                directories: Vec::new(),
            });
            found(&host, &["policy-socket"]).pop().map(|p| p.verdict)
        };
        let enabled = "UnitFileState=enabled ConditionResult";
        assert_eq!(judged(&format!("inactive {enabled}=no")), None);
        assert_eq!(
            judged("inactive UnitFileState=disabled ConditionResult=yes"),
            None
        );
        // A drop-in has taken the condition away.
        for state in ["inactive", "failed"] {
            let state = format!("{state} {enabled}=yes");
            assert_eq!(judged(&state), Some(Verdict::Wrong), "{state}");
        }
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
        let points = judge(Units::default(), None);
        assert_eq!(points.len(), 1);
        assert_eq!(points[0].verdict, Verdict::Wrong);
    }
}
