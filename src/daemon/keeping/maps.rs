//! Which access map is in force, and which were and are yet to be emptied. Pure.
//!
//! Must never forget a map before it has been emptied, nor have one emptied that is in force.

use std::path::Path;

use crate::store::{FormerMap, InForce};

/// The map in force, and those from before.
#[derive(Debug, Default)]
pub struct Maps {
    /// What was in force last: it is what has been published.
    last: Option<InForce>,
    /// Whether that is in force now; without a Postfix, nothing is.
    is_in_force: bool,
    former: Vec<FormerMap>,
}

impl Maps {
    /// As the store has kept them; nothing is in force yet.
    pub fn kept(last: Option<InForce>, former: Vec<FormerMap>) -> Self {
        Maps {
            last,
            is_in_force: false,
            former,
        }
    }

    /// The maps from before that are yet to be emptied.
    pub fn former(&self) -> &[FormerMap] {
        &self.former
    }

    /// What the store is to keep: what was in force last, and the maps from before.
    pub fn to_keep(&self) -> Option<(&InForce, &[FormerMap])> {
        Some((self.last.as_ref()?, &self.former))
    }

    /// This is in force from now on; nothing is without a Postfix, and then what was last is remembered.
    pub fn put_in_force(&mut self, in_force: Option<InForce>) {
        self.is_in_force = in_force.is_some();
        let Some(in_force) = in_force else { return };
        let index = in_force.index();
        let last = self.last.replace(in_force).map(FormerMap::from);
        self.former.extend(last);
        self.former.retain(|map| map.index() != index);
    }

    /// The maps that are to list nobody any more.
    pub fn to_empty(&self) -> Vec<FormerMap> {
        let gone = self.last.clone().filter(|_| !self.is_in_force);
        let former = self.former.iter().cloned();
        former.chain(gone.map(FormerMap::from)).collect()
    }

    /// The map with this index lists nobody any more. Says whether that changes what is to be kept.
    pub fn emptied(&mut self, index: &Path) -> bool {
        let number = self.former.len();
        self.former.retain(|map| map.index() != index);
        self.former.len() != number
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::postfix::map_type::MapType;

    fn map(path: &str, kind: MapType) -> InForce {
        InForce {
            path: path.into(),
            kind,
            value: "OK".to_owned(),
            grace: Duration::from_secs(1800),
            max_session: Duration::from_secs(86_400),
        }
    }

    fn lmdb(path: &str) -> InForce {
        map(path, MapType::Lmdb)
    }

    fn to_empty(maps: &Maps) -> Vec<PathBuf> {
        maps.to_empty().iter().map(FormerMap::index).collect()
    }

    #[test]
    fn a_map_that_was_in_force_is_remembered_until_it_is_emptied() {
        let mut maps = Maps::kept(Some(lmdb("/a")), Vec::new());
        maps.put_in_force(Some(lmdb("/b")));
        maps.put_in_force(Some(lmdb("/b")));
        maps.put_in_force(Some(lmdb("/c")));
        let kept = [lmdb("/a").into(), lmdb("/b").into()];
        assert_eq!(maps.to_keep(), Some((&lmdb("/c"), &kept[..])));
        assert!(maps.emptied(Path::new("/a.lmdb")));
        assert!(!maps.emptied(Path::new("/a.lmdb")));
        assert_eq!(to_empty(&maps), [Path::new("/b.lmdb")]);
    }

    #[test]
    fn what_is_in_force_again_is_not_to_be_emptied() {
        let mut maps = Maps::kept(Some(lmdb("/a")), Vec::new());
        for path in ["/b", "/a", "/b"] {
            maps.put_in_force(Some(lmdb(path)));
        }
        assert_eq!(to_empty(&maps), [Path::new("/a.lmdb")]);
    }

    #[test]
    fn another_type_is_another_map_unless_it_shares_the_file() {
        let mut maps = Maps::kept(Some(map("/a", MapType::Hash)), Vec::new());
        maps.put_in_force(Some(map("/a", MapType::Btree)));
        assert!(to_empty(&maps).is_empty());
        maps.put_in_force(Some(lmdb("/a")));
        assert_eq!(to_empty(&maps), [Path::new("/a.db")]);
    }

    #[test]
    fn without_postfix_what_was_in_force_is_emptied_and_remembered() {
        let mut maps = Maps::kept(Some(lmdb("/a")), Vec::new());
        maps.put_in_force(None);
        assert_eq!(to_empty(&maps), [Path::new("/a.lmdb")]);
        assert_eq!(maps.to_keep(), Some((&lmdb("/a"), &[][..])));
        maps.put_in_force(Some(lmdb("/a")));
        assert!(to_empty(&maps).is_empty());
    }
}
