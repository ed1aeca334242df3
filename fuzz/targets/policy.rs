//! Policy requests, in pieces: where they are cut must not matter, nor whether an answer has to wait.

use std::ops::ControlFlow;

use pop_before_smtp::client::Client;
use pop_before_smtp::postfix::policy::{Decoder, LARGEST_REQUEST, Malformed, Request, Taken};

use super::pieces::Pieces;

/// What was asked, and how it ended.
type Asked = (Vec<(Option<Client>, [Vec<u8>; 3])>, Result<(), Malformed>);

/// Decodes; `hesitates` says of a request whether its answer has to wait once.
fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>, hesitates: impl Fn(usize) -> bool) -> Asked {
    let mut decoder = Decoder::default();
    let mut asked = Vec::new();
    let mut waited = 0;
    for mut piece in pieces {
        loop {
            let taken = decoder.take(std::mem::take(&mut piece), |request| {
                if hesitates(asked.len()) && waited <= asked.len() {
                    waited = asked.len() + 1;
                    return ControlFlow::Break(());
                }
                let Request {
                    client,
                    sender,
                    recipient,
                    queue_id,
                } = *request;
                asked.push((client, [sender, recipient, queue_id].map(<[u8]>::to_vec)));
                ControlFlow::Continue(())
            });
            match taken {
                Ok(Taken::Some) => {}
                Ok(Taken::All) => break,
                Err(error) => return (asked, Err(error)),
            }
        }
    }
    (asked, Ok(()))
}

/// How many requests have a client, by a simple reading: lines, of which one is the address.
fn addresses(bytes: &[u8]) -> usize {
    let begins = |line: &&[u8]| line.starts_with(b"client_address=");
    bytes.split(|byte| *byte == b'\n').filter(begins).count()
}

/// See the top.
pub fn run(data: &[u8]) {
    let pieces = Pieces::of(data);
    let whole = pieces.whole();
    let at_once = decode(std::iter::once(whole), |_| false);
    assert_eq!(decode(pieces.clone(), |_| false), at_once, "cut");
    assert_eq!(decode(pieces, |n| n % 3 != 1), at_once, "cut, and waited");
    let clients = at_once.0.iter().filter(|(client, _)| client.is_some());
    assert!(
        clients.count() <= addresses(whole),
        "a client of no address"
    );
    assert!(
        at_once.1 != Err(Malformed::TooLarge) || whole.len() > LARGEST_REQUEST,
        "too large, and is not"
    );
}
