//! `Revoke`: takes clients off the whitelist.

use serde::{Deserialize, Serialize};

use super::protocol::Method;
use crate::client::Client;
use crate::networks::unmapped;
use crate::whitelist::Scope;

/// Asks to take clients off: by exactly one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Revoke {
    /// One address.
    pub client: Option<Client>,
    /// All of a network.
    pub network: Option<ipnet::IpNet>,
    /// All that this user logged in from last.
    pub user: Option<String>,
    /// All whose last login was to this server.
    pub server: Option<String>,
    /// All.
    pub all: Option<bool>,
}

impl Revoke {
    /// Who is meant; nobody, if not exactly one thing is said.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        let network = self.network.map(|n| Scope::Network(unmapped(n.trunc())));
        let mut scopes = [
            self.client.map(Scope::from),
            network,
            self.user.clone().map(Scope::User),
            self.server.clone().map(Scope::Server),
            self.all.filter(|all| *all).map(|_| Scope::All),
        ]
        .into_iter()
        .flatten();
        let scope = scopes.next();
        scope.filter(|_| scopes.next().is_none())
    }
}

impl From<Scope> for Revoke {
    fn from(scope: Scope) -> Self {
        let mut whom = Revoke::default();
        match scope {
            Scope::All => whom.all = Some(true),
            Scope::Network(network) => whom.network = Some(network),
            Scope::User(user) => whom.user = Some(user),
            Scope::Server(server) => whom.server = Some(server),
        }
        whom
    }
}

impl Method for Revoke {
    const NAME: &'static str = "org.pop-before-smtp.Revoke";
    const CHANGES: bool = true;
    type Answer = Revoked;
}

/// Clients are off, and Postfix knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revoked {
    /// How many were listed before.
    pub removed: usize,
    /// The first of them: [`Revoked::SHOWN`] at most.
    pub clients: Vec<Client>,
}

impl Revoked {
    /// How many clients are named.
    pub const SHOWN: usize = 1000;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(json: &str) -> Option<String> {
        let revoke: Revoke = serde_json::from_str(json).unwrap();
        revoke.scope().map(|scope| scope.to_string())
    }

    #[test]
    fn exactly_one_thing_is_meant() {
        for (json, expected) in [
            (r#"{}"#, None),
            (r#"{"all":false}"#, None),
            (r#"{"all":true}"#, Some("everybody")),
            (r#"{"all":true,"user":"alice"}"#, None),
            (r#"{"all":false,"user":"alice"}"#, Some("the user alice")),
            (r#"{"client":"::ffff:192.0.2.10"}"#, Some("192.0.2.10")),
            (r#"{"network":"192.0.2.77/24"}"#, Some("192.0.2.0/24")),
            (
                r#"{"network":"::ffff:192.0.2.0/120"}"#,
                Some("192.0.2.0/24"),
            ),
            (r#"{"network":"192.0.2.0/24","server":"dovecot"}"#, None),
            (r#"{"server":"dovecot"}"#, Some("the server dovecot")),
        ] {
            assert_eq!(scope(json).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn a_scope_is_asked_for_as_it_is_understood() {
        for scope in [
            Scope::All,
            "192.0.2.10".parse().unwrap(),
            "2001:db8::/64".parse().unwrap(),
            Scope::User("alice".to_owned()),
            Scope::Server("manual".to_owned()),
        ] {
            assert_eq!(Revoke::from(scope.clone()).scope(), Some(scope));
        }
    }
}
