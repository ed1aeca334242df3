//! Varlink's wire form: one JSON object a message, each ended by a NUL byte
//! (<https://varlink.org/Method-Call>).
//!
//! Knows no method. Every byte is a stranger's until it is parsed, and no more is kept than a
//! message may have.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::Fault;

/// The largest call, in bytes.
pub const LARGEST_CALL: usize = 64 * 1024;
/// The largest reply, in bytes: what a client of ours is willing to read.
pub const LARGEST_REPLY: usize = 4 * 1024 * 1024;

/// A call of a method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The method's name, with its interface.
    pub method: String,
    /// Its parameters.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub parameters: Map<String, Value>,
    /// Whether several replies are welcome.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// Whether none is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oneway: bool,
    /// Whether the connection is to speak another protocol from then on. Ours never does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upgrade: bool,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply<T> {
    /// What is answered.
    pub parameters: T,
    /// Whether more replies to the same call follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Call {
    /// The interface that the method is of.
    #[must_use]
    pub fn interface(&self) -> &str {
        self.method.rsplit_once('.').map_or("", |(name, _)| name)
    }

    /// The parameters, understood.
    ///
    /// # Errors
    /// When one is missing, unknown, or not what it should be: it is named.
    pub fn parameters<T: serde::de::DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_path_to_error::deserialize(Value::Object(self.parameters.clone())).map_err(|error| {
            let path = error.path().to_string();
            // Of a field that is missing, serde tells the name in the sentence alone.
            let sentence = error.inner().to_string();
            let missing = sentence
                .strip_prefix("missing field `")
                .and_then(|rest| rest.split('`').next());
            Fault::InvalidParameter {
                parameter: missing.map_or(path, str::to_owned),
            }
        })
    }
}

/// A message as it goes over the wire.
///
/// # Errors
/// When `message` can't be expressed as JSON.
pub fn to_bytes<T: Serialize>(message: &T) -> std::io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(message).map_err(std::io::Error::from)?;
    bytes.push(0);
    Ok(bytes)
}

/// What a peer has sent.
#[derive(Debug, PartialEq)]
pub enum Sent {
    /// A call.
    Call(Call),
    /// A message that is none, or is too large.
    Junk,
    /// Nothing more: it has closed its end.
    End,
}

/// The next message of `stream`.
///
/// # Errors
/// When the connection breaks.
pub async fn next(stream: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Sent> {
    let mut bytes = Vec::new();
    // With the NUL at its end.
    let mut limited = stream.take(LARGEST_CALL as u64 + 1);
    limited.read_until(0, &mut bytes).await?;
    Ok(match bytes.strip_suffix(b"\0") {
        Some(message) => serde_json::from_slice(message).map_or(Sent::Junk, Sent::Call),
        None if bytes.len() > LARGEST_CALL => Sent::Junk,
        None => Sent::End,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(bytes: &[u8]) -> Vec<Sent> {
        let mut stream = bytes;
        let mut all = Vec::new();
        loop {
            let sent = next(&mut stream).await.unwrap();
            let over = sent != Sent::Call(call("a.B"));
            all.push(sent);
            if over {
                return all;
            }
        }
    }

    fn call(method: &str) -> Call {
        Call {
            method: method.to_owned(),
            parameters: Map::new(),
            more: false,
            oneway: false,
            upgrade: false,
        }
    }

    #[tokio::test]
    async fn messages_end_with_nul() {
        let two = b"{\"method\":\"a.B\"}\0{\"method\":\"a.B\",\"parameters\":null}\0{\"meth";
        let calls = sent(two).await;
        assert_eq!(
            calls,
            [Sent::Call(call("a.B")), Sent::Call(call("a.B")), Sent::End]
        );
    }

    #[tokio::test]
    async fn junk_is_told_from_calls() {
        for junk in [
            b"\0".as_slice(),
            b"[]\0",
            b"{}\0",
            b"{\"method\":5}\0",
            b"{\"method\":\"a.B\",\"parameters\":[]}\0",
            b"{\"method\":\"a.B\"\xff}\0",
        ] {
            assert_eq!(sent(junk).await, [Sent::Junk], "{}", junk.escape_ascii());
        }
    }

    #[tokio::test]
    async fn no_more_is_kept_than_a_call_may_have() {
        let endless = vec![b'{'; 1024 * 1024];
        let mut stream = endless.as_slice();
        assert_eq!(next(&mut stream).await.unwrap(), Sent::Junk);
        assert!(endless.len() - stream.len() <= LARGEST_CALL + 4096);

        let name = "x".repeat(LARGEST_CALL);
        let large = format!("{{\"method\":\"{name}\"}}\0");
        assert_eq!(sent(large.as_bytes()).await, [Sent::Junk]);
    }

    #[test]
    fn a_parameter_that_is_wrong_is_named() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Parameters {
            #[allow(dead_code, reason = "only read by serde")]
            network: crate::client::Client,
        }
        for (parameters, wrong) in [
            (r#"{}"#, "network"),
            (r#"{"network":5}"#, "network"),
            (r#"{"network":"192.0.2"}"#, "network"),
            (r#"{"network":"192.0.2.1","other":1}"#, "other"),
        ] {
            let call = Call {
                parameters: serde_json::from_str(parameters).unwrap(),
                ..call("a.B")
            };
            assert_eq!(
                call.parameters::<Parameters>().unwrap_err(),
                Fault::InvalidParameter {
                    parameter: wrong.to_owned()
                },
                "{parameters}"
            );
        }
    }
}
