//! Calls on the control socket, in pieces: where they are cut must not matter, and a call that was
//! understood means the same when it is written again.

use std::fmt::Debug;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use pop_before_smtp::control::introspection::{GetInfo, GetInterfaceDescription};
use pop_before_smtp::control::protocol::{Filter, GetStatus, Method, Monitor, SetLogLevel};
use pop_before_smtp::control::wire::{self, Call, LARGEST_CALL, Sent};
use pop_before_smtp::control::{Allow, Check, Revoke};

use serde_json::Value;

use super::pieces::Pieces;

/// What has been sent, up to its end or to the first that is no call.
fn all(mut pieces: Pieces<'_>) -> Vec<Sent> {
    let mut all = Vec::new();
    loop {
        let sent = {
            let next = pin!(wire::next(&mut pieces));
            // What is read is there already.
            match next.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(sent) => sent.expect("bytes in memory can be read"),
                Poll::Pending => panic!("it waits for nobody"),
            }
        };
        let is_call = matches!(sent, Sent::Call(_));
        all.push(sent);
        if !is_call {
            return all;
        }
    }
}

/// Whether no number is rounded when it is read: floating point is, by serde_json, and no method takes it.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(values) => values.iter().all(is_exact),
        Value::Object(values) => values.values().all(is_exact),
        _ => true,
    }
}

/// Understands the parameters, and writes and understands them once more.
fn understand<M: Method + Debug>(call: &Call) {
    let Ok(understood) = call.parameters::<M>() else {
        return;
    };
    let written = serde_json::to_value(&understood).expect("parameters are JSON");
    let read: M = serde_json::from_value(written).expect("what was written can be read");
    assert_eq!(format!("{read:?}"), format!("{understood:?}"));
}

/// See the top.
pub fn run(data: &[u8]) {
    let pieces = Pieces::of(data);
    let at_once = all(Pieces::of(&[&[0], pieces.whole()].concat()));
    assert_eq!(all(pieces.clone()), at_once, "cut");
    for sent in &at_once {
        let Sent::Call(call) = sent else {
            continue;
        };
        let bytes = wire::to_bytes(call).expect("a call is JSON");
        assert_eq!(
            bytes.iter().position(|byte| *byte == 0),
            Some(bytes.len() - 1)
        );
        if bytes.len() <= LARGEST_CALL && call.parameters.values().all(is_exact) {
            let again = all(Pieces::of(&[&[0], &*bytes].concat()));
            assert_eq!(again.first(), Some(sent), "written again");
        }
        understand::<Allow>(call);
        understand::<Check>(call);
        understand::<Filter>(call);
        understand::<GetInfo>(call);
        understand::<GetInterfaceDescription>(call);
        understand::<GetStatus>(call);
        understand::<Monitor>(call);
        understand::<Revoke>(call);
        understand::<SetLogLevel>(call);
    }
}
