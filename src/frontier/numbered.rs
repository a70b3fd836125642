//! Items with the ledger's numbers.

use crate::ledger::DirtySet;

/// Items by number. One that was never put there is as a new one.
#[derive(Debug, Default)]
pub(crate) struct Numbered<T> {
    items: Vec<T>,
    new: T,
    pub dirty: DirtySet,
}

impl<T: Default> Numbered<T> {
    /// The item with this number.
    pub fn get(&self, number: usize) -> &T {
        self.items.get(number).unwrap_or(&self.new)
    }

    /// The item, for a change that is to be kept.
    pub fn change(&mut self, number: usize) -> &mut T {
        self.dirty.note(crate::ledger::index(number));
        self.untracked(number)
    }

    /// The item, for a change that needs not be kept.
    pub fn untracked(&mut self, number: usize) -> &mut T {
        if number >= self.items.len() {
            self.items.resize_with(number + 1, T::default);
        }
        &mut self.items[number]
    }

    /// Gives an item this number.
    pub fn put(&mut self, number: usize, item: T) {
        *self.change(number) = item;
    }

    /// Takes an item away.
    pub fn take(&mut self, number: usize) -> T {
        std::mem::take(self.change(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_never_given_has_a_new_item_and_whatever_is_changed_is_noted() {
        let mut items = Numbered::<u8>::default();
        items.dirty.watch([].into_iter());
        assert_eq!(*items.get(7), 0);
        items.put(3, 9);
        *items.untracked(1) = 5;
        assert_eq!(([1, 2, 3].map(|n| *items.get(n)), items.dirty.take()), ([5, 0, 9], [3].into()));
        assert_eq!((items.take(3), *items.get(3), items.dirty.take()), (9, 0, [3].into()));
    }
}
