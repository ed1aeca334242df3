//! Whether what Dovecot is told by a client can be taken for one of its own lines. Judging is pure.

use super::Installation;
use super::dovecot::Dovecot;
use super::point::{Point, notice, wrong};

/// The definition of Dovecot's lines.
const SERVER: &str = "dovecot";

/// Can what a client says be taken for a login? It is a point only where it can.
pub fn login_lines(host: &Installation) -> Option<Vec<Point>> {
    let mut servers = host.plan()?.recogniser.servers();
    if !servers.any(|name| **name == *SERVER) {
        return None;
    }
    Some(judge(host.dovecot.as_ref()?))
}

fn judge(dovecot: &Dovecot) -> Vec<Point> {
    let Dovecot {
        id_log,
        login_format,
        name_chars,
        utf8_mailboxes,
        oauth2,
        verbose,
        is_new,
        ..
    } = dovecot;
    let mut points = Vec::new();
    // Behind ": ", the definition knows the fields of a client that has not logged in.
    let is_known = login_format.is_empty() || login_format.contains("%$: %s");
    if !id_log.is_empty() && !is_known {
        points.push(wrong(
            format!(
                "imap_id_log = {id_log}, and login_log_format = {login_format}: what a client says of itself \
                 before it logs in can be taken for a login of any address"
            ),
            "# In Dovecot's configuration, take out imap_id_log or login_log_format; then:\n\
             systemctl reload dovecot",
        ));
    }
    // Dovecot's processes tell its log process in one line each what to write, and as which of them: a line feed
    // lets the rest tell it another thing.
    if name_chars.as_ref().is_some_and(String::is_empty) {
        points.push(wrong(
            "auth_username_chars is empty: whoever can log in under a name with a line feed in it can have \
             Dovecot's log process write a login of any address",
            "# In Dovecot's configuration, take out auth_username_chars, or name the characters that your users' \
             names have; then:\n\
             systemctl reload dovecot",
        ));
    }
    if *utf8_mailboxes {
        points.push(wrong(
            "mail_location or a namespace's location has UTF-8: by the name of a mailbox, with a line feed in it, \
             a user can have Dovecot's log process write a login of any address",
            "# In Dovecot's configuration, take :UTF-8 out of the location, and rename the directories of mailboxes \
             whose names have other letters than ASCII's, or upgrade to Dovecot 2.4; then:\n\
             systemctl reload dovecot",
        ));
    }
    if *oauth2 && *verbose && !is_new {
        points.push(
            notice(
                "driver = oauth2, and auth_verbose or auth_debug: with introspection_mode = local, a stranger can \
                 have Dovecot's log process write a login of any address, by a token with a line feed in it",
            )
            .mend(
                "# In Dovecot's configuration, take out auth_verbose and auth_debug, or upgrade to Dovecot 2.4; \
                 then:\n\
                 systemctl reload dovecot",
            ),
        );
    }
    points
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
            let points = judge(&Dovecot::parse(text));
            assert_eq!(!points.is_empty(), is_wrong, "{text}");
        }
    }

    #[test]
    fn line_feeds_that_reach_the_log_are_told_of() {
        for (text, finding) in [
            ("auth_username_chars = abc@.\n", ""),
            ("auth_username_chars = \n", "auth_username_chars"),
            ("mail_location = maildir:~/Maildir\n", ""),
            ("mail_location = maildir:/var/UTF-8/%u\n", ""),
            ("mail_location = maildir:~/Maildir:UTF-8\n", "mail_location"),
            (
                "namespace inbox {\n  location = maildir:~/x:UTF-8:INDEX=/var/index\n}\n",
                "location",
            ),
            (
                "auth_verbose = yes\npassdb {\n  driver = oauth2\n}\n",
                "oauth2",
            ),
            (
                "auth_debug = yes\npassdb {\n  driver = oauth2\n}\n",
                "oauth2",
            ),
            ("passdb {\n  driver = oauth2\n}\n", ""),
            ("auth_verbose = yes\npassdb {\n  driver = pam\n}\n", ""),
            // What 2.4 writes in a message is safe.
            (
                "dovecot_config_version = 2.4.0\nauth_verbose = yes\npassdb x {\n  driver = oauth2\n}\n",
                "",
            ),
            ("mailbox_list_utf8 = yes\n", ""),
        ] {
            let points = judge(&Dovecot::parse(text));
            assert_eq!(points.len(), usize::from(!finding.is_empty()), "{text}");
            let mut findings = points.iter().map(|point| &point.finding);
            assert!(findings.all(|found| found.contains(finding)), "{text}");
        }
    }
}
