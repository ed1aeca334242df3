//! journald's own socket: a datagram of fields for each message
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>).
//!
//! Must never wait for a journald that hangs. sd_journal_sendv(3) does, without end, once the socket is
//! full: nobody's grace would end meanwhile.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::io::Errno;

/// Where journald listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";
/// How long a journald that is busy is waited for; from then on it is taken to hang, until it takes a
/// message again.
const PATIENCE: Duration = Duration::from_millis(500);

/// The way to journald.
#[derive(Debug)]
pub struct JournalSocket {
    path: PathBuf,
    patient: UnixDatagram,
    impatient: UnixDatagram,
    hangs: AtomicBool,
}

impl JournalSocket {
    /// The way to the journald that listens at `path`, now or later.
    ///
    /// # Errors
    /// When the system gives no socket.
    pub fn new(path: &Path) -> io::Result<Self> {
        let (patient, impatient) = (UnixDatagram::unbound()?, UnixDatagram::unbound()?);
        patient.set_write_timeout(Some(PATIENCE))?;
        impatient.set_nonblocking(true)?;
        Ok(JournalSocket {
            path: path.to_owned(),
            patient,
            impatient,
            hangs: AtomicBool::new(false),
        })
    }

    /// Sends a message, each field of it as `NAME=value`.
    ///
    /// # Errors
    /// When it is lost: journald takes none for now, or is not there.
    pub fn send(&self, fields: &[String]) -> io::Result<()> {
        let socket = if self.hangs() {
            &self.impatient
        } else {
            &self.patient
        };
        let sent = match socket.send_to(&datagram(fields), &self.path) {
            // It goes another way, which waits; nothing that we say is so long.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::MSGSIZE) => {
                let _ =
                    systemd::journal::send(&fields.iter().map(String::as_str).collect::<Vec<_>>());
                Ok(0)
            }
            sent => sent,
        };
        let is_full = matches!(&sent, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.hangs.store(is_full, Ordering::Relaxed);
        sent.map(drop)
    }

    /// Whether it has taken no message of late.
    #[must_use]
    pub fn hangs(&self) -> bool {
        self.hangs.load(Ordering::Relaxed)
    }
}

/// The fields as journald takes them: a value of several lines with its length before it.
fn datagram(fields: &[String]) -> Vec<u8> {
    let mut datagram = Vec::new();
    for field in fields {
        match field.split_once('=') {
            Some((name, value)) if value.contains('\n') => {
                datagram.extend_from_slice(name.as_bytes());
                datagram.push(b'\n');
                datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
                datagram.extend_from_slice(value.as_bytes());
            }
            _ => datagram.extend_from_slice(field.as_bytes()),
        }
        datagram.push(b'\n');
    }
    datagram
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_value_of_several_lines_has_its_length_before_it() {
        let fields = ["A=b=c".to_owned(), "MESSAGE=one\ntwo".to_owned()];
        let expected = b"A=b=c\nMESSAGE\n\x07\0\0\0\0\0\0\0one\ntwo\n";
        assert_eq!(datagram(&fields), expected);
    }

    #[test]
    fn a_journald_that_hangs_is_waited_for_once_until_it_takes_a_message_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let socket = JournalSocket::new(&path).unwrap();
        let message = ["MESSAGE=hello".to_owned()];
        // Nobody is there, and then somebody is.
        assert!(socket.send(&message).is_err() && !socket.hangs());
        let journald = UnixDatagram::bind(&path).unwrap();
        socket.send(&message).unwrap();

        let begin = Instant::now();
        let lost = (0..10_000).filter(|_| socket.send(&message).is_err());
        assert!(lost.count() > 0 && socket.hangs());
        let waited = begin.elapsed();
        assert!(waited >= PATIENCE && waited < 8 * PATIENCE, "{waited:?}");

        let mut heard = [0; 100];
        assert_eq!(journald.recv(&mut heard).unwrap(), "MESSAGE=hello\n".len());
        socket.send(&message).unwrap();
        assert!(!socket.hangs());
        let begin = Instant::now();
        assert!(socket.send(&message).is_err());
        assert!(begin.elapsed() >= PATIENCE);
    }
}
