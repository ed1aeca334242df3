//! Postfix: is it there, and does it get to the policy socket; and if it is elsewhere, where it asks.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::Installation;
use super::access::Want;
use super::point::{Point, notice, ok, unseen, wrong};
use super::systemd::{POLICY_INET_SOCKET, POLICY_SOCKET, RESTART, Unit};
use super::units::quoted;
use crate::diagnostics::count;

/// Is it installed, and does it run?
pub fn installed(host: &Installation) -> Option<Point> {
    let wants_a_map = host.settings().is_none_or(|settings| settings.publish.map);
    let postfix = match &host.postfix {
        Ok(postfix) => postfix,
        Err(_) if host.lacks_postfix() && !wants_a_map => return Some(elsewhere(host)),
        Err(error) => {
            let mend = if host.lacks_postfix() {
                "# Install Postfix, or put it into PATH. If it is in a container or on another host, write\n\
                 # publish = [\"policy\"] into the configuration."
            } else {
                "# Change main.cf or master.cf until this command is satisfied:\npostfix check"
            };
            return Some(wrong(error.to_string(), mend));
        }
    };
    let version = format!("version {}", postfix.value("mail_version"));
    let units = ["postfix.service", "postfix@-.service"].map(|name| host.unit(name));
    // On Debian 12, postfix.service is a shell around the other one, and always active.
    let [service, instance] = units;
    let runs = instance.is_active() || service.is_active() && service.get("SubState") == "running";
    Some(if units.into_iter().any(Unit::is_there) && !runs {
        wrong(
            format!("{version}, but not running"),
            "systemctl start postfix",
        )
    } else if postfix.complaints.is_empty() {
        ok(version)
    } else {
        notice(format!("{version}; {}", postfix.complaints.join("\n")))
    })
}

/// Where can one that is not on this host ask?
fn elsewhere(host: &Installation) -> Point {
    let listens = |name| Some(host.unit(name)).filter(|unit| unit.is_active());
    let unix = listens(POLICY_SOCKET).map(|_| {
        let path = host.policy();
        let group = fs::metadata(path).map(|found| found.gid().to_string());
        let group = group.unwrap_or_else(|_| "?".to_owned());
        format!("{} (as the group {group})", path.display())
    });
    let inet = listens(POLICY_INET_SOCKET).map(|unit| {
        let address = unit.get("Listen").split(' ').next().unwrap_or_default();
        format!("{address} (from policy.relays)")
    });
    let places: Vec<String> = unix.into_iter().chain(inet).collect();
    if places.is_empty() {
        return notice(
            "is not on this host, and can't ask from elsewhere: no socket is open for it",
        )
        .mend(format!(
            "# What to do for one in a container: systemctl cat {POLICY_SOCKET}\n\
                 # What to do for one on another host: systemctl cat {POLICY_INET_SOCKET}"
        ));
    }
    let answered = host.status().map(|status| status.policy.answered);
    let answered = answered.map(|number| format!("; it has asked {}", count(number, "question")));
    ok(format!(
        "is not on this host, and can ask from elsewhere at {}{}",
        places.join(" and "),
        answered.unwrap_or_default()
    ))
}

/// Does smtpd, which connects as this user, get to the policy socket?
pub fn policy_reachable(host: &Installation) -> Option<Point> {
    let publishes = host.publish()?.policy;
    let smtpd = host.mail_owner().filter(|_| publishes)?;
    let (name, path) = (&smtpd.name, host.policy());
    let obstacle = match smtpd.obstacle(path, Want::Write) {
        Ok(Some(obstacle)) => obstacle,
        Ok(None) => return Some(ok(format!("{name} can connect to {}", path.display()))),
        Err(error) => return Some(unseen(path, &error, "is not there", RESTART)),
    };
    let shown = obstacle.display();
    Some(if obstacle == path {
        wrong(
            format!("{name} may not connect to {shown}"),
            format!(
                "# Set SocketGroup={name} and SocketMode=0660: systemctl edit {POLICY_SOCKET}\n\
                 {RESTART}"
            ),
        )
    } else {
        wrong(
            format!("{name} can't go through {shown}"),
            format!("chmod 755 {}", quoted(&obstacle.to_string_lossy())),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::point::Verdict;
    use crate::doctor::systemd::Units;

    #[test]
    fn where_one_elsewhere_can_ask_is_told() {
        let asked_at = |units: &[&str]| {
            let units = units.iter().map(|unit| Unit::with(unit)).collect();
            elsewhere(&Installation::with_units(Units::of(units), None))
        };
        let none = asked_at(&["Id=pop-before-smtp-policy.socket ActiveState=inactive"]);
        assert_eq!(none.verdict, Verdict::Notice);
        assert!(none.mend.unwrap().contains(POLICY_INET_SOCKET));
        let inet = "Id=pop-before-smtp-policy-inet.socket ActiveState=active \
                    Listen=192.0.2.1:10040+(Stream)";
        let unix = "Id=pop-before-smtp-policy.socket ActiveState=active Listen=/dev/null+(Stream)";
        let both = asked_at(&[unix, inet]);
        assert_eq!(both.verdict, Verdict::Ok);
        assert_eq!(
            both.finding,
            "is not on this host, and can ask from elsewhere at /dev/null (as the group 0) and \
             192.0.2.1:10040 (from policy.relays)"
        );
    }
}
