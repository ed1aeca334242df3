//! The users who have clients listed: each name held once, and how many clients it has.
//!
//! Counts only; must never decide how many are too many.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;

use hashbrown::HashTable;
use slab::Slab;

/// A user who has clients listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User(NonZeroU32);

#[derive(Debug)]
struct Named {
    name: Box<str>,
    clients: u32,
}

/// The users who have clients listed.
#[derive(Debug, Default)]
pub(super) struct Users {
    users: Slab<Named>,
    by_name: HashTable<User>,
    // Not to be foreseen by those who choose the names.
    hasher: RandomState,
}

impl User {
    /// The place in the slab. There is not memory enough for one that would not fit.
    fn at(place: usize) -> Self {
        let number = u32::try_from(place).unwrap_or(u32::MAX);
        User(NonZeroU32::MIN.saturating_add(number))
    }

    fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Users {
    fn find(&self, name: &str) -> Option<User> {
        let is_it = |user: &User| &*self.users[user.place()].name == name;
        self.by_name
            .find(self.hasher.hash_one(name), is_it)
            .copied()
    }

    /// What the user is called.
    pub(super) fn name(&self, user: User) -> &str {
        &self.users[user.place()].name
    }

    /// How many clients are listed for the user of this name.
    pub(super) fn clients(&self, name: &str) -> usize {
        self.find(name)
            .map_or(0, |user| self.users[user.place()].clients as usize)
    }

    /// Another client is listed for the user of this name.
    pub(super) fn add(&mut self, name: &str) -> User {
        if let Some(user) = self.find(name) {
            self.users[user.place()].clients += 1;
            return user;
        }
        let user = User::at(self.users.insert(Named {
            name: name.into(),
            clients: 1,
        }));
        let Self {
            users,
            by_name,
            hasher,
        } = self;
        by_name.insert_unique(hasher.hash_one(name), user, |user| {
            hasher.hash_one(&*users[user.place()].name)
        });
        user
    }

    /// One client less is listed for the user.
    pub(super) fn remove(&mut self, user: User) {
        let named = &mut self.users[user.place()];
        named.clients -= 1;
        if named.clients > 0 {
            return;
        }
        let hash = self.hasher.hash_one(&*named.name);
        if let Ok(entry) = self.by_name.find_entry(hash, |other| *other == user) {
            entry.remove();
        }
        self.users.remove(user.place());
        if self.users.is_empty() {
            *self = Users::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_held_once_while_it_is_used() {
        let mut users = Users::default();
        let alice = users.add("alice");
        let bob = users.add("bob");
        assert_eq!(users.add("alice"), alice);
        assert_eq!((users.name(alice), users.name(bob)), ("alice", "bob"));
        assert_eq!(users.clients("alice"), 2);
        users.remove(alice);
        assert_eq!(users.clients("alice"), 1);
        users.remove(alice);
        assert_eq!(users.clients("alice"), 0);
        assert_eq!(users.clients("bob"), 1);
        users.remove(bob);
        assert!(users.users.is_empty() && users.by_name.is_empty());
    }

    #[test]
    fn many_come_and_go() {
        let mut users = Users::default();
        let name = |n: u32| format!("user{n}@example.com");
        let all: Vec<User> = (0..1000).map(|n| users.add(&name(n))).collect();
        for user in all.iter().skip(1).step_by(2) {
            users.remove(*user);
        }
        for n in 0..1000 {
            assert_eq!(users.clients(&name(n)), usize::from(n % 2 == 0), "{n}");
        }
    }

    #[test]
    fn a_user_takes_little_room() {
        assert_eq!(size_of::<Option<User>>(), 4);
        assert_eq!(size_of::<(usize, Named)>(), 32);
    }
}
