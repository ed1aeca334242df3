//! An entry of a journal: its text, who wrote it, and where.
//!
//! Plain data; which of it is true is for others to say.

use jiff::Timestamp;

use crate::origin::Origin;
use crate::servers::Sender;

/// The container that an entry names, as the journald drivers of Docker and podman do (Docker's manual,
/// "Journald logging driver"); all empty if there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// `CONTAINER_NAME`.
    pub name: Vec<u8>,
    /// `CONTAINER_TAG`.
    pub tag: Vec<u8>,
    /// `CONTAINER_ID_FULL`.
    pub id: Vec<u8>,
    /// `CONTAINER_LOG_EPOCH`, of Docker's: another one each time that the container is started.
    pub epoch: Vec<u8>,
    /// `PRIORITY`: an engine gives output and errors different ones.
    pub priority: Vec<u8>,
    /// `CONTAINER_PARTIAL_MESSAGE`: whether the engine has cut the line, and the rest comes next.
    pub is_partial: bool,
}

impl Container {
    pub(super) fn clear(&mut self) {
        self.name.clear();
        self.tag.clear();
        self.id.clear();
        self.epoch.clear();
        self.priority.clear();
        self.is_partial = false;
    }
}

/// What an entry says. Read into again and again, it keeps its room.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// When the journal received it. Senders can't choose it.
    pub time: Timestamp,
    /// Its first identifier, any bytes; cut off like a message.
    pub identifier: Vec<u8>,
    /// Its first message, any bytes. Of one that is longer than [`LONGEST_MESSAGE`](crate::servers::LONGEST_MESSAGE), the first byte
    /// too many is here, and no more.
    pub message: Vec<u8>,
    /// Who wrote it, from the fields that journald adds itself.
    pub sender: Sender,
    /// Where it comes from, from the fields that journald adds itself.
    pub origin: Origin,
    /// Whether journald has cut it off, so that the next entry of the same process is the rest of it.
    pub is_cut: bool,
    /// Whether journald has taken away what was at its end: what looks like the end of the line need not be.
    pub lacks_end: bool,
    /// Whether it came by syslog(3), as one datagram. In a stream, each line feed ends an entry.
    pub is_by_syslog: bool,
    /// What it says of a container. Only where a container engine wrote it, it is more than a claim.
    pub container: Container,
    pub(super) identifiers: usize,
    pub(super) messages: usize,
    /// How many fields could be read.
    pub(super) fields: usize,
}

impl Entry {
    /// An entry of one identifier and one message, from [`Origin::OF_LINES`].
    #[must_use]
    pub fn new(time: Timestamp, identifier: &str, message: &[u8], sender: Sender) -> Self {
        Entry {
            time,
            identifier: identifier.into(),
            message: message.into(),
            sender,
            origin: Origin::OF_LINES,
            is_cut: false,
            lacks_end: false,
            is_by_syslog: true,
            container: Container::default(),
            identifiers: 1,
            messages: 1,
            fields: 2,
        }
    }

    /// Whether it has an identifier and a message.
    #[must_use]
    pub fn is_message(&self) -> bool {
        self.identifiers > 0 && self.messages > 0
    }

    /// Whether it has several messages or identifiers: a sender can write several, of which one
    /// reader sees the one and another reader the other.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.identifiers > 1 || self.messages > 1
    }
}

/// Whether journald has taken more from the end of a datagram than its line feed: blanks, or what came behind
/// a zero byte. `SYSLOG_RAW` is what came, where that is not what `MESSAGE` has (systemd.journal-fields(7)).
pub(super) fn lacks_end(syslog_raw: &[u8]) -> bool {
    let line = syslog_raw.strip_suffix(b"\n").unwrap_or(syslog_raw);
    let is_blank = |byte: &u8| b" \t\r\n".contains(byte);
    line.last().is_some_and(is_blank) || line.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_feed_at_the_end_of_a_datagram_is_none_of_its_line() {
        for (raw, expected) in [
            (&b"<22>Nov 29 10:00:00 pop3d: LOGIN"[..], false),
            (
                b"<22>Nov 29 10:00:00 perdition[7]: Auth: status=\"ok\"\n",
                false,
            ),
            (b"<22> Nov 29 pop3d:  LOGIN", false),
            (b"<22>Nov 29 10:00:00 pop3d: LOGIN ", true),
            (b"<22>Nov 29 10:00:00 pop3d: LOGIN \n", true),
            (b"<22>Nov 29 10:00:00 pop3d: LOGIN\n\n", true),
            (b"<22>Nov 29 10:00:00 pop3d: LOGIN\t", true),
            (b"<22>Nov 29 10:00:00 pop3d: LOGIN\0 FAILED", true),
            (b"", false),
        ] {
            assert_eq!(lacks_end(raw), expected, "{}", raw.escape_ascii());
        }
    }
}
