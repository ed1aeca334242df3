//! Postfix's SMTP access policy delegation protocol (SMTPD_POLICY_README): requests of name=value
//! lines, ended by an empty line; replies `action=…`, likewise.
//!
//! Pure: bytes in, requests out. The only actions that it can express are OK and DUNNO: whatever
//! goes wrong here, mail that Postfix would take without us is never refused.

use crate::client::Client;

/// The largest request, in bytes. Postfix's own are below two thousand; addresses are bounded by
/// line_length_limit (2048).
pub const LARGEST_REQUEST: usize = 64 * 1024;

/// What Postfix asks: may this client send this mail?
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// `client_address`, if it is an address and the request is for an access policy.
    pub client: Option<Client>,
    /// `sender`.
    pub sender: String,
    /// `recipient`.
    pub recipient: String,
    /// `queue_id`; empty before the first recipient is accepted.
    pub queue_id: String,
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

/// Takes requests out of a stream of bytes, however it is cut.
#[derive(Debug, Default)]
pub struct Decoder {
    received: Vec<u8>,
    /// No end of a request begins before this.
    searched: usize,
}

impl Decoder {
    /// Takes in what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// The next request, if it is complete.
    ///
    /// # Errors
    /// When the peer does not speak the protocol; there is nothing to be said to it any more.
    pub fn request(&mut self) -> Result<Option<Request>, Malformed> {
        let unsearched = &self.received[self.searched..];
        let Some(end) = unsearched.windows(2).position(|pair| pair == b"\n\n") else {
            if self.received.len() > LARGEST_REQUEST {
                return Err(Malformed::TooLarge);
            }
            self.searched = self.received.len().saturating_sub(1);
            return Ok(None);
        };
        let end = self.searched + end;
        if end > LARGEST_REQUEST {
            return Err(Malformed::TooLarge);
        }
        let request = parse(&self.received[..end])?;
        self.received.drain(..end + 2);
        self.searched = 0;
        Ok(Some(request))
    }
}

/// Reads the lines of a request. An attribute that comes twice has no value that can be trusted;
/// attributes that we do not know do not matter.
fn parse(lines: &[u8]) -> Result<Request, Malformed> {
    let mut request = Request::default();
    let mut is_access_policy = false;
    let mut addresses = 0;
    for line in lines.split(|byte| *byte == b'\n') {
        let equals = line
            .iter()
            .position(|b| *b == b'=')
            .ok_or(Malformed::NotAttributes)?;
        let (name, value) = (&line[..equals], &line[equals + 1..]);
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"request" => is_access_policy = value == b"smtpd_access_policy",
            b"client_address" => {
                addresses += 1;
                request.client = std::str::from_utf8(value).ok().and_then(|a| a.parse().ok());
            }
            b"sender" => request.sender = text(),
            b"recipient" => request.recipient = text(),
            b"queue_id" => request.queue_id = text(),
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

    fn request(client: &str) -> Request {
        Request {
            client: client.parse().ok(),
            sender: "a@example.org".to_owned(),
            recipient: "b=c@example.net".to_owned(),
            queue_id: String::new(),
        }
    }

    fn decode(bytes: &[u8], cut: usize) -> Result<Vec<Request>, Malformed> {
        let mut decoder = Decoder::default();
        let mut requests = Vec::new();
        for piece in bytes.chunks(cut.max(1)) {
            decoder.push(piece);
            while let Some(request) = decoder.request()? {
                requests.push(request);
            }
        }
        Ok(requests)
    }

    #[test]
    fn requests_however_they_are_cut() {
        let two = [REQUEST, &REQUEST.replace("192.0.2.10", "2001:db8::10")].concat();
        for cut in 1..two.len() + 1 {
            let requests = decode(two.as_bytes(), cut).unwrap();
            assert_eq!(
                requests,
                [request("192.0.2.10"), request("2001:db8::10")],
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
            let requests = decode(REQUEST.replacen(from, to, 1).as_bytes(), 7).unwrap();
            assert_eq!(requests.len(), 1, "{from} {to}");
            assert_eq!(requests[0].client, None, "{from} {to}");
        }
    }

    #[test]
    fn who_does_not_speak_the_protocol_is_not_answered() {
        for bytes in [&b"\n\n"[..], b"GET / HTTP/1.1\r\n\n\n", b"a=b\nnothing\n\n"] {
            assert_eq!(decode(bytes, 100), Err(Malformed::NotAttributes));
        }
        let endless = vec![b'a'; LARGEST_REQUEST + 2];
        assert_eq!(decode(&endless, 1000), Err(Malformed::TooLarge));
        let long = [b"a=", &endless[..], b"\n\n"].concat();
        assert_eq!(decode(&long, long.len()), Err(Malformed::TooLarge));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, cut in 1..20usize) {
            let _ = decode(&bytes, cut);
        }
    }
}
