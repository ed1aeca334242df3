//! `Revoke`: takes clients off the whitelist.

use serde::{Deserialize, Serialize};

use super::protocol::Method;
use crate::client::Client;
use crate::whitelist::Scope;

/// Asks to take clients off.
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
    /// Whose logins; nobody's unless exactly one is said, so that a slip revokes nothing.
    #[must_use]
    pub fn what(&self) -> Option<Scope> {
        let all = self.all.filter(|all| *all).map(|_| Scope::All);
        let client = self.client.map(|c| Scope::Network(c.address().into()));
        let network = self.network.map(Scope::Network);
        let user = self.user.clone().map(Scope::User);
        let server = self.server.clone().map(Scope::Server);
        let mut said = [all, client, network, user, server].into_iter().flatten();
        said.next().filter(|_| said.next().is_none())
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
    /// Who was listed before.
    pub clients: Vec<Client>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_is_said() {
        let what = |json: &str| serde_json::from_str::<Revoke>(json).unwrap().what();
        assert_eq!(what("{}"), None);
        assert_eq!(what(r#"{"all":false}"#), None);
        assert_eq!(what(r#"{"all":true,"user":"alice"}"#), None);
        assert_eq!(what(r#"{"client":"192.0.2.1","server":"dovecot"}"#), None);
        assert_eq!(what(r#"{"all":true}"#), Some(Scope::All));
        let one = Scope::Network("192.0.2.1/32".parse().unwrap());
        assert_eq!(what(r#"{"client":"::ffff:192.0.2.1"}"#), Some(one));
        let user = Scope::User("alice".to_owned());
        assert_eq!(what(r#"{"user":"alice"}"#), Some(user));
    }
}
