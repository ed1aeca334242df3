//! Has the sockets served: Postfix's, and the one of our own commands.

use std::rc::Rc;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;

use super::options::Options;
use super::policy_server::{self, Policy};
use super::systemd::{Sockets, own_socket};
use crate::control::{Question, server};
use crate::diagnostics;

/// Serves the sockets that systemd holds, or makes them. The service does without those that can't
/// be had, and says so.
pub fn serve(
    sockets: Sockets,
    options: &Options,
    questions: mpsc::Sender<Question>,
    policy: Rc<Policy>,
) {
    let control = sockets
        .control
        .map_or_else(|| own_socket(&options.socket), Ok);
    match control.and_then(UnixListener::from_std) {
        Ok(listener) => {
            tokio::spawn(server::serve(listener, questions));
        }
        Err(error) => diagnostics::warning(&format!(
            "{}: no control socket: {error}; 'list' and 'status' can't ask this service",
            options.socket.display()
        )),
    }
    let own = || options.policy_socket.as_deref().map(own_socket);
    match sockets
        .policy
        .map(Ok)
        .or_else(own)
        .map(|s| s.and_then(UnixListener::from_std))
    {
        Some(Ok(listener)) => {
            tokio::task::spawn_local(policy_server::serve(listener, policy.clone()));
        }
        Some(Err(error)) => {
            diagnostics::warning(&format!("no policy socket: {error}"));
        }
        None => {}
    }
    for listener in sockets.policy_inet {
        match TcpListener::from_std(listener) {
            Ok(listener) => {
                tokio::task::spawn_local(policy_server::serve(listener, policy.clone()));
            }
            Err(error) => diagnostics::warning(&format!("no policy socket over TCP: {error}")),
        }
    }
}
