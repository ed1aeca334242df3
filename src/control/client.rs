//! Asks the service over the control socket.
//!
//! Blocking: a command has nothing else to do. Starts nothing itself: systemd holds the socket and
//! starts a stopped service when it is asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::protocol::{
    ClientInfo, GET_STATUS, LARGEST_REPLY, LIST_CLIENTS, Reply, Request, Status,
};

/// How long the service may take to answer: it may have to start first.
const PATIENCE: Duration = Duration::from_secs(60);

/// The service does not answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens, or we may not ask.
    #[error("{}: {source}{}", path.display(), advice(source))]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The connection broke, or nothing came.
    #[error(
        "the service does not answer: {0}; see 'systemctl status pop-before-smtp' and \
         'journalctl -u pop-before-smtp'"
    )]
    Silent(std::io::Error),
    /// The answer is none.
    #[error("the service answers what can't be understood: {0}")]
    Nonsense(String),
    /// The service says that it can't.
    #[error("the service refuses: {0}")]
    Refused(String),
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => " (only root may ask: use sudo)",
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
            " (systemctl enable --now pop-before-smtp.socket pop-before-smtp.service)"
        }
        _ => "",
    }
}

/// A connection to the service.
#[derive(Debug)]
pub struct Service {
    stream: BufReader<UnixStream>,
}

impl Service {
    /// Connects to the service at `socket`.
    ///
    /// # Errors
    /// When nobody listens there, or we may not ask.
    pub fn connect(socket: &Path) -> Result<Self, AskError> {
        let failed = |source| AskError::Connect {
            path: socket.to_owned(),
            source,
        };
        let stream = UnixStream::connect(socket).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        Ok(Service {
            stream: BufReader::new(stream),
        })
    }

    /// How the service is.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&mut self) -> Result<Status, AskError> {
        self.ask(GET_STATUS, false)?;
        understand(self.reply()?.parameters)
    }

    /// Calls `each` for every listed client, in order.
    ///
    /// # Errors
    /// When the service does not answer; and what `each` returns.
    pub fn clients<E: From<AskError>>(
        &mut self,
        mut each: impl FnMut(ClientInfo) -> Result<(), E>,
    ) -> Result<(), E> {
        self.ask(LIST_CLIENTS, true)?;
        loop {
            let reply = self.reply()?;
            if !reply.continues {
                return Ok(());
            }
            each(understand(reply.parameters)?)?;
        }
    }

    fn ask(&mut self, method: &str, more: bool) -> Result<(), AskError> {
        let request = Request {
            method: method.to_owned(),
            parameters: Map::new(),
            more,
        };
        let mut bytes =
            serde_json::to_vec(&request).map_err(|e| AskError::Nonsense(e.to_string()))?;
        bytes.push(0);
        self.stream
            .get_mut()
            .write_all(&bytes)
            .map_err(AskError::Silent)
    }

    fn reply(&mut self) -> Result<Reply, AskError> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(LARGEST_REPLY).unwrap_or(u64::MAX);
        (&mut self.stream)
            .take(limit)
            .read_until(0, &mut bytes)
            .map_err(AskError::Silent)?;
        if bytes.pop() != Some(0) {
            return Err(AskError::Silent(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let reply: Reply =
            serde_json::from_slice(&bytes).map_err(|e| AskError::Nonsense(e.to_string()))?;
        match reply.error {
            Some(error) => Err(AskError::Refused(error)),
            None => Ok(reply),
        }
    }
}

fn understand<T: DeserializeOwned>(parameters: Map<String, Value>) -> Result<T, AskError> {
    serde_json::from_value(Value::Object(parameters)).map_err(|e| AskError::Nonsense(e.to_string()))
}
