//! Scripting for tests: what happens, one thing at a time. Each takes effect now, in whole milliseconds, unless
//! it is given a time of its own. An execution that is scripted leaves the life that the traffic had planned.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Api, ScriptError, Simulator,
    random::whole_millis,
    state::State,
    world::{Row, World},
};

type Scripted<T = ()> = Result<T, ScriptError>;

impl Simulator {
    /// Somebody new writes, on `api` alone; the new conversation's id.
    #[must_use]
    pub fn add_conversation(&self, api: Api) -> String {
        self.with(|State { world, .. }, now| {
            let person = world.add_person();
            let row = world.add_conversation(api, person, now, now);
            world.conversations[row].id.clone()
        })
    }

    /// A message: `last_active_at` moves, and the conversation is active.
    ///
    /// # Errors
    /// Unknown conversation.
    pub fn message(&self, api: Api, conversation_id: &str) -> Scripted {
        self.with(|State { world, .. }, now| {
            let row = conversation(world, api, conversation_id)?;
            world.message(row, now);
            Ok(())
        })
    }

    /// The conversation's own status becomes `ended`.
    ///
    /// # Errors
    /// Unknown conversation.
    pub fn end_conversation(&self, api: Api, conversation_id: &str) -> Scripted {
        self.with(|State { world, .. }, now| {
            let row = conversation(world, api, conversation_id)?;
            world.end_conversation(row, now);
            Ok(())
        })
    }

    /// The conversation and its executions are no longer listed; asking for it answers 404.
    ///
    /// # Errors
    /// Unknown conversation.
    pub fn delete_conversation(&self, api: Api, conversation_id: &str) -> Scripted {
        self.with(|State { world, .. }, now| {
            let row = conversation(world, api, conversation_id)?;
            world.delete_conversation(row, now);
            Ok(())
        })
    }

    /// An execution starts, as `running` (legacy: `started`), and moves its conversation's `last_active_at`;
    /// the new execution's id.
    ///
    /// # Errors
    /// Unknown ids; a legacy execution without a conversation.
    pub fn start(&self, api: Api, workflow_id: &str, conversation_id: Option<&str>) -> Scripted<String> {
        self.with(|state, now| start(&mut state.world, api, workflow_id, conversation_id, now))
    }

    /// As [`start`](Self::start), at a time of the past.
    ///
    /// # Errors
    /// As [`start`](Self::start); a time in the future.
    pub fn start_at(
        &self,
        api: Api,
        workflow_id: &str,
        conversation_id: Option<&str>,
        at: Timestamp,
    ) -> Scripted<String> {
        self.with(|state, now| {
            start(&mut state.world, api, workflow_id, conversation_id, not_after(at, now)?)
        })
    }

    /// The execution goes into `status`, one of its API's on the wire or any other; `ended` and `failed` end it.
    /// The status that it is in already is an event only.
    ///
    /// # Errors
    /// Unknown execution.
    pub fn transition(&self, execution_id: &str, status: &str) -> Scripted {
        self.with(|state, now| transition(&mut state.world, execution_id, status, now))
    }

    /// As [`transition`](Self::transition), at a time of the past.
    ///
    /// # Errors
    /// As [`transition`](Self::transition); a time in the future, or before the execution's latest event.
    pub fn transition_at(&self, execution_id: &str, status: &str, at: Timestamp) -> Scripted {
        self.with(|state, now| transition(&mut state.world, execution_id, status, not_after(at, now)?))
    }

    /// A legacy handoff is finished: the status stays `handoff`, and there is an end time.
    ///
    /// # Errors
    /// Unknown execution; one that is not in a legacy handoff.
    pub fn finish_handoff(&self, execution_id: &str) -> Scripted {
        self.with(|State { world, .. }, now| {
            let row = taken_over(world, execution_id, now)?;
            let execution = &world.executions[row];
            if execution.api != Api::Legacy || execution.status() != "handoff" {
                return Err(ScriptError::NotInHandoff);
            }
            world.change(row, |execution| execution.end_as_it_is(now));
            Ok(())
        })
    }

    /// The execution is over in a status that the API's documentation does not know: there is an end time.
    ///
    /// # Errors
    /// Unknown execution.
    pub fn end_as(&self, execution_id: &str, status: &str) -> Scripted {
        self.with(|State { world, .. }, now| {
            let row = taken_over(world, execution_id, now)?;
            world.change(row, |execution| execution.end_as(Cow::Owned(status.to_owned()), now));
            Ok(())
        })
    }

    /// An event: `last_event_at` moves, the status stays.
    ///
    /// # Errors
    /// Unknown execution.
    pub fn touch(&self, execution_id: &str) -> Scripted {
        self.with(|State { world, .. }, now| {
            let row = taken_over(world, execution_id, now)?;
            world.change(row, |execution| execution.touch(now));
            Ok(())
        })
    }

    /// Somebody makes a workflow (or an agent, whose name is its id).
    pub fn add_workflow(&self, api: Api, id: &str, name: &str) {
        self.with(|State { world, .. }, now| world.add_workflow(api, id.to_owned(), name.to_owned(), now));
    }

    /// The workflow gets another name (agents have none).
    ///
    /// # Errors
    /// Unknown workflow.
    pub fn rename_workflow(&self, workflow_id: &str, name: &str) -> Scripted {
        self.with(|State { world, .. }, now| {
            let row = workflow(world, Api::Platform, workflow_id)?;
            name.clone_into(&mut world.workflows[row].name);
            world.workflows[row].updated_at = now;
            Ok(())
        })
    }

    /// The workflow (or agent) and its executions are no longer listed.
    ///
    /// # Errors
    /// Unknown workflow.
    pub fn delete_workflow(&self, workflow_id: &str) -> Scripted {
        self.with(|State { world, .. }, _| {
            let row = workflow(world, Api::Platform, workflow_id)
                .or_else(|_| workflow(world, Api::Legacy, workflow_id))?;
            world.workflows[row].deleted = true;
            Ok(())
        })
    }

    /// From now on `edit` alters the execution, as a list item and by itself, before it is shown; the tally
    /// doesn't change.
    ///
    /// # Errors
    /// Unknown execution.
    pub fn edit(&self, execution_id: &str, edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Scripted {
        self.with(|state, _| {
            let row = execution(&state.world, execution_id)?;
            state.edits.add(row, edit);
            Ok(())
        })
    }
}

fn start(
    world: &mut World,
    api: Api,
    workflow_id: &str,
    conversation_id: Option<&str>,
    at: Timestamp,
) -> Scripted<String> {
    let workflow = workflow(world, api, workflow_id)?;
    let conversation = conversation_id.map(|id| conversation(world, api, id)).transpose()?;
    match conversation {
        Some(row) => world.message(row, at),
        None if api == Api::Legacy => return Err(ScriptError::NeedsConversation),
        None => {}
    }
    let row = world.start(workflow, conversation, at, Vec::new());
    Ok(world.executions[row].id.clone())
}

fn transition(world: &mut World, id: &str, status: &str, at: Timestamp) -> Scripted {
    let row = taken_over(world, id, at)?;
    world.change(row, |execution| execution.enter(Cow::Owned(status.to_owned()), at));
    Ok(())
}

/// The execution, which from now on follows the script alone.
fn taken_over(world: &mut World, id: &str, at: Timestamp) -> Scripted<Row> {
    let row = execution(world, id)?;
    let execution = &mut world.executions[row];
    if at < execution.last_event_at {
        return Err(ScriptError::OutOfOrder(at));
    }
    execution.plan.clear();
    Ok(row)
}

fn not_after(at: Timestamp, now: Timestamp) -> Scripted<Timestamp> {
    let at = whole_millis(at);
    if at > now { Err(ScriptError::InTheFuture(at)) } else { Ok(at) }
}

fn workflow(world: &World, api: Api, id: &str) -> Scripted<Row> {
    world.workflow_row(api, id).ok_or_else(|| ScriptError::UnknownWorkflow(id.to_owned()))
}

fn conversation(world: &World, api: Api, id: &str) -> Scripted<Row> {
    world.conversation_row(api, id).ok_or_else(|| ScriptError::UnknownConversation(id.to_owned()))
}

fn execution(world: &World, id: &str) -> Scripted<Row> {
    world.execution_row(id).ok_or_else(|| ScriptError::UnknownExecution(id.to_owned()))
}
