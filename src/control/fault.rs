//! The errors that the service answers with, by their Varlink names.

use serde::{Deserialize, Serialize};

use crate::client::Client;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", content = "parameters", rename_all_fields = "camelCase")]
pub enum Fault {
    /// The service knows no such interface.
    #[error("it has no interface '{interface}'")]
    #[serde(rename = "org.varlink.service.InterfaceNotFound")]
    InterfaceNotFound {
        /// Which.
        interface: String,
    },
    /// The interface has no such method.
    #[error("it has no method '{method}': is it older than this command?")]
    #[serde(rename = "org.varlink.service.MethodNotFound")]
    MethodNotFound {
        /// Which, with its interface.
        method: String,
    },
    /// The interface has the method, and the service can't do it.
    #[error("it can't do '{method}'")]
    #[serde(rename = "org.varlink.service.MethodNotImplemented")]
    MethodNotImplemented {
        /// Which, with its interface.
        method: String,
    },
    /// A parameter is missing, unknown, or not what it should be.
    #[error("it does not understand the parameter '{parameter}'")]
    #[serde(rename = "org.varlink.service.InvalidParameter")]
    InvalidParameter {
        /// Which.
        parameter: String,
    },
    /// Only root may do that.
    #[error("only root may do that: use sudo")]
    #[serde(rename = "org.varlink.service.PermissionDenied")]
    PermissionDenied {},
    /// The method answers with several replies, and was called for one.
    #[error("it answers this with more than one reply")]
    #[serde(rename = "org.varlink.service.ExpectedMore")]
    ExpectedMore {},
    /// The configuration, or a limit, does not let this client be listed.
    #[error("{client} can't be listed: {reason}")]
    #[serde(rename = "org.pop-before-smtp.NotAdmitted")]
    NotAdmitted {
        /// Whom.
        client: Client,
        /// For a sentence.
        reason: String,
    },
    /// As many revocations are remembered as there can be.
    #[error("not revoked: {reason}")]
    #[serde(rename = "org.pop-before-smtp.NotRevoked")]
    NotRevoked {
        /// For a sentence.
        reason: String,
    },
    /// Done, but it can't be written to disk.
    #[error("done, but it will be forgotten when the service is restarted: {reason}")]
    #[serde(rename = "org.pop-before-smtp.NotKept")]
    NotKept {
        /// For a sentence.
        reason: String,
    },
    /// Done, but the access map can't be published.
    #[error("done, but Postfix does not know yet: {reason}")]
    #[serde(rename = "org.pop-before-smtp.NotPublished")]
    NotPublished {
        /// For a sentence.
        reason: String,
    },
}
