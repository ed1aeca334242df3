//! Postfix: is it there, and does it get to the policy socket.

use super::Installation;
use super::access::Want;
use super::point::{Point, notice, ok, unseen, wrong};
use super::systemd::{POLICY_SOCKET, RESTART, Unit};
use super::units::quoted;
use crate::postfix::command::CommandError;

/// Is it installed, and does it run?
pub fn installed(host: &Installation) -> Option<Point> {
    let postfix = match &host.postfix {
        Ok(postfix) => postfix,
        Err(error) => {
            let mend = match error {
                CommandError::NotFound { .. } => {
                    "# Install Postfix; or, if it is elsewhere, put it into PATH."
                }
                _ => {
                    "# Change main.cf or master.cf until this command is satisfied:\npostfix check"
                }
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
