//! Answers Postfix's questions on the policy socket, from the whitelist itself: right the moment
//! an entry has been read, without postmap and without debounce.
//!
//! Each smtpd process has a task of its own, which reads the whitelist and never changes it. One
//! that does not speak the protocol is left; Postfix then goes on with its default_action, which
//! is to be DUNNO.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::diagnostics;
use crate::postfix::policy::{Action, Decoder, Request};
use crate::whitelist::Whitelist;

/// How many smtpd processes are answered at once; the others wait.
const PEERS: usize = 20_000;
/// How long a peer may take to accept an answer. How long it is silent is its own business:
/// smtpd keeps a connection for as long as it lives (smtpd_policy_service_max_idle).
const PATIENCE: Duration = Duration::from_secs(10);
/// After so many requests of one peer, the others have a turn.
const TURN: usize = 64;

/// What the policy's answers are made of.
#[derive(Debug)]
pub struct Policy {
    /// Who may relay now.
    pub whitelist: Rc<RefCell<Whitelist>>,
    /// How long a prefix IPv6 clients are taken together by; 128: not at all.
    pub ipv6_prefix: Cell<u8>,
    /// Whether the policy answers anything but DUNNO.
    pub enabled: Cell<bool>,
    /// How many questions were answered.
    pub answered: Cell<u64>,
    /// How many were answered with OK.
    pub granted: Cell<u64>,
}

impl Policy {
    fn decide(&self, request: &Request) -> Action {
        self.answered.set(self.answered.get() + 1);
        let whitelist = self.whitelist.borrow();
        let granted = request
            .client
            .filter(|_| self.enabled.get())
            .and_then(|client| {
                let found = whitelist.may_relay(client, self.ipv6_prefix.get(), Timestamp::now());
                found.map(|listed| (client, listed))
            });
        let Some((client, listed)) = granted else {
            return Action::Dunno;
        };
        self.granted.set(self.granted.get() + 1);
        diagnostics::relay_granted(client, &listed, request);
        Action::Ok
    }
}

/// Serves the socket until the process ends.
pub async fn serve(listener: UnixListener, policy: Rc<Policy>) {
    let peers = Arc::new(Semaphore::new(PEERS));
    loop {
        let Ok(place) = peers.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let policy = policy.clone();
                tokio::task::spawn_local(async move {
                    let _place = place;
                    // A peer that breaks off has no right to an explanation.
                    let _ = serve_peer(stream, &policy).await;
                });
            }
            // Out of descriptors, say: those who are served will give theirs back.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve_peer(mut stream: UnixStream, policy: &Policy) -> std::io::Result<()> {
    let mut decoder = Decoder::default();
    let mut buffer = [0; 4096];
    let mut replies = Vec::new();
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        decoder.push(&buffer[..n]);
        loop {
            replies.clear();
            let mut answered = 0;
            let malformed = loop {
                match decoder.request() {
                    Ok(Some(request)) => {
                        replies.extend_from_slice(policy.decide(&request).reply());
                        answered += 1;
                        if answered == TURN {
                            break false;
                        }
                    }
                    Ok(None) => break false,
                    Err(_) => break true,
                }
            };
            if !replies.is_empty() {
                timeout(PATIENCE, stream.write_all(&replies)).await??;
            }
            if malformed {
                return Ok(());
            }
            if answered < TURN {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}
