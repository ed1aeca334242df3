//! Whether what Dovecot is told by a client can be taken for one of its own lines. Judging is pure.

use super::Installation;
use super::dovecot::Dovecot;
use super::point::{Point, wrong};

/// The definition of Dovecot's lines.
const SERVER: &str = "dovecot";

/// Can what a client says before it logs in be taken for a login? It is a point only where it can.
pub fn login_lines(host: &Installation) -> Option<Point> {
    let mut servers = host.plan()?.recogniser.servers();
    if !servers.any(|name| **name == *SERVER) {
        return None;
    }
    judge(host.dovecot.as_ref()?)
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
