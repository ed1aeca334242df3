//! Dovecot's configuration, as far as it matters whose word a login is.
//!
//! Only asks `doveconf`; judging what it says is pure.

use super::Installation;
use super::point::{Point, wrong};
use crate::postfix::command::Programs;

/// The definition of its lines.
const SERVER: &str = "dovecot";

/// What `doveconf -n` shows: what is not as by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dovecot {
    /// Whether a listener takes the PROXY protocol.
    pub haproxy: bool,
    /// `login_trusted_networks`.
    pub trusted: String,
    /// `imap_id_log`, of Dovecot before 2.4.
    id_log: String,
    /// `login_log_format`.
    login_format: String,
}

impl Dovecot {
    /// Asks `doveconf`; `None` where there is no Dovecot, or its configuration can't be read.
    pub fn look(programs: &Programs) -> Option<Self> {
        let output = programs.run("doveconf", &["-n"]).ok()?.succeeded().ok()?;
        Some(Self::parse(&output.text()))
    }

    pub fn parse(text: &str) -> Self {
        let mut dovecot = Dovecot::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once('=') else {
                continue;
            };
            let value = value.trim();
            match name.trim() {
                "haproxy" => dovecot.haproxy |= value == "yes",
                "login_trusted_networks" => value.clone_into(&mut dovecot.trusted),
                "imap_id_log" => value.clone_into(&mut dovecot.id_log),
                "login_log_format" => value.clone_into(&mut dovecot.login_format),
                _ => {}
            }
        }
        dovecot
    }
}

/// Can what a client says before it logs in be taken for a login? It is a point only where it can.
pub fn login_lines(host: &Installation) -> Option<Point> {
    let mut servers = host.plan()?.recogniser.servers();
    if !servers.any(|name| **name == *SERVER) {
        return None;
    }
    judge(&Dovecot::look(&host.programs)?)
}

fn judge(dovecot: &Dovecot) -> Option<Point> {
    let Dovecot {
        id_log,
        login_format,
        ..
    } = dovecot;
    // Behind ": ", the definition knows the fields of a client that has not logged in.
    let is_known = login_format.is_empty() || login_format.contains("%$: %s");
    if id_log.is_empty() || is_known {
        return None;
    }
    Some(wrong(
        format!(
            "imap_id_log = {id_log}, and login_log_format = {login_format}: what a client says of itself before \
             it logs in can be taken for a login of any address"
        ),
        "# In Dovecot's configuration, take out imap_id_log or login_log_format; then:\n\
         systemctl reload dovecot",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_say_is_no_login_only_where_the_fields_come_last() {
        for (text, is_wrong) in [
            ("", false),
            ("imap_id_log = *\n", false),
            ("login_log_format = %s %$\n", false),
            ("imap_id_log = \nlogin_log_format = %s %$\n", false),
            ("imap_id_log = *\nlogin_log_format = here: %$: %s\n", false),
            ("imap_id_log = *\nlogin_log_format = %s %$\n", true),
            ("login_log_format = %$ %s\nimap_id_log = name\n", true),
        ] {
            let point = judge(&Dovecot::parse(text));
            assert_eq!(point.is_some(), is_wrong, "{text}");
        }
    }
}
