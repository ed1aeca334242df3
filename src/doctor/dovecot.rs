//! Dovecot's configuration, as far as it matters whose word a login is. Only asks `doveconf`, and judges nothing.

use crate::postfix::command::Programs;

/// What `doveconf -n` shows: what is not as by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dovecot {
    /// Whether a listener takes the PROXY protocol.
    pub haproxy: bool,
    /// `login_trusted_networks`.
    pub trusted: String,
    /// `imap_id_log`, of Dovecot before 2.4.
    pub id_log: String,
    /// `login_log_format`.
    pub login_format: String,
    /// `auth_username_chars`; if it is empty, names may have any.
    pub name_chars: Option<String>,
    /// Whether names of mailboxes are on the disk as they came, of Dovecot before 2.4.
    pub utf8_mailboxes: bool,
    /// Whether a password database is `oauth2`.
    pub oauth2: bool,
    /// Whether what is wrong with a login is logged: `auth_verbose`, or more.
    pub verbose: bool,
    /// Whether it is 2.4 or later.
    pub is_new: bool,
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
                "auth_username_chars" => dovecot.name_chars = Some(value.to_owned()),
                "driver" => dovecot.oauth2 |= value == "oauth2",
                "auth_verbose" | "auth_debug" => dovecot.verbose |= value == "yes",
                "dovecot_config_version" => dovecot.is_new = true,
                // "maildir:~/Maildir:UTF-8:INDEX=/var/index", of all mail or of a namespace.
                "mail_location" | "location" => {
                    dovecot.utf8_mailboxes |= value.split(':').any(|part| part == "UTF-8");
                }
                _ => {}
            }
        }
        dovecot
    }
}
