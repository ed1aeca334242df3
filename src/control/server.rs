//! Answers on the control socket.
//!
//! Each peer has a task of its own and limits on size, time and number, so that a slow, silent or
//! hostile one holds up nobody. The whitelist's owner is asked through a channel.
//!
//! By hand, and not by the crate zlink: its server serves all its peers in one task, and waits
//! there for each to take its answer, so that one that does not read stops them all (0.8).

use std::convert::identity;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::introspection::{self, GetInfo, GetInterfaceDescription};
use super::protocol::{
    ClientsAnswer, Event, EventsAnswer, Filter, GetStatus, LogLevelSet, Method, Monitor,
    SetLogLevel, StatusAnswer,
};
use super::question::{Answer, Question};
use super::wire::{self, Call, Reply, Sent, to_bytes};
use super::{Allow, Check, Fault, Peer, Revoke};

/// How many peers of root are served at once, and how many of others: these must not be able to
/// lock root out. Whoever comes beyond that is left at once.
const PEERS: [usize; 2] = [256, 64];
/// How long a peer may take for a call or to take an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many events go into one answer.
const EVENTS: usize = 100;

/// Serves the socket until the process ends.
pub async fn serve(listener: UnixListener, questions: mpsc::Sender<Question>) {
    let places = PEERS.map(|peers| Arc::new(Semaphore::new(peers)));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, say: those who are served will give theirs back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(peer) = Peer::of(&stream) else {
            continue;
        };
        let [of_root, of_others] = &places;
        let places = if peer.uid == 0 { of_root } else { of_others };
        let Ok(place) = places.clone().try_acquire_owned() else {
            continue;
        };
        let connection = Connection {
            stream: BufReader::new(stream),
            peer,
            questions: questions.clone(),
        };
        tokio::spawn(async move {
            let _place = place;
            // A peer that breaks off or is too slow has no right to an explanation.
            let _ = connection.serve().await;
        });
    }
}

/// Why a call is not answered.
enum Failed {
    /// The peer has left, or is too slow: it is served no longer.
    Gone,
    /// It is told why.
    Fault(Fault),
}

impl From<std::io::Error> for Failed {
    fn from(_: std::io::Error) -> Self {
        Failed::Gone
    }
}

impl From<tokio::time::error::Elapsed> for Failed {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Failed::Gone
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Failed::Fault(fault)
    }
}

struct Connection {
    stream: BufReader<UnixStream>,
    peer: Peer,
    questions: mpsc::Sender<Question>,
}

impl Connection {
    async fn serve(mut self) -> Result<(), Failed> {
        loop {
            match timeout(PATIENCE, wire::next(&mut self.stream)).await?? {
                Sent::Call(call) => match self.answer(&call).await {
                    Err(Failed::Fault(_)) if call.oneway => {}
                    Err(Failed::Fault(fault)) => self.send(&fault).await?,
                    other => other?,
                },
                Sent::Junk => {
                    let parameter = "method".to_owned();
                    return self.send(&Fault::InvalidParameter { parameter }).await;
                }
                Sent::End => return Ok(()),
            }
        }
    }

    async fn answer(&mut self, call: &Call) -> Result<(), Failed> {
        let peer = self.peer;
        match call.method.as_str() {
            GetInfo::NAME => {
                let GetInfo {} = self.understand(call)?;
                self.reply::<GetInfo>(call, introspection::info()).await
            }
            GetInterfaceDescription::NAME => {
                let answer = introspection::description(self.understand(call)?)?;
                self.reply::<GetInterfaceDescription>(call, answer).await
            }
            GetStatus::NAME => {
                let question = |GetStatus {}, answer| Question::Status(answer);
                let answer = |status| StatusAnswer { status };
                self.ask_and_reply(call, question, answer).await
            }
            Filter::NAME => self.list(call).await,
            Monitor::NAME => self.monitor(call).await,
            Check::NAME => self.ask_and_reply(call, Question::Check, identity).await,
            Allow::NAME => {
                let question = |allow, answer| Question::Allow(allow, peer, answer);
                self.ask_and_reply(call, question, identity).await
            }
            Revoke::NAME => {
                let question = |revoke, answer| Question::Revoke(revoke, peer, answer);
                self.ask_and_reply(call, question, identity).await
            }
            SetLogLevel::NAME => {
                let question =
                    |SetLogLevel { level }, answer| Question::SetLogLevel(level, peer, answer);
                let answer = |former| LogLevelSet { former };
                self.ask_and_reply(call, question, answer).await
            }
            method => Err(introspection::not_found(method, call.interface()).into()),
        }
    }

    /// The parameters of a call that this peer may make.
    fn understand<M: Method>(&self, call: &Call) -> Result<M, Fault> {
        if M::CHANGES && !self.peer.may_change() {
            return Err(Fault::PermissionDenied {});
        }
        call.parameters()
    }

    /// Asks the loop, and replies with its answer as the method has it.
    async fn ask_and_reply<M: Method, T>(
        &mut self,
        call: &Call,
        question: impl FnOnce(M, Answer<T>) -> Question,
        answer: impl FnOnce(T) -> M::Answer,
    ) -> Result<(), Failed> {
        let parameters = self.understand(call)?;
        let told = self.ask(|to| question(parameters, to)).await?;
        self.reply::<M>(call, answer(told)).await
    }

    async fn ask<T>(&self, question: impl FnOnce(Answer<T>) -> Question) -> Result<T, Failed> {
        let (sender, receiver) = oneshot::channel();
        let sent = self.questions.send(question(sender)).await;
        sent.map_err(|_| Failed::Gone)?;
        let answer = receiver.await.map_err(|_| Failed::Gone)?;
        Ok(answer?)
    }

    /// Page by page, so that neither we nor the loop has the whole list in hand.
    async fn list(&mut self, call: &Call) -> Result<(), Failed> {
        let filter: Filter = self.understand(call)?;
        if !wants_more(call)? {
            return Ok(());
        }
        let mut after = None;
        loop {
            let question = |answer| Question::Clients {
                filter: filter.clone(),
                after,
                answer,
            };
            let page = self.ask(question).await?;
            after = page.last;
            let continues = after.is_some();
            if page.clients.is_empty() && continues {
                continue;
            }
            let clients = page.clients;
            let answer = ClientsAnswer { clients };
            self.reply_more(call, &answer, continues).await?;
            if !continues {
                return Ok(());
            }
        }
    }

    /// Until the peer leaves, or says anything: there is no end that another call could wait for.
    async fn monitor(&mut self, call: &Call) -> Result<(), Failed> {
        let Monitor {} = self.understand(call)?;
        if !wants_more(call)? {
            return Ok(());
        }
        let mut watched = self.ask(Question::Watch).await?;
        let mut events: Vec<Arc<Event>> = Vec::new();
        // How many were missed before these events, and how many behind them.
        let (mut missed, mut gap) = (0, 0);
        loop {
            let answer = EventsAnswer {
                events: std::mem::take(&mut events),
                missed: std::mem::replace(&mut missed, std::mem::take(&mut gap)),
            };
            self.reply_more(call, &answer, true).await?;
            let mut byte = [0];
            tokio::select! {
                _ = self.stream.get_mut().read(&mut byte) => return Err(Failed::Gone),
                event = watched.recv() => match event {
                    Ok(event) => events.push(event),
                    Err(RecvError::Lagged(n)) => missed += n,
                    Err(RecvError::Closed) => return Err(Failed::Gone),
                }
            }
            while !events.is_empty() && events.len() < EVENTS {
                match watched.try_recv() {
                    Ok(event) => events.push(event),
                    Err(TryRecvError::Lagged(n)) => {
                        gap = n;
                        break;
                    }
                    Err(_) => break,
                }
            }
        }
    }

    async fn reply<M: Method>(&mut self, call: &Call, answer: M::Answer) -> Result<(), Failed> {
        self.reply_more(call, &answer, false).await
    }

    async fn reply_more(
        &mut self,
        call: &Call,
        answer: &impl Serialize,
        continues: bool,
    ) -> Result<(), Failed> {
        if call.oneway {
            return Ok(());
        }
        self.send(&Reply {
            parameters: answer,
            continues,
        })
        .await
    }

    async fn send(&mut self, message: &impl Serialize) -> Result<(), Failed> {
        let bytes = to_bytes(message)?;
        timeout(PATIENCE, self.stream.get_mut().write_all(&bytes)).await??;
        Ok(())
    }
}

/// Whether to answer a method that does so again and again.
fn wants_more(call: &Call) -> Result<bool, Fault> {
    match (call.oneway, call.more) {
        (true, _) => Ok(false),
        (false, true) => Ok(true),
        (false, false) => Err(Fault::ExpectedMore {}),
    }
}
