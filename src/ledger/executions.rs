//! The executions that are remembered.

use super::{
    Ledger,
    entry::Entry,
    table::{Identified, Slot, Table},
};
use crate::model::ExecutionId;

/// All executions that are remembered.
pub(crate) type Executions = Table<Entry>;

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

/// A row to which an execution refers and which is not there: the name of the table, and the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unknown(pub &'static str, pub u32);

impl Ledger {
    /// Puts all executions under their workflows and their conversations.
    pub(crate) fn attach_executions(&mut self) -> Result<(), Unknown> {
        for (slot, entry) in self.executions.iter() {
            if entry.workflow as usize >= self.workflows.len() {
                return Err(Unknown("workflows", entry.workflow));
            }
            self.workflows.untracked(entry.workflow).open += usize::from(entry.is_open());
            self.open.extend(entry.is_open().then_some((slot, None)));
            let Some(number) = entry.conversation else { continue };
            let conversation =
                self.conversations.untracked(number).ok_or(Unknown("conversations", number))?;
            conversation.open += u32::from(entry.is_open());
            conversation.executions.push(slot);
        }
        Ok(())
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
