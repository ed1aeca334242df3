//! What Postfix finds in a map, asked of postmap: changes nothing, and takes no lock.

use std::fs;

use super::{AccessMap, look_up_sentinel, proof_in, table};
use crate::client::Client;
use crate::postfix::command::CommandError;

/// What a map says of a client can't be known.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// postmap does not run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// postmap can't read the map.
    #[error("{0}")]
    Unreadable(String),
}

impl AccessMap {
    /// What the map says of a client; `None` if it does not list it.
    ///
    /// # Errors
    /// When the map is not there, or this user may not read it.
    pub fn look_up(&self, client: Client) -> Result<Option<String>, LookupError> {
        let table = table(self.kind, &self.path);
        let output = self.programs.look_up(&table, &client.to_string())?;
        match (output.status.success(), output.stderr.trim()) {
            (true, _) => Ok(Some(output.text().trim_end_matches('\n').to_owned())),
            (false, "") => Ok(None),
            (false, why) => Err(LookupError::Unreadable(why.to_owned())),
        }
    }

    /// Whom the map lists, in order; `None` where its source does not tell: it is missing, or not what the
    /// index was made of, as after a publication that was interrupted.
    #[must_use]
    pub fn listed(&self) -> Option<Vec<Client>> {
        let source = fs::read_to_string(&self.path).ok()?;
        let found = look_up_sentinel(&self.programs, self.kind, &self.path).ok()?;
        if found != proof_in(&source)? {
            return None;
        }
        let entries = source.lines().filter_map(|line| line.split_once('\t'));
        let mut clients: Vec<Client> = entries.filter_map(|(key, _)| key.parse().ok()).collect();
        clients.sort_unstable();
        Some(clients)
    }
}
