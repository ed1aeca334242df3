//! Answers on the control socket.
//!
//! Each peer has a task of its own and limits on size, time and number, so that a slow, silent or
//! hostile one holds up nobody. The whitelist's owner is asked through a channel: this room has
//! no state.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::protocol::{
    ClientInfo, GET_STATUS, LARGEST_REQUEST, LIST_CLIENTS, Reply, Request, Status,
};
use crate::client::Client;

/// How many peers are served at once.
const PEERS: usize = 32;
/// How long a peer may take for a request or to take an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many clients are asked for at once.
const PAGE: usize = 500;

/// A question to the owner of the whitelist.
#[derive(Debug)]
pub enum Question {
    /// How the service is.
    Status(oneshot::Sender<Status>),
    /// The next listed clients.
    Clients {
        /// Those that are greater than this one.
        after: Option<Client>,
        /// At most so many.
        limit: usize,
        /// Where to.
        reply: oneshot::Sender<Vec<ClientInfo>>,
    },
}

/// Serves the socket until the process ends.
pub async fn serve(listener: UnixListener, questions: mpsc::Sender<Question>) {
    let peers = Arc::new(Semaphore::new(PEERS));
    loop {
        let Ok(place) = peers.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let questions = questions.clone();
                tokio::spawn(async move {
                    let _place = place;
                    // A peer that breaks off or is too slow has no right to an explanation.
                    let _ = serve_peer(stream, &questions).await;
                });
            }
            // Out of descriptors, say: those who are served will give theirs back.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Why a peer is served no longer.
enum Farewell {
    /// It closed the connection, or was too slow.
    Gone,
}

impl From<std::io::Error> for Farewell {
    fn from(_: std::io::Error) -> Self {
        Farewell::Gone
    }
}

impl From<tokio::time::error::Elapsed> for Farewell {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Farewell::Gone
    }
}

async fn serve_peer(
    mut stream: UnixStream,
    questions: &mpsc::Sender<Question>,
) -> Result<(), Farewell> {
    let mut received = Vec::new();
    loop {
        let request = timeout(PATIENCE, read_request(&mut stream, &mut received)).await??;
        let Some(request) = request else {
            let reply = Reply::error("InvalidParameter", "parameter", "request");
            return send(&mut stream, &reply).await;
        };
        match request.method.as_str() {
            GET_STATUS => {
                let status = ask(questions, Question::Status).await?;
                send(&mut stream, &Reply::new(&status, false)).await?;
            }
            LIST_CLIENTS if request.more => list(&mut stream, questions).await?,
            LIST_CLIENTS => {
                let reply = Reply {
                    parameters: serde_json::Map::new(),
                    error: Some("org.varlink.service.ExpectedMore".to_owned()),
                    continues: false,
                };
                send(&mut stream, &reply).await?;
            }
            method => {
                let reply = Reply::error("MethodNotFound", "method", method);
                send(&mut stream, &reply).await?;
            }
        }
    }
}

/// One reply a client, and an empty one at the end.
async fn list(stream: &mut UnixStream, questions: &mpsc::Sender<Question>) -> Result<(), Farewell> {
    let mut after = None;
    loop {
        let page = ask(questions, |reply| Question::Clients {
            after,
            limit: PAGE,
            reply,
        })
        .await?;
        after = page.last().map(|info| info.client);
        let is_last = page.len() < PAGE;
        let mut bytes = Vec::new();
        for info in &page {
            bytes.extend(Reply::new(info, true).to_bytes());
        }
        if is_last {
            bytes.extend(Reply::new(&(), false).to_bytes());
        }
        timeout(PATIENCE, stream.write_all(&bytes)).await??;
        if is_last {
            return Ok(());
        }
    }
}

async fn ask<T>(
    questions: &mpsc::Sender<Question>,
    question: impl FnOnce(oneshot::Sender<T>) -> Question,
) -> Result<T, Farewell> {
    let (sender, receiver) = oneshot::channel();
    questions
        .send(question(sender))
        .await
        .map_err(|_| Farewell::Gone)?;
    receiver.await.map_err(|_| Farewell::Gone)
}

async fn send(stream: &mut UnixStream, reply: &Reply) -> Result<(), Farewell> {
    timeout(PATIENCE, stream.write_all(&reply.to_bytes())).await??;
    Ok(())
}

/// The next request; `None` for what is none. `received` keeps what came behind it.
async fn read_request(
    stream: &mut UnixStream,
    received: &mut Vec<u8>,
) -> Result<Option<Request>, Farewell> {
    loop {
        if let Some(end) = received.iter().position(|byte| *byte == 0) {
            let request = serde_json::from_slice(&received[..end]).ok();
            received.drain(..=end);
            return Ok(request);
        }
        if received.len() > LARGEST_REQUEST {
            return Ok(None);
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await? {
            0 => return Err(Farewell::Gone),
            n => received.extend_from_slice(&buffer[..n]),
        }
    }
}
