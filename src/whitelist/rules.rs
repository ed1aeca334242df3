//! What decides whether a client may be listed, beside its logins.

use jiff::SignedDuration;

use crate::client::Client;
use crate::config::Limits;
use crate::networks::Networks;

/// The rules in force; replaced as a whole by a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How long a client may relay after its last login or logout.
    pub grace: SignedDuration,
    /// When a session whose logout never comes is taken to have ended.
    pub max_session: SignedDuration,
    /// Beyond them, clients are refused.
    pub limits: Limits,
    /// Networks that Postfix lets relay anyway.
    pub permitted: Networks,
    /// Clients that stand for many (load balancers, NAT gateways).
    pub never: Networks,
}

/// Why a login lists nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The client may relay anyway.
    Permitted,
    /// The configuration says `never`.
    Never,
    /// A loopback, multicast or unspecified address: nobody, or anybody on this host.
    NotARemoteHost,
    /// The entry is from the future: nobody can say when it happened.
    Future,
    /// Its grace has passed already.
    Stale,
    /// An operator has revoked it since.
    Revoked,
    /// As many clients as `limits.clients` allows are listed.
    TooManyClients,
    /// As many clients as `limits.clients-per-user` allows are listed for the user.
    TooManyClientsOfUser,
}

impl Refusal {
    /// Whether this is a limit, which somebody should know of.
    #[must_use]
    pub fn is_limit(self) -> bool {
        matches!(self, Self::TooManyClients | Self::TooManyClientsOfUser)
    }

    /// The reason, for a sentence.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Permitted => "it is in a permitted network",
            Self::Never => "the configuration says never",
            Self::NotARemoteHost => "it is not the address of one remote host",
            Self::Future => "its entry is from the future",
            Self::Stale => "its grace has passed",
            Self::Revoked => "it was revoked after that",
            Self::TooManyClients => "limits.clients is reached",
            Self::TooManyClientsOfUser => "limits.clients-per-user is reached",
        }
    }
}

impl Rules {
    /// Whether `client` may be listed at all.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, client: Client) -> Result<(), Refusal> {
        if !client.is_one_remote_host() {
            return Err(Refusal::NotARemoteHost);
        }
        if self.never.contains(client.address()) {
            return Err(Refusal::Never);
        }
        if self.permitted.contains(client.address()) {
            return Err(Refusal::Permitted);
        }
        Ok(())
    }
}
