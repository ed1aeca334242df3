//! The whole installation, looked at and judged point by point: journal, definitions, service,
//! Postfix.
//!
//! Changes nothing: it starts nothing and writes nothing. What can't be looked at, as it is not there
//! or this user may not, is said to be unknown; nothing is taken to be right because nobody could
//! look.
//!
//! To add a check, write a function beside those of its subject that takes the [`Installation`] and returns
//! what it finds, with `ok`, `notice`, `unknown`, or `wrong` and what mends it (`point`). It returns
//! `None` where it has nothing to look at, or where another point says what is wrong. Then give it a line, and
//! so the point's name and place, in [`CHECKS`].

mod access;
mod clock;
mod definitions;
mod dovecot;
mod ends;
mod gateways;
mod identifiers;
mod in_force;
mod installation;
mod journal;
mod leftovers;
mod login_lines;
mod logins;
mod map;
mod networks;
mod point;
mod postfix;
mod proxies;
mod relaying;
mod service;
mod stores;
mod systemd;
mod units;

use std::path::Path;

use Check::{Each, One};
use installation::Installation;
pub use leftovers::perl_daemon_processes;
pub use point::{Point, Verdict};

/// What looks at a point and judges it.
#[derive(Clone, Copy)]
enum Check {
    /// It finds one thing.
    One(fn(&Installation) -> Option<Point>),
    /// It may find the same of several.
    Each(fn(&Installation) -> Option<Vec<Point>>),
}

/// All checks by the names of their points, in the order in which they are shown.
const CHECKS: &[(&str, Check)] = &[
    ("systemd", One(service::systemd)),
    ("service", One(service::running)),
    ("service-at-boot", One(service::enabled)),
    ("service-version", One(service::installed)),
    ("control-socket", One(service::control_socket)),
    ("policy-socket", One(service::policy_socket)),
    ("policy-inet-socket", One(service::policy_inet_socket)),
    ("expiry", One(service::expiry)),
    ("networks-service", One(service::networks)),
    ("configuration", One(in_force::configuration)),
    ("configuration-readable", One(in_force::readable)),
    ("configuration-in-force", One(in_force::read_since_changed)),
    ("service-version", One(in_force::version)),
    ("permitted-networks", One(in_force::permitted_networks)),
    ("map-in-force", One(in_force::map)),
    ("service-problems", Each(in_force::problems)),
    ("journal-access", Each(journal::access)),
    ("journal-reach", One(journal::reach)),
    ("journal-storage", One(journal::storage)),
    ("journal-level", One(journal::level)),
    ("journal-rate-limit", Each(journal::rate_limit)),
    ("journal-namespace", Each(journal::namespace)),
    ("stores", Each(stores::stores)),
    ("servers", One(definitions::writing)),
    ("servers-off", One(definitions::off)),
    ("senders", Each(definitions::senders)),
    ("refused-entries", Each(definitions::refused_entries)),
    ("identifiers", Each(identifiers::identifiers)),
    ("logins", Each(logins::logins)),
    ("session-ends", Each(ends::session_ends)),
    ("dovecot-login-lines", Each(login_lines::login_lines)),
    ("postfix", One(postfix::installed)),
    ("mynetworks", One(networks::mynetworks)),
    ("proxies", Each(proxies::proxies)),
    ("postscreen", One(proxies::postscreen)),
    ("relay-restrictions", Each(relaying::restrictions)),
    ("policy-reachable", One(postfix::policy_reachable)),
    ("map-directory", One(map::directory)),
    ("map-file", One(map::file)),
    ("map-readable", One(map::readable)),
    ("map-contents", One(map::contents)),
    ("map-and-list", One(map::and_list)),
    ("clock", One(clock::clock)),
    ("journal-time", Each(clock::journal_time)),
    ("journal-position", One(clock::journal_position)),
    ("perl-daemon", Each(leftovers::perl_daemon)),
];

/// Looks at everything. `config`: this configuration file, instead of the usual ones; `socket`: the
/// service's control socket.
#[must_use]
pub fn examine(config: Option<&Path>, socket: &Path) -> Vec<Point> {
    judge(&Installation::look(config, socket), CHECKS)
}

fn judge(host: &Installation, checks: &[(&'static str, Check)]) -> Vec<Point> {
    let mut points = Vec::new();
    for (name, check) in checks {
        let found = match check {
            One(check) => check(host).into_iter().collect(),
            Each(check) => check(host).unwrap_or_default(),
        };
        // A point that has a name already keeps it: that of the check whose subject it is.
        points.extend(found.into_iter().map(|found| match found.point {
            "" => Point {
                point: name,
                ..found
            },
            _ => found,
        }));
    }
    points
}

/// What the checks of these points find.
#[cfg(test)]
fn found(host: &Installation, points: &[&str]) -> Vec<Point> {
    let checks = CHECKS.iter().filter(|(name, _)| points.contains(name));
    judge(host, &checks.copied().collect::<Vec<_>>())
}
