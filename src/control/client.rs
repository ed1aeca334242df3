//! Asks the service over the control socket.
//!
//! Blocking: a command has nothing else to do. Starts nothing itself: systemd holds the socket and
//! starts a stopped service when it is asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Fault;
use super::protocol::{ClientInfo, EventsAnswer, Filter, GetStatus, Method, Monitor, Status};
use super::wire::{Call, LARGEST_REPLY, Reply, to_bytes};

/// How long the service may take to answer: it may have to start first.
const PATIENCE: Duration = Duration::from_secs(60);

/// The service does not answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens, or we may not ask.
    #[error("the service can't be reached: {}: {source}{}", path.display(), advice(source))]
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
    #[error("the service's answer can't be understood: {0}")]
    Nonsense(String),
    /// The service says that it can't.
    #[error("the service refuses: {0}")]
    Refused(Fault),
}

impl AskError {
    /// Whether somebody else would have been answered: root.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Connect { source, .. } => source.kind() == std::io::ErrorKind::PermissionDenied,
            Self::Refused(fault) => matches!(fault, Fault::PermissionDenied {}),
            _ => false,
        }
    }
}

/// A reply that may be an error, whose parameters may be those of another type.
#[derive(Deserialize)]
struct Heard<T> {
    #[serde(rename = "parameters")]
    reply: Option<T>,
    #[serde(default)]
    continues: bool,
    #[serde(default)]
    error: Option<String>,
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            " (only root and the members of the socket's group may connect: use sudo)"
        }
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
            "; to start it: systemctl enable --now pop-before-smtp.socket pop-before-smtp.service"
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
        Self::connect_for(socket, PATIENCE)
    }

    /// The same, where each answer may take no longer than `patience`.
    ///
    /// # Errors
    /// When nobody listens there, or we may not ask.
    pub fn connect_for(socket: &Path, patience: Duration) -> Result<Self, AskError> {
        let failed = |source| AskError::Connect {
            path: socket.to_owned(),
            source,
        };
        let stream = UnixStream::connect(socket).map_err(failed)?;
        stream.set_read_timeout(Some(patience)).map_err(failed)?;
        stream.set_write_timeout(Some(patience)).map_err(failed)?;
        Ok(Service {
            stream: BufReader::new(stream),
        })
    }

    /// Calls a method that answers once.
    ///
    /// # Errors
    /// When the service does not answer, or says why it can't.
    pub fn call<M: Method>(&mut self, parameters: &M) -> Result<M::Answer, AskError> {
        self.ask(parameters, false)?;
        Ok(self.reply()?.parameters)
    }

    /// How the service is.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&mut self) -> Result<Status, AskError> {
        Ok(self.call(&GetStatus {})?.status)
    }

    /// Calls `each` for every listed client that `filter` selects, in order.
    ///
    /// # Errors
    /// When the service does not answer; and what `each` returns.
    pub fn clients<E: From<AskError>>(
        &mut self,
        filter: &Filter,
        mut each: impl FnMut(ClientInfo) -> Result<(), E>,
    ) -> Result<(), E> {
        self.stream(filter, |answer| {
            answer.clients.into_iter().try_for_each(&mut each)
        })
    }

    /// Calls `each` for whatever happens; once at the beginning, with nothing.
    ///
    /// # Errors
    /// When the service does not answer, or ends; and what `each` returns.
    pub fn monitor<E: From<AskError>>(
        &mut self,
        each: impl FnMut(EventsAnswer) -> Result<(), E>,
    ) -> Result<(), E> {
        // Nothing may happen for days.
        let stream = self.stream.get_ref();
        stream.set_read_timeout(None).map_err(AskError::Silent)?;
        self.stream(&Monitor {}, each)
    }

    fn stream<M: Method, E: From<AskError>>(
        &mut self,
        parameters: &M,
        mut each: impl FnMut(M::Answer) -> Result<(), E>,
    ) -> Result<(), E> {
        self.ask(parameters, true)?;
        loop {
            let reply = self.reply()?;
            each(reply.parameters)?;
            if !reply.continues {
                return Ok(());
            }
        }
    }

    fn ask<M: Method>(&mut self, parameters: &M, more: bool) -> Result<(), AskError> {
        let nonsense = |e: serde_json::Error| AskError::Nonsense(e.to_string());
        let Value::Object(parameters) = serde_json::to_value(parameters).map_err(nonsense)? else {
            return Err(AskError::Nonsense(format!("{} has no parameters", M::NAME)));
        };
        let call = Call {
            method: M::NAME.to_owned(),
            parameters,
            more,
            oneway: false,
            upgrade: false,
        };
        let bytes = to_bytes(&call).map_err(AskError::Silent)?;
        let stream = self.stream.get_mut();
        stream.write_all(&bytes).map_err(AskError::Silent)
    }

    fn reply<T: DeserializeOwned>(&mut self) -> Result<Reply<T>, AskError> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(LARGEST_REPLY).unwrap_or(u64::MAX);
        (&mut self.stream)
            .take(limit)
            .read_until(0, &mut bytes)
            .map_err(AskError::Silent)?;
        if bytes.pop() != Some(0) {
            return Err(AskError::Silent(std::io::ErrorKind::UnexpectedEof.into()));
        }
        match serde_json::from_slice::<Heard<T>>(&bytes) {
            Ok(Heard {
                reply: Some(parameters),
                continues,
                error: None,
            }) => Ok(Reply {
                parameters,
                continues,
            }),
            other => Err(match serde_json::from_slice::<Fault>(&bytes) {
                Ok(fault) => AskError::Refused(fault),
                Err(error) => AskError::Nonsense(match other {
                    Err(not_an_answer) => not_an_answer.to_string(),
                    Ok(_) => error.to_string(),
                }),
            }),
        }
    }
}
