//! What is asked over the control socket, answered.

use super::client_list;
use super::log_level::set_log_level;
use super::relay_check::check;
use super::status::describe;
use crate::control::{Allow, Allowed, Answer, Fault, Peer, Question, Revoke, Revoked};
use crate::daemon::rooms::Rooms;

/// Answers a question. Whoever has asked and left gets nothing.
pub fn answer(question: Question, rooms: &mut Rooms) {
    match question {
        Question::Status(answer) => {
            let _ = answer.send(Ok(describe(rooms)));
        }
        Question::Clients {
            filter,
            after,
            answer,
        } => {
            let whitelist = rooms.clients.whitelist();
            let _ = answer.send(Ok(client_list(rooms, &whitelist).page(&filter, after)));
        }
        Question::Watch(answer) => {
            let _ = answer.send(Ok(rooms.clients.activity().watch()));
        }
        Question::SetLogLevel(level, peer, answer) => {
            let _ = answer.send(Ok(set_log_level(level, peer)));
        }
        Question::Check(question, answer) => {
            let _ = answer.send(Ok(check(rooms, question.client)));
        }
        Question::Allow(question, peer, answer) => allow(rooms, &question, peer, answer),
        Question::Revoke(question, peer, answer) => revoke(rooms, &question, peer, answer),
    }
}

/// Lists a client by hand.
fn allow(rooms: &mut Rooms, allow: &Allow, peer: Peer, answer: Answer<Allowed>) {
    let grace = rooms.plan.rules.grace;
    if let Err(fault) = rooms.clients.allow(allow, grace, peer) {
        let _ = answer.send(Err(fault));
        return;
    }
    let whitelist = rooms.clients.whitelist();
    let listed = whitelist.listed(allow.client);
    let listing = listed.map(|listed| client_list(rooms, &whitelist).info(&listed));
    drop(whitelist);
    // Dropped, the answer closes the connection; the client is listed, so that it is not.
    let Some(listing) = listing else { return };
    rooms.confirm(Box::new(move |done| {
        let _ = answer.send(done.map(|()| Allowed { listing }));
    }));
}

/// Takes clients off.
fn revoke(rooms: &mut Rooms, revoke: &Revoke, peer: Peer, answer: Answer<Revoked>) {
    let Some(scope) = revoke.scope() else {
        let parameter = "all".to_owned();
        let _ = answer.send(Err(Fault::InvalidParameter { parameter }));
        return;
    };
    let clients = match rooms.clients.revoke(&scope, peer) {
        Ok(clients) => clients,
        Err(fault) => {
            let _ = answer.send(Err(fault));
            return;
        }
    };
    let removed = clients.len();
    let clients = clients.into_iter().take(Revoked::SHOWN).collect();
    let revoked = Revoked { removed, clients };
    rooms.confirm(Box::new(move |done| {
        let _ = answer.send(done.map(|()| revoked));
    }));
}
