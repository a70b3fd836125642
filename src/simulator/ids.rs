//! What there is, for scripts to choose from.

use jiff::Timestamp;

use super::{Api, Simulator, state::State, world::Key};

impl Simulator {
    /// The conversations of `api` that are not deleted, oldest first.
    #[must_use]
    pub fn conversation_ids(&self, api: Api) -> Vec<String> {
        self.with(|state, _| {
            let all = state.world.conversations.iter();
            all.filter(|one| one.api == api && one.deleted_at.is_none()).map(|one| one.id.clone()).collect()
        })
    }

    /// The workflows (or agents) of `api` that are not deleted.
    #[must_use]
    pub fn workflow_ids(&self, api: Api) -> Vec<String> {
        self.with(|state, _| {
            let rows = state.world.present_workflows(api).into_iter();
            rows.map(|row| state.world.workflows[row].id.clone()).collect()
        })
    }

    /// The executions of `api` that are not deleted, in the order in which they were made.
    #[must_use]
    pub fn execution_ids(&self, api: Api) -> Vec<String> {
        self.with(|State { world, .. }, _| {
            let all = world.executions.iter().enumerate();
            let there = all.filter(|&(row, one)| one.api == api && !world.is_gone(row));
            there.map(|(_, one)| one.id.clone()).collect()
        })
    }

    /// The executions of `api` that ended before `before`, have not been resumed and are not deleted.
    #[must_use]
    pub fn finished_before(&self, api: Api, before: Timestamp) -> Vec<String> {
        self.with(|State { world, .. }, _| {
            let all = world.executions.iter().enumerate();
            let there = all.filter(|&(row, one)| one.api == api && !world.is_gone(row));
            let over = there.filter(|(_, one)| one.ended_at().is_some_and(|ended_at| ended_at < before));
            over.map(|(_, one)| one.id.clone()).collect()
        })
    }

    /// The executions of `api` that are open, were never handed off and are not deleted.
    #[must_use]
    pub fn open_without_handoff(&self, api: Api) -> Vec<String> {
        self.with(|State { world, .. }, _| {
            let all = world.executions.iter().enumerate();
            let there = all.filter(|&(row, one)| one.api == api && !world.is_gone(row));
            let open = there.filter(|(_, one)| one.ended_at().is_none() && one.handoffs().next().is_none());
            open.map(|(_, one)| one.id.clone()).collect()
        })
    }

    /// The conversations of `api` that are not deleted, and in which nothing happened since `since`.
    #[must_use]
    pub fn conversations_at_rest(&self, api: Api, since: Timestamp) -> Vec<String> {
        self.with(|State { world, .. }, _| {
            let moved = |&(_, row): &Key| world.executions[row].last_event_at >= since;
            let present = world.side(api).present.iter().map(|&row| &world.conversations[row]);
            let at_rest =
                present.filter(|one| one.last_active_at < since && !one.executions.iter().any(moved));
            at_rest.map(|one| one.id.clone()).collect()
        })
    }

    /// How many conversations of `api` that are not deleted have open executions.
    #[must_use]
    pub fn conversations_with_open_executions(&self, api: Api) -> usize {
        self.with(|State { world, .. }, _| {
            let is_open = |&(_, row): &Key| world.executions[row].ended_at().is_none();
            let present = world.side(api).present.iter().map(|&row| &world.conversations[row]);
            present.filter(|conversation| conversation.executions.iter().any(is_open)).count()
        })
    }
}
