//! Postfix's SMTP access policy delegation protocol (SMTPD_POLICY_README): requests of name=value
//! lines, ended by an empty line; replies `action=…`, likewise.
//!
//! Pure: bytes in, requests out. The only actions that it can express are OK and DUNNO: whatever
//! goes wrong here, mail that Postfix would take without us is never refused.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use memchr::memchr;
use memchr::memmem::Finder;

use crate::client::Client;

/// The largest request, in bytes. Postfix's own are below two thousand; addresses are bounded by
/// line_length_limit (2048).
pub const LARGEST_REQUEST: usize = 64 * 1024;

/// What `check_policy_service` takes in a list of restrictions (SMTPD_POLICY_README): the socket, in Postfix's
/// queue directory; mail goes on if there is no answer.
pub const SERVER: &str = "{ unix:pop-before-smtp/policy, default_action=DUNNO, timeout=5s }";

/// What Postfix asks: may this client send this mail? The texts are any bytes, where they were
/// received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request<'a> {
    /// `client_address`, if it is an address and the request is for an access policy.
    pub client: Option<Client>,
    /// `sender`.
    pub sender: &'a [u8],
    /// `recipient`.
    pub recipient: &'a [u8],
    /// `queue_id`; empty before the first recipient is accepted.
    pub queue_id: &'a [u8],
}

/// A peer that does not speak the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A request without an end.
    #[error("a request of more than {LARGEST_REQUEST} bytes")]
    TooLarge,
    /// A line without `=`, or no line at all.
    #[error("a request that is not of name=value lines")]
    NotAttributes,
}

/// What we answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The client may relay.
    Ok,
    /// Postfix's next restriction decides.
    Dunno,
}

impl Action {
    /// The reply as it goes over the wire.
    #[must_use]
    pub fn reply(self) -> &'static [u8] {
        match self {
            Self::Ok => b"action=OK\n\n",
            Self::Dunno => b"action=DUNNO\n\n",
        }
    }
}

/// Takes requests out of a stream of bytes, however it is cut. Keeps nothing but the beginning of a
/// request whose end has not come, and what can't be answered yet: most come whole, and are read
/// where they were received.
#[derive(Debug, Default)]
pub struct Decoder {
    kept: Vec<u8>,
    /// Before here, no request in `kept` ends.
    searched: usize,
}

/// How far the requests that have come are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// As far as they are complete.
    All,
    /// As far as the answer was known: the others are kept.
    Some,
}

impl Decoder {
    /// Takes in what has come, and calls `answer` with each request that is complete now, in order.
    /// Where `answer` breaks off, this request is the first of the next call.
    ///
    /// # Errors
    /// When the peer does not speak the protocol: the requests before that are answered, and there
    /// is nothing more to be said to it.
    pub fn take(
        &mut self,
        bytes: &[u8],
        answer: impl FnMut(&Request<'_>) -> ControlFlow<()>,
    ) -> Result<Taken, Malformed> {
        let (taken, rest);
        if self.kept.is_empty() {
            (taken, rest) = answer_all(bytes, 0, answer)?;
            self.kept.extend_from_slice(&bytes[rest..]);
        } else {
            self.kept.extend_from_slice(bytes);
            (taken, rest) = answer_all(&self.kept, self.searched, answer)?;
            self.kept.drain(..rest);
        }
        match taken {
            Taken::Some => self.searched = 0,
            Taken::All if self.kept.len() > LARGEST_REQUEST => return Err(Malformed::TooLarge),
            // Thousands of idle connections are to hold no memory.
            Taken::All if self.kept.is_empty() => *self = Decoder::default(),
            // The two bytes that end a request may be cut too.
            Taken::All => self.searched = self.kept.len() - 1,
        }
        Ok(taken)
    }
}

/// Calls `answer` with each complete request until it breaks off, and says where the rest begins.
/// No request ends before `searched`.
fn answer_all(
    bytes: &[u8],
    mut searched: usize,
    mut answer: impl FnMut(&Request<'_>) -> ControlFlow<()>,
) -> Result<(Taken, usize), Malformed> {
    static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n\n"));
    let mut start = 0;
    while let Some(end) = END.find(&bytes[searched..]) {
        let end = searched + end;
        if end - start > LARGEST_REQUEST {
            return Err(Malformed::TooLarge);
        }
        if answer(&parse(&bytes[start..end])?).is_break() {
            return Ok((Taken::Some, start));
        }
        start = end + 2;
        searched = start;
    }
    Ok((Taken::All, start))
}

/// Reads the lines of a request. An attribute that comes twice has no value that can be trusted;
/// attributes that we do not know do not matter.
fn parse(lines: &[u8]) -> Result<Request<'_>, Malformed> {
    let mut request = Request::default();
    let mut is_access_policy = false;
    let mut addresses = 0;
    let mut rest = Some(lines);
    while let Some(lines) = rest {
        let line;
        (line, rest) = match memchr(b'\n', lines) {
            Some(end) => (&lines[..end], Some(&lines[end + 1..])),
            None => (lines, None),
        };
        let equals = memchr(b'=', line).ok_or(Malformed::NotAttributes)?;
        let (name, value) = (&line[..equals], &line[equals + 1..]);
        match name {
            b"request" => is_access_policy = value == b"smtpd_access_policy",
            b"client_address" => {
                addresses += 1;
                request.client = std::str::from_utf8(value).ok().and_then(|a| a.parse().ok());
            }
            b"sender" => request.sender = value,
            b"recipient" => request.recipient = value,
            b"queue_id" => request.queue_id = value,
            _ => {}
        }
    }
    if !is_access_policy || addresses != 1 {
        request.client = None;
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REQUEST: &str = "request=smtpd_access_policy\nprotocol_state=RCPT\n\
        client_address=192.0.2.10\nclient_name=unknown\nsender=a@example.org\n\
        recipient=b=c@example.net\nqueue_id=\n\n";

    /// What was asked, as the tests can keep it.
    #[derive(Debug, PartialEq)]
    struct Asked {
        client: Option<Client>,
        texts: [String; 3],
    }

    fn asked(client: &str) -> Asked {
        Asked {
            client: client.parse().ok(),
            texts: ["a@example.org", "b=c@example.net", ""].map(str::to_owned),
        }
    }

    fn decode(bytes: &[u8], cut: usize) -> (Vec<Asked>, Result<(), Malformed>) {
        decode_unsurely(bytes, cut, |_| false)
    }

    /// Decodes, and answers the requests for which it `hesitates` only when they come again.
    fn decode_unsurely(
        bytes: &[u8],
        cut: usize,
        hesitates: impl Fn(usize) -> bool,
    ) -> (Vec<Asked>, Result<(), Malformed>) {
        let mut decoder = Decoder::default();
        let mut requests = Vec::new();
        let mut hesitated = 0;
        for piece in bytes.chunks(cut.max(1)) {
            let mut rest = piece;
            loop {
                let taken = decoder.take(std::mem::take(&mut rest), |request| {
                    let Request {
                        client,
                        sender,
                        recipient,
                        queue_id,
                    } = *request;
                    if hesitates(requests.len()) && hesitated <= requests.len() {
                        hesitated = requests.len() + 1;
                        return ControlFlow::Break(());
                    }
                    requests.push(Asked {
                        client,
                        texts: [sender, recipient, queue_id]
                            .map(|text| String::from_utf8_lossy(text).into_owned()),
                    });
                    ControlFlow::Continue(())
                });
                match taken {
                    Ok(Taken::Some) => {}
                    Ok(Taken::All) => break,
                    Err(error) => return (requests, Err(error)),
                }
            }
        }
        if bytes.ends_with(b"\n\n") {
            assert_eq!(decoder.kept.capacity(), 0, "it keeps what was answered");
        }
        (requests, Ok(()))
    }

    #[test]
    fn requests_however_they_are_cut() {
        let three = [
            REQUEST,
            &REQUEST.replace("192.0.2.10", "2001:db8::10"),
            REQUEST,
        ]
        .concat();
        for cut in 1..three.len() + 1 {
            let (requests, end) = decode(three.as_bytes(), cut);
            assert_eq!(end, Ok(()));
            assert_eq!(
                requests,
                ["192.0.2.10", "2001:db8::10", "192.0.2.10"].map(asked),
                "{cut}"
            );
        }
    }

    #[test]
    fn what_is_no_clear_question_has_no_client() {
        for (from, to) in [
            ("192.0.2.10", "unknown"),
            ("192.0.2.10", "192.0.2"),
            ("192.0.2.10", ""),
            ("smtpd_access_policy", "something_else"),
            ("request=smtpd_access_policy\n", ""),
            ("client_address=192.0.2.10\n", ""),
            ("sender=", "client_address=192.0.2.11\nsender="),
        ] {
            let (requests, _) = decode(REQUEST.replacen(from, to, 1).as_bytes(), 7);
            assert_eq!(requests.len(), 1, "{from} {to}");
            assert_eq!(requests[0].client, None, "{from} {to}");
        }
    }

    #[test]
    fn who_does_not_speak_the_protocol_is_not_answered() {
        for bytes in [&b"\n\n"[..], b"GET / HTTP/1.1\r\n\n\n", b"a=b\nnothing\n\n"] {
            let (requests, end) = decode(bytes, 100);
            assert_eq!((requests.len(), end), (0, Err(Malformed::NotAttributes)));
        }
        let endless = vec![b'a'; LARGEST_REQUEST + 2];
        assert_eq!(decode(&endless, 1000).1, Err(Malformed::TooLarge));
        let long = [b"a=", &endless[..], b"\n\n"].concat();
        for cut in [1000, long.len()] {
            let (requests, end) = decode(&long, cut);
            assert_eq!((requests.len(), end), (0, Err(Malformed::TooLarge)));
        }
    }

    #[test]
    fn what_came_before_nonsense_is_answered() {
        let text = [REQUEST, "\n\n", REQUEST].concat();
        for cut in [1, 7, text.len()] {
            let (requests, end) = decode(text.as_bytes(), cut);
            assert_eq!(requests, [asked("192.0.2.10")], "{cut}");
            assert_eq!(end, Err(Malformed::NotAttributes));
        }
    }

    #[test]
    fn what_can_not_be_answered_yet_comes_again_and_the_others_behind_it() {
        let three = [
            REQUEST,
            &REQUEST.replace("192.0.2.10", "192.0.2.11"),
            REQUEST,
        ]
        .concat();
        for cut in 1..three.len() + 1 {
            for hesitates in [|n| n == 1, |n| n != 1, |_| true] {
                let (requests, end) = decode_unsurely(three.as_bytes(), cut, hesitates);
                assert_eq!(end, Ok(()));
                assert_eq!(
                    requests,
                    ["192.0.2.10", "192.0.2.11", "192.0.2.10"].map(asked),
                    "{cut}"
                );
            }
        }
        let nonsense = [REQUEST, "\n\n", REQUEST].concat();
        let (requests, end) = decode_unsurely(nonsense.as_bytes(), nonsense.len(), |_| true);
        assert_eq!(requests, [asked("192.0.2.10")]);
        assert_eq!(end, Err(Malformed::NotAttributes));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, cut in 1..20usize) {
            let _ = decode(&bytes, cut);
        }
    }
}
