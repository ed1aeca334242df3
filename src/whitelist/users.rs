//! How many clients each user has listed, and the users' names, each held once for all of them.
//!
//! Counts only; must never decide how many are too many.

use std::collections::HashMap;
use std::sync::Arc;

/// The users who have clients listed.
#[derive(Debug, Default)]
pub(super) struct Users {
    clients: HashMap<Arc<str>, usize>,
}

impl Users {
    /// The name, shared with the user's other listings if there are any.
    pub(super) fn name(&self, user: &str) -> Arc<str> {
        match self.clients.get_key_value(user) {
            Some((name, _)) => name.clone(),
            None => user.into(),
        }
    }

    /// How many clients are listed for this user.
    pub(super) fn clients(&self, user: &str) -> usize {
        self.clients.get(user).copied().unwrap_or(0)
    }

    /// Another client is listed for this user.
    pub(super) fn add(&mut self, user: Option<&Arc<str>>) {
        if let Some(user) = user {
            *self.clients.entry(user.clone()).or_default() += 1;
        }
    }

    /// One client less is listed for this user.
    pub(super) fn remove(&mut self, user: Option<&Arc<str>>) {
        let Some(user) = user else { return };
        if let Some(count) = self.clients.get_mut(user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.clients.remove(user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_held_once_while_it_is_used() {
        let mut users = Users::default();
        let first = users.name("alice");
        users.add(Some(&first));
        let second = users.name("alice");
        users.add(Some(&second));
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(users.clients("alice"), 2);
        users.remove(Some(&first));
        assert_eq!(users.clients("alice"), 1);
        users.remove(Some(&first));
        users.remove(None);
        assert_eq!(users.clients("alice"), 0);
        assert!(users.clients.is_empty());
    }
}
