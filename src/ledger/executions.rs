//! The executions that are remembered.

use super::{
    entry::Entry,
    table::{Identified, Slot, Table},
};
use crate::model::ExecutionId;

/// All executions that are remembered.
pub(super) type Executions = Table<Entry>;

impl Identified for Entry {
    type Id = ExecutionId;

    fn id(&self) -> &ExecutionId {
        &self.id
    }
}

impl Executions {
    /// Changes one, and takes note of it if that made a difference.
    pub fn change<T>(&mut self, slot: Slot, act: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.untracked(slot)?;
        let before = entry.facts();
        let result = act(entry);
        if entry.facts() != before {
            self.dirty.note(slot);
        }
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_little_room() {
        assert!(size_of::<Entry>() <= 88, "{}", size_of::<Entry>());
    }
}
