//! Names in id order: one arena, its offsets, and an index from name to id.

use std::fmt;

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// How many names [`Vocabulary::nearest`] looks at: the first ones, which are the most frequent.
const NEAREST_AMONG: usize = 100_000;

/// The names of a graph's entities or relations, numbered from 0.
///
/// A name costs its bytes, eight for its offset and about six for the index.
#[derive(Clone)]
pub struct Vocabulary {
    arena: String,
    /// One more than names: name `i` is `arena[offsets[i]..offsets[i + 1]]`.
    offsets: Vec<u64>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Vocabulary {
    pub(crate) fn new() -> Self {
        Self::with_capacity(0, 0)
    }

    pub(crate) fn with_capacity(names: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(names + 1);
        offsets.push(0);
        Self {
            arena: String::with_capacity(bytes),
            offsets,
            index: HashTable::with_capacity(names),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name with this number.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub fn name(&self, id: u32) -> &str {
        slice(&self.arena, &self.offsets, id)
    }

    /// The number of this name.
    pub fn find(&self, name: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(name.as_bytes());
        self.index.find(hash, |&id| self.name(id) == name).copied()
    }

    /// The known name that a person most likely meant, where one is plausible.
    ///
    /// Letter case is forgiven; otherwise up to a third of the letters may differ. Only the
    /// most frequent names are looked at, so that a wrong name costs milliseconds in a graph
    /// of any size.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let letters = name.chars().count();
        if letters == 0 || letters > 256 {
            return None;
        }
        let mut allowed = (letters / 3).max(1);
        let mut best = None;
        for known in self.iter().take(NEAREST_AMONG) {
            if known.eq_ignore_ascii_case(name) {
                return Some(known);
            }
            // Each edit changes the length by at most one letter, that is four bytes.
            if known.len().abs_diff(name.len()) > 4 * allowed {
                continue;
            }
            if known.chars().count().abs_diff(letters) > allowed {
                continue;
            }
            let edits = strsim::osa_distance(known, name);
            if edits < allowed || (edits == allowed && best.is_none()) {
                allowed = edits;
                best = Some(known);
            }
        }
        best
    }

    /// All names in id order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|id| self.name(id as u32))
    }

    /// The name's number, a new one if it has none yet.
    ///
    /// # Panics
    /// If there are 2^32 names already.
    pub(crate) fn intern(&mut self, name: &str) -> u32 {
        let hash = self.hasher.hash_one(name.as_bytes());
        let known = |&id: &u32| slice(&self.arena, &self.offsets, id) == name;
        if let Some(&id) = self.index.find(hash, known) {
            return id;
        }
        let id = u32::try_from(self.len()).expect("a graph holds at most 2^32 names");
        self.arena.push_str(name);
        self.offsets.push(self.arena.len() as u64);
        let rehash =
            |&id: &u32| self.hasher.hash_one(slice(&self.arena, &self.offsets, id).as_bytes());
        self.index.insert_unique(hash, id, rehash);
        id
    }

    pub(crate) fn arena(&self) -> &str {
        &self.arena
    }

    pub(crate) fn offsets(&self) -> &[u64] {
        &self.offsets
    }
}

#[inline]
fn slice<'a>(arena: &'a str, offsets: &[u64], id: u32) -> &'a str {
    &arena[offsets[id as usize] as usize..offsets[id as usize + 1] as usize]
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        self.offsets == other.offsets && self.arena == other.arena
    }
}

impl Eq for Vocabulary {}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(names: &[&str]) -> Vocabulary {
        let mut vocabulary = Vocabulary::new();
        for name in names {
            vocabulary.intern(name);
        }
        vocabulary
    }

    #[test]
    fn names_are_found_by_number_and_numbers_by_name() {
        let names: Vec<String> = (0..1000).map(|i| format!("name {i} ñ")).collect();
        let mut vocabulary = Vocabulary::new();
        for (id, name) in names.iter().enumerate() {
            assert_eq!(vocabulary.intern(name), id as u32);
        }
        for (id, name) in names.iter().enumerate() {
            assert_eq!(vocabulary.intern(name), id as u32);
            assert_eq!(vocabulary.find(name), Some(id as u32));
            assert_eq!(vocabulary.name(id as u32), name);
        }
        assert_eq!(vocabulary.len(), 1000);
        assert_eq!(vocabulary.find("name 1000 ñ"), None);
        assert!(vocabulary.iter().eq(names.iter().map(String::as_str)));
    }

    #[test]
    fn nearest_forgives_what_a_hand_mistypes() {
        let cities = vocabulary(&["Madrid", "Paris", "Berlin", "Córdoba", "Q42"]);
        for (asked, expected) in [
            ("Madird", Some("Madrid")),
            ("madrid", Some("Madrid")),
            ("Pari", Some("Paris")),
            ("Cordoba", Some("Córdoba")),
            ("Q43", Some("Q42")),
            ("Reykjavík", None),
            ("", None),
        ] {
            assert_eq!(cities.nearest(asked), expected, "{asked:?}");
        }
    }
}
