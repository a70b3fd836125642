//! The executions that are remembered: in one block of memory, found by id or by their slot.

use std::hash::{BuildHasher, RandomState};

use hashbrown::{HashTable, hash_table::Entry as Place};
use slab::Slab;

use super::{entry::Entry, tracked::Changed};
use crate::execution::ExecutionId;

/// Where an execution is kept, as long as it is remembered.
pub(super) type Slot = u32;

/// All executions that are remembered.
#[derive(Debug, Default)]
pub(super) struct Executions {
    entries: Slab<Entry>,
    by_id: HashTable<Slot>,
    hasher: RandomState,
    pub changed: Changed,
}

impl Executions {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Where the execution with this id is.
    pub fn find(&self, id: &ExecutionId) -> Option<Slot> {
        let same = |&slot: &Slot| self.get(slot).is_some_and(|entry| entry.id == *id);
        self.by_id.find(self.hasher.hash_one(id), same).copied()
    }

    /// Keeps an execution, in the place of the one with its id if there is one.
    pub fn insert(&mut self, entry: Entry) -> Slot {
        let Self { entries, by_id, hasher, changed } = self;
        match place(by_id, entries, hasher, &entry.id) {
            Place::Occupied(place) => {
                let slot = *place.get();
                entries[slot as usize] = entry;
                changed.note(slot);
                slot
            }
            Place::Vacant(place) => {
                let slot = super::index(entries.vacant_key());
                place.insert(slot);
                entries.insert(entry);
                changed.note(slot);
                slot
            }
        }
    }

    /// Forgets an execution.
    pub fn remove(&mut self, slot: Slot) -> Option<Entry> {
        let entry = self.entries.try_remove(slot as usize)?;
        let hash = self.hasher.hash_one(&entry.id);
        self.changed.note(slot);
        if let Ok(place) = self.by_id.find_entry(hash, |&other| other == slot) {
            place.remove();
        }
        Some(entry)
    }

    pub fn get(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(slot as usize)
    }

    /// Changes one, and takes note of it if that made a difference.
    pub fn change<T>(&mut self, slot: Slot, act: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(slot as usize)?;
        let before = entry.facts();
        let result = act(entry);
        if entry.facts() != before {
            self.changed.note(slot);
        }
        Some(result)
    }

    /// Those that were kept, in their slots.
    ///
    /// # Errors
    /// The slot of one whose id another one has.
    pub fn kept(entries: Vec<(Slot, Entry)>) -> Result<Self, Slot> {
        let entries: Slab<Entry> = entries.into_iter().map(|(slot, entry)| (slot as usize, entry)).collect();
        let mut executions = Self { by_id: HashTable::with_capacity(entries.len()), ..Self::default() };
        executions.entries = entries;
        let Self { entries, by_id, hasher, .. } = &mut executions;
        for (slot, entry) in entries.iter() {
            match place(by_id, entries, hasher, &entry.id) {
                Place::Occupied(_) => return Err(super::index(slot)),
                Place::Vacant(place) => drop(place.insert(super::index(slot))),
            }
        }
        Ok(executions)
    }

    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        self.entries.iter().map(|(slot, entry)| (super::index(slot), entry))
    }
}

/// Where the slot of the execution with this id is, or belongs.
fn place<'a>(
    by_id: &'a mut HashTable<Slot>,
    entries: &Slab<Entry>,
    hasher: &RandomState,
    id: &ExecutionId,
) -> Place<'a, Slot> {
    let same = |&slot: &Slot| entries.get(slot as usize).is_some_and(|known| known.id == *id);
    let rehash = |&slot: &Slot| entries.get(slot as usize).map_or(0, |known| hasher.hash_one(&known.id));
    by_id.entry(hasher.hash_one(id), same, rehash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_is_found_until_it_is_removed_and_its_slot_is_used_again() {
        let mut executions = Executions::default();
        let a = executions.insert(Entry::unseen("a".into(), 0));
        let b = executions.insert(Entry::unseen("b".into(), 0));
        assert_eq!((executions.find(&"a".into()), executions.find(&"b".into())), (Some(a), Some(b)));
        assert_eq!(executions.remove(a).unwrap().id, "a".into());
        assert!(executions.remove(a).is_none());
        assert_eq!((executions.find(&"a".into()), executions.find(&"b".into())), (None, Some(b)));
        assert_eq!(executions.insert(Entry::unseen("c".into(), 0)), a);
        assert_eq!(executions.len(), 2);
    }

    #[test]
    fn an_entry_takes_little_room() {
        assert!(size_of::<Entry>() <= 88, "{}", size_of::<Entry>());
    }
}
