//! What is remembered by id: in one block of memory, found by id or by slot. A slot that is free is used again.
//!
//! Each item of a page is looked up several times, so the hash is a fast one. It is seeded at random, and Kapso makes the
//! ids.

use std::{
    hash::{BuildHasher, Hash},
    ops::{Index, IndexMut},
};

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry as Place};
use slab::Slab;

use super::dirty::DirtySet;

/// Where an item is kept, as long as it is remembered.
pub(crate) type Slot = u32;

/// An item with an id.
pub(crate) trait Identified {
    type Id: Hash + Eq;

    fn id(&self) -> &Self::Id;
}

/// Items, of which no two have the same id. Whatever is borrowed to be changed counts as changed.
#[derive(Debug)]
pub(crate) struct Table<T> {
    items: Slab<T>,
    by_id: HashTable<Slot>,
    hasher: DefaultHashBuilder,
    pub dirty: DirtySet,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            items: Slab::new(),
            by_id: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            dirty: DirtySet::default(),
        }
    }
}

impl<T: Identified> Table<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Where the item with this id is.
    pub fn find(&self, id: &T::Id) -> Option<Slot> {
        if self.by_id.is_empty() {
            return None;
        }
        let same = |&slot: &Slot| self.get(slot).is_some_and(|item| item.id() == id);
        self.by_id.find(self.hasher.hash_one(id), same).copied()
    }

    /// Keeps an item, in the place of the one with its id if there is one.
    pub fn insert(&mut self, item: T) -> Slot {
        let Self { items, by_id, hasher, dirty } = self;
        let slot = match place(by_id, items, hasher, item.id()) {
            Place::Occupied(place) => {
                let slot = *place.get();
                items[slot as usize] = item;
                slot
            }
            Place::Vacant(place) => {
                let slot = super::index(items.vacant_key());
                place.insert(slot);
                items.insert(item);
                slot
            }
        };
        dirty.note(slot);
        slot
    }

    /// Forgets an item.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        let item = self.items.try_remove(slot as usize)?;
        let hash = self.hasher.hash_one(item.id());
        self.dirty.note(slot);
        if let Ok(place) = self.by_id.find_entry(hash, |&other| other == slot) {
            place.remove();
        }
        Some(item)
    }

    pub fn get(&self, slot: Slot) -> Option<&T> {
        self.items.get(slot as usize)
    }

    /// An item, to be changed.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.dirty.note(slot);
        self.items.get_mut(slot as usize)
    }

    /// An item, for a change that needs not be kept.
    pub fn untracked(&mut self, slot: Slot) -> Option<&mut T> {
        self.items.get_mut(slot as usize)
    }

    /// Those that were kept, in their slots.
    ///
    /// # Errors
    /// The slot of one whose id another one has.
    pub fn kept(items: Vec<(Slot, T)>) -> Result<Self, Slot> {
        let items: Slab<T> = items.into_iter().map(|(slot, item)| (slot as usize, item)).collect();
        let mut table = Self { by_id: HashTable::with_capacity(items.len()), ..Self::default() };
        table.items = items;
        let Self { items, by_id, hasher, .. } = &mut table;
        for (slot, item) in items.iter() {
            match place(by_id, items, hasher, item.id()) {
                Place::Occupied(_) => return Err(super::index(slot)),
                Place::Vacant(place) => drop(place.insert(super::index(slot))),
            }
        }
        Ok(table)
    }

    /// Notes changes from now on, beginning with all that there are.
    pub fn track(&mut self) {
        let slots: Vec<_> = self.iter().map(|(slot, _)| slot).collect();
        self.dirty.watch(slots.into_iter());
    }

    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> + Clone {
        self.items.iter().map(|(slot, item)| (super::index(slot), item))
    }
}

impl<T> Index<Slot> for Table<T> {
    type Output = T;

    fn index(&self, slot: Slot) -> &T {
        &self.items[slot as usize]
    }
}

impl<T> IndexMut<Slot> for Table<T> {
    fn index_mut(&mut self, slot: Slot) -> &mut T {
        self.dirty.note(slot);
        &mut self.items[slot as usize]
    }
}

/// Where the slot of the item with this id is, or belongs.
fn place<'a, T: Identified>(
    by_id: &'a mut HashTable<Slot>,
    items: &Slab<T>,
    hasher: &DefaultHashBuilder,
    id: &T::Id,
) -> Place<'a, Slot> {
    let same = |&slot: &Slot| items.get(slot as usize).is_some_and(|known| known.id() == id);
    let rehash = |&slot: &Slot| items.get(slot as usize).map_or(0, |known| hasher.hash_one(known.id()));
    by_id.entry(hasher.hash_one(id), same, rehash)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Identified for &'static str {
        type Id = Self;

        fn id(&self) -> &Self {
            self
        }
    }

    #[test]
    fn an_item_is_found_until_it_is_removed_and_its_slot_is_used_again() {
        let mut table = Table::default();
        let (a, b) = (table.insert("a"), table.insert("b"));
        assert_eq!((table.find(&"a"), table.find(&"b")), (Some(a), Some(b)));
        assert_eq!((table.remove(a), table.remove(a)), (Some("a"), None));
        assert_eq!((table.find(&"a"), table.find(&"b")), (None, Some(b)));
        assert_eq!((table.insert("c"), table.len()), (a, 2));
    }

    #[test]
    fn what_is_added_removed_or_borrowed_to_be_changed_has_changed() {
        let mut table = Table::default();
        let a = table.insert("a");
        assert_eq!(table.dirty.take(), [].into(), "nobody wanted to know");
        table.dirty.watch([a].into_iter());
        assert_eq!(table.dirty.take(), [a].into());
        let b = table.insert("b");
        table[a] = "a";
        assert_eq!(table.dirty.take(), [a, b].into());
        assert_eq!(table.untracked(b).copied(), Some("b"));
        assert_eq!(table.dirty.take(), [].into());
        table.remove(b);
        assert_eq!(table.dirty.take(), [b].into());
    }
}
