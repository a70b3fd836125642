//! A list that knows which of its items changed since that was last asked.

use std::{
    collections::BTreeSet,
    ops::{Deref, Index, IndexMut},
};

/// Numbers of what changed; nothing is noted until somebody wants to know.
#[derive(Debug, Default)]
pub(crate) struct DirtySet(Option<BTreeSet<u32>>);

impl DirtySet {
    /// Notes changes from now on, beginning with all of these.
    pub fn watch(&mut self, all: impl Iterator<Item = u32>) {
        self.0 = Some(all.collect());
    }

    pub fn note(&mut self, number: u32) {
        if let Some(dirty) = &mut self.0 {
            dirty.insert(number);
        }
    }

    /// What changed since this was last called, in order.
    pub fn take(&mut self) -> BTreeSet<u32> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

/// A list that grows and never shrinks. Whatever is borrowed to be changed counts as changed.
#[derive(Debug)]
pub(crate) struct DirtyVec<T> {
    items: Vec<T>,
    pub dirty: DirtySet,
}

impl<T> Default for DirtyVec<T> {
    fn default() -> Self {
        Self { items: Vec::new(), dirty: DirtySet::default() }
    }
}

impl<T> From<Vec<T>> for DirtyVec<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, dirty: DirtySet::default() }
    }
}

impl<T> DirtyVec<T> {
    /// Adds an item and returns its index.
    pub fn push(&mut self, item: T) -> usize {
        self.items.push(item);
        self.dirty.note(super::index(self.items.len() - 1));
        self.items.len() - 1
    }

    /// An item, for a change that needs not be kept.
    pub fn untracked(&mut self, index: u32) -> &mut T {
        &mut self.items[index as usize]
    }
}

impl<T> Deref for DirtyVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> Index<usize> for DirtyVec<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        &self.items[index]
    }
}

impl<T> IndexMut<usize> for DirtyVec<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        self.dirty.note(super::index(index));
        &mut self.items[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_or_borrowed_to_be_changed_has_changed() {
        let mut list = DirtyVec::from(vec!['a', 'b']);
        list[0] = 'x';
        assert_eq!(list.dirty.take(), BTreeSet::new(), "nobody wanted to know");
        list.dirty.watch(0..2);
        assert_eq!(list.dirty.take(), [0, 1].into());
        list[1] = 'y';
        assert_eq!((list.push('c'), list[0]), (2, 'x'));
        *list.untracked(0) = 'z';
        assert_eq!(list.dirty.take(), [1, 2].into());
        assert_eq!(list.dirty.take(), BTreeSet::new());
    }
}
