//! What Postfix finds in a map, asked of postmap: changes nothing, and takes no lock.

use super::{AccessMap, table};
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
}
