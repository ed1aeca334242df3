//! Answers Postfix's questions on the policy sockets, from the whitelist itself: without postmap and
//! without debounce. Before a client is said not to be listed, the journal is looked at: who has
//! logged in may relay from the moment that it is written.
//!
//! Each smtpd process has a task of its own, which reads the whitelist and never changes it. One
//! that does not speak the protocol is left; Postfix then goes on with its default_action, which
//! is to be DUNNO.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::reading::LookRequests;
use crate::config::Settings;
use crate::diagnostics;
use crate::networks::Networks;
use crate::postfix::policy::{Action, Decoder, Request, Taken};
use crate::whitelist::Whitelist;

/// How many smtpd processes are answered at once; the others wait.
const PEERS: usize = 20_000;
/// How long a peer may take to accept an answer. How long it is silent is its own business:
/// smtpd keeps a connection for as long as it lives (smtpd_policy_service_max_idle).
const PATIENCE: Duration = Duration::from_secs(10);
/// After so many bytes of one peer, the others have a turn.
const TURN: usize = 16 * 1024;
/// How much room for answers a peer keeps, in bytes.
const KEPT: usize = 256;

/// What the policy's answers are made of.
#[derive(Debug)]
pub struct Policy {
    /// Who may relay now.
    whitelist: Rc<RefCell<Whitelist>>,
    /// Those who wait for the journal to be looked at.
    looks: Rc<LookRequests>,
    /// How long a prefix IPv6 clients are taken together by; 128: not at all.
    ipv6_prefix: Cell<u8>,
    /// Whether the policy answers anything but DUNNO.
    enabled: Cell<bool>,
    /// Who may ask over TCP.
    relays: RefCell<Networks>,
    /// When somebody else who has asked was last told of.
    refused: Cell<Option<Instant>>,
    /// How many questions were answered.
    answered: Cell<u64>,
    /// How many were answered with OK.
    granted: Cell<u64>,
}

impl Policy {
    /// Answers from this whitelist.
    pub fn new(
        whitelist: Rc<RefCell<Whitelist>>,
        looks: Rc<LookRequests>,
        settings: &Settings,
    ) -> Self {
        let policy = Policy {
            whitelist,
            looks,
            ipv6_prefix: Cell::new(128),
            enabled: Cell::new(false),
            relays: RefCell::default(),
            refused: Cell::new(None),
            answered: Cell::new(0),
            granted: Cell::new(0),
        };
        policy.configure(settings);
        policy
    }

    /// This configuration is in force.
    pub fn configure(&self, settings: &Settings) {
        self.ipv6_prefix.set(settings.policy.ipv6_prefix);
        self.enabled.set(settings.publish.policy);
        self.relays
            .replace(Networks::from(settings.policy.relays.clone()));
    }

    /// Whether somebody at this address may ask. Who may not is told of, once a minute.
    fn may_ask(&self, address: IpAddr) -> bool {
        let may = self.relays.borrow().contains(address.to_canonical());
        let is_told = |told: Instant| told.elapsed() < Duration::from_secs(60);
        if !may && !self.refused.get().is_some_and(is_told) {
            self.refused.set(Some(Instant::now()));
            diagnostics::warning(&format!(
                "{address} has asked over TCP who may relay, and is not one of policy.relays: not answered"
            ));
        }
        may
    }

    /// How long a prefix IPv6 clients are taken together by.
    pub fn ipv6_prefix(&self) -> u8 {
        self.ipv6_prefix.get()
    }

    /// How many questions were answered.
    pub fn answered(&self) -> u64 {
        self.answered.get()
    }

    /// How many were answered with OK.
    pub fn granted(&self) -> u64 {
        self.granted.get()
    }

    /// The answer; `None` if it depends on a look at the journal. When that has been had, the
    /// question is the `last` one.
    fn decide(&self, request: &Request<'_>, last: bool) -> Option<Action> {
        let whitelist = self.whitelist.borrow();
        let client = request.client.filter(|_| self.enabled.get());
        let prefix = self.ipv6_prefix.get();
        let granted = client.and_then(|client| {
            let found = whitelist.may_relay(client, prefix, Timestamp::now());
            found.map(|listed| (client, listed))
        });
        let action = match granted {
            Some((client, listed)) => {
                self.granted.set(self.granted.get() + 1);
                diagnostics::relay_granted(client, &listed, request);
                Action::Ok
            }
            None if !last && client.is_some_and(|client| whitelist.may_be_listed(client)) => {
                return None;
            }
            None => Action::Dunno,
        };
        self.answered.set(self.answered.get() + 1);
        Some(action)
    }
}

/// A socket on which smtpd processes of this host (Unix) or of others (TCP) connect.
pub trait Listener {
    /// One of them.
    type Peer: Peer + 'static;

    /// Waits for the next one.
    async fn next(&self) -> io::Result<Self::Peer>;
}

/// The connection of an smtpd process.
pub trait Peer: AsyncRead + AsyncWrite + Unpin {
    /// Writes what can be written at once.
    fn write_at_once(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Whether it may ask now.
    fn may_ask(&self, policy: &Policy) -> bool;
}

impl Listener for UnixListener {
    type Peer = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }
}

impl Peer for UnixStream {
    fn write_at_once(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(bytes)
    }

    /// Whoever may open the socket.
    fn may_ask(&self, _: &Policy) -> bool {
        true
    }
}

impl Listener for TcpListener {
    type Peer = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        Ok(self.accept().await?.0)
    }
}

impl Peer for TcpStream {
    fn write_at_once(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(bytes)
    }

    fn may_ask(&self, policy: &Policy) -> bool {
        (self.peer_addr()).is_ok_and(|address| policy.may_ask(address.ip()))
    }
}

/// Serves the socket until the process ends.
pub async fn serve(listener: impl Listener, policy: Rc<Policy>) {
    let peers = Arc::new(Semaphore::new(PEERS));
    loop {
        let Ok(place) = peers.clone().acquire_owned().await else {
            return;
        };
        match listener.next().await {
            Ok(stream) => {
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

async fn serve_peer(mut stream: impl Peer, policy: &Policy) -> io::Result<()> {
    let mut decoder = Decoder::default();
    let mut replies = Vec::new();
    // Whoever is nobody's relay takes no place by silence.
    if !stream.may_ask(policy) {
        return Ok(());
    }
    loop {
        let mut heard = hear(&mut stream, &mut decoder, policy, &mut replies).await?;
        if matches!(heard, Heard::Unanswered) {
            policy.looks.look().await;
            // All of them had come before the look.
            heard = answer(&mut decoder, &[], policy, true, &mut replies);
        }
        // Most peers take their few bytes at once.
        let written = match stream.write_at_once(&replies) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            written => written?,
        };
        if written < replies.len() {
            timeout(PATIENCE, stream.write_all(&replies[written..])).await??;
        }
        replies.clear();
        replies.shrink_to(KEPT);
        match heard {
            Heard::Some | Heard::Unanswered => {}
            Heard::More => tokio::task::yield_now().await,
            Heard::Enough => return Ok(()),
        }
    }
}

/// How a peer is to be gone on with.
enum Heard {
    /// All that it had sent is answered.
    Some,
    /// There may be more; the others have a turn before.
    More,
    /// Some of it can't be answered before the journal is looked at.
    Unanswered,
    /// It has gone, or does not speak the protocol.
    Enough,
}

/// Waits for what a peer has to say, one turn of it, and decides; the answers are not yet sent.
///
/// What was received is looked at before it returns, so that all peers can have it in the same room:
/// on the stack.
async fn hear(
    stream: &mut impl Peer,
    decoder: &mut Decoder,
    policy: &Policy,
    replies: &mut Vec<u8>,
) -> io::Result<Heard> {
    poll_fn(|context| {
        let mut room = [MaybeUninit::uninit(); TURN];
        let mut received = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut *stream).poll_read(context, &mut received))?;
        Poll::Ready(Ok(match received.filled() {
            [] => Heard::Enough,
            // smtpd keeps its connection, and a reload may have taken the relay away.
            _ if !stream.may_ask(policy) => Heard::Enough,
            bytes => answer(decoder, bytes, policy, false, replies),
        }))
    })
    .await
}

/// Decides what has come; with `last`, all of it.
fn answer(
    decoder: &mut Decoder,
    bytes: &[u8],
    policy: &Policy,
    last: bool,
    replies: &mut Vec<u8>,
) -> Heard {
    let taken = decoder.take(bytes, |request| match policy.decide(request, last) {
        Some(action) => {
            replies.extend_from_slice(action.reply());
            ControlFlow::Continue(())
        }
        None => ControlFlow::Break(()),
    });
    match taken {
        Err(_) => Heard::Enough,
        Ok(Taken::Some) => Heard::Unanswered,
        Ok(Taken::All) if bytes.len() == TURN => Heard::More,
        Ok(Taken::All) => Heard::Some,
    }
}
