//! Who asks, and what that one may do.

use tokio::net::UnixStream;

/// The process at the other end, as the kernel knows it (SO_PEERCRED, unix(7)): who it was when it
/// connected. In the service's user namespace, all users but root and its own are nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its user.
    pub uid: u32,
    /// Its process, where it can be seen from here.
    pub pid: Option<i32>,
}

impl Peer {
    /// Who is at the other end of `stream`.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Peer {
            uid: credentials.uid(),
            pid: credentials.pid(),
        })
    }

    /// Whether it may change something. To ask, it needs no more than to have opened the socket.
    #[must_use]
    pub fn may_change(self) -> bool {
        self.uid == 0
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "uid {}", self.uid)?;
        match self.pid {
            Some(pid) => write!(f, ", pid {pid}"),
            None => Ok(()),
        }
    }
}
