//! Entries in the Journal Export Format, as Dovecot would have written them.

use jiff::{SignedDuration, Timestamp};

/// The boot that entries are of, unless they say otherwise.
const BOOT: &str = "15f594f33c494af59fa3cdf33c2aa578";

/// An entry to be imported.
#[derive(Clone)]
pub struct Entry {
    time: Timestamp,
    fields: Vec<(String, Vec<u8>)>,
}

impl Entry {
    /// The same, so much later.
    pub fn later(mut self, by: SignedDuration) -> Self {
        self.time += by;
        self
    }

    /// An entry of Dovecot's log process, `ago` before now.
    pub fn dovecot(ago: SignedDuration, message: impl AsRef<[u8]>) -> Self {
        let entry = Entry {
            time: Timestamp::now() - ago,
            fields: Vec::new(),
        };
        entry
            .with("MESSAGE", message)
            .with("SYSLOG_IDENTIFIER", "dovecot")
            .with("_MACHINE_ID", "54dbce5889844eebaf4e0d3de63073fd")
            .with("_BOOT_ID", BOOT)
            .with("_TRANSPORT", "syslog")
            .with("_UID", "0")
            .with("_SYSTEMD_UNIT", "dovecot.service")
    }

    /// A login, `ago` before now.
    pub fn login(ago: SignedDuration, client: &str, session: &str) -> Self {
        let message = format!(
            "imap-login: Login: user=<alice>, method=PLAIN, rip={client}, lip=192.0.2.1, mpid=1, \
             TLS, session=<{session}>"
        );
        Self::dovecot(ago, message)
    }

    /// The end of a session, `ago` before now.
    pub fn logout(ago: SignedDuration, session: &str) -> Self {
        Self::dovecot(
            ago,
            format!("imap(alice)<1><{session}>: Disconnected: Logged out in=1 out=2"),
        )
    }

    /// Adds a field, whether or not there is one of its name.
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Replaces a field, or removes it.
    pub fn but(mut self, name: &str, value: Option<&str>) -> Self {
        self.fields.retain(|(known, _)| known != name);
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

/// The export text of entries, in this order.
pub fn export(entries: &[Entry]) -> Vec<u8> {
    let mut text = Vec::new();
    for entry in entries {
        let microseconds = entry.time.as_microsecond();
        text.extend(format!("__REALTIME_TIMESTAMP={microseconds}\n").bytes());
        // A boot that began with the epoch: entries of several files are in the order of their time.
        text.extend(format!("__MONOTONIC_TIMESTAMP={microseconds}\n").bytes());
        for (name, value) in &entry.fields {
            text.extend(name.bytes());
            if value
                .iter()
                .all(|byte| byte.is_ascii_graphic() || *byte == b' ')
            {
                text.push(b'=');
            } else {
                // systemd.io/JOURNAL_EXPORT_FORMATS: name, newline, length, value.
                text.push(b'\n');
                text.extend(u64::try_from(value.len()).unwrap().to_le_bytes());
            }
            text.extend(value);
            text.push(b'\n');
        }
        text.push(b'\n');
    }
    text
}
