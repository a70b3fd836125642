//! The protocol: the steps that there are, and what must hold after each.

use stateright::{Model, Property};

use super::state::{Message, Replica, State};

/// How long a lease lasts, in ticks.
pub const TTL: u8 = 2;
/// So many messages are on their way at once.
const MESSAGES: usize = 2;
/// The lease changes hands until it has this epoch.
pub const LAST_EPOCH: u8 = 2;

pub const ONE_SHOWS: &str = "no two replicas show the project at the same time";
pub const COMMITS: &str = "no commit makes the count less, or comes after one of a newer epoch";
pub const NEVER_LESS: &str = "nothing less is shown than was shown before";
pub const TAKEN_OVER: &str = "another takes over from one that stopped and goes on with its count";

/// Who takes part, and the safeguards.
#[derive(Clone, Copy)]
pub struct Protocol {
    pub replicas: usize,
    /// Counting goes on up to this number.
    pub last_count: u8,
    /// A lease is trusted for less than it lasts, by so many ticks. A clock may be slow by one in the time of a lease.
    pub margin: u8,
    pub trust_from: TrustFrom,
    /// A commit of another owner, or with another epoch than the newest, changes nothing.
    pub fence: bool,
    /// Who gives a lease back takes no answer to what it asked before.
    pub forgets_released: bool,
    /// A commit changes nothing if it does not come after the one that is there.
    pub generation: bool,
}

/// The moment from which on the lease lasts, to the one who asked for it.
#[derive(Clone, Copy, PartialEq)]
pub enum TrustFrom {
    Asking,
    Answer,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Time passes, and the clocks of some do not notice: a bit for each.
    Tick {
        missed_by: u8,
    },
    /// If it still waits for an answer it closes that connection: the answer does not reach it any more, but what it
    /// asked for may be done.
    Ask(usize),
    /// Counts, and begins to write that.
    Count(usize),
    /// A clean stop, or one that has too much.
    Release(usize),
    Deliver(Message),
    Lose(Message),
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.replicas)]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let can_miss = |number: usize| state.replicas[number].steady == TTL;
        for missed_by in 0..1 << self.replicas {
            if (0..self.replicas).all(|number| !is_set(missed_by, number) || can_miss(number)) {
                steps.push(Step::Tick { missed_by });
            }
        }
        for number in 0..self.replicas {
            steps.extend([Step::Ask(number), Step::Count(number), Step::Release(number)]);
        }
        for message in &state.messages {
            steps.extend([Step::Deliver(*message), Step::Lose(*message)]);
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Tick { missed_by } => {
                state.lease.left = state.lease.left.saturating_sub(1);
                for (number, replica) in state.replicas.iter_mut().enumerate() {
                    replica.tick(is_set(missed_by, number));
                }
            }
            Step::Deliver(message) => {
                state.messages.remove(&message);
                state.deliver(message, *self);
            }
            Step::Lose(message) => _ = state.messages.remove(&message),
            Step::Ask(number) => state.ask(number),
            Step::Count(number) => state.count(number, self.last_count),
            Step::Release(number) => state.release(number, *self),
        }
        state.shown = state.shown.max(state.shown_now().max().unwrap_or_default());
        state.forget_what_does_not_matter();
        Some(state).filter(|state| state != last)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_SHOWS, |_, state: &State| state.shown_now().count() <= 1),
            Property::always(COMMITS, |_, state: &State| !state.has_bad_commit),
            Property::always(NEVER_LESS, |_, state: &State| {
                state.shown_now().all(|count| count >= state.shown)
            }),
            Property::sometimes(TAKEN_OVER, |protocol: &Self, state: &State| {
                let next = |replica: &Replica| {
                    replica.epoch == Some(2) && replica.shows() == Some(protocol.last_count)
                };
                let stopped = |replica: &Replica| {
                    replica.epoch == Some(1) && replica.account.is_some_and(|account| account.saved > 0)
                };
                state.replicas.iter().any(next) && state.replicas.iter().any(stopped)
            }),
        ]
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.messages.len() <= MESSAGES
    }
}

fn is_set(bits: u8, number: usize) -> bool {
    bits & (1 << number) != 0
}
