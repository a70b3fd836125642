//! The protocol as states and steps.

use std::collections::BTreeSet;

use stateright::{Model, Property};

/// How long a lease lasts, in ticks.
const TTL: u8 = 2;
/// So many messages are on their way at once.
const MESSAGES: usize = 2;
/// The lease changes hands until it has this epoch.
const LAST_EPOCH: u8 = 2;

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

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    replicas: Vec<Replica>,
    lease: Row,
    committed: Commit,
    messages: BTreeSet<Message>,
    /// The largest count that was shown.
    shown: u8,
    has_bad_commit: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Replica {
    /// Ticks since it asked, if it waits for an answer.
    asked: Option<u8>,
    /// The epoch of the lease that it was given last, and did not give back.
    epoch: Option<u8>,
    /// Ticks for which it trusts that lease.
    trust: u8,
    account: Option<Account>,
    /// Ticks since its clock missed one.
    steady: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Account {
    counted: u8,
    /// What is known to be committed of that, which is what is shown.
    saved: u8,
}

/// The lease in the database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Row {
    owner: Option<usize>,
    epoch: u8,
    /// Ticks until it is free.
    left: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Commit {
    epoch: u8,
    count: u8,
}

/// A request or an answer. The database answers in the same step in which it does what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    Ask { from: usize, epoch: Option<u8> },
    Granted { to: usize, known: Option<u8>, epoch: u8 },
    Release { from: usize, epoch: u8 },
    Write { from: usize, epoch: u8, count: u8 },
    Written { to: usize, epoch: u8, count: u8 },
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

impl Replica {
    fn is_trusting(&self) -> bool {
        self.trust > 0
    }

    /// What it shows, by its own clock, at this moment.
    fn shows(&self) -> Option<u8> {
        self.account.filter(|_| self.is_trusting()).map(|account| account.saved)
    }

    fn tick(&mut self, is_missed: bool) {
        if is_missed {
            self.steady = 0;
            return;
        }
        self.steady = (self.steady + 1).min(TTL);
        self.trust = self.trust.saturating_sub(1);
        self.asked = self.asked.map(|ticks| (ticks + 1).min(TTL));
    }

    /// Reads the account from the database, if the lease is a new one.
    fn granted(&mut self, epoch: u8, read: Account, protocol: Protocol) {
        let Some(asked) = self.asked.take() else { return };
        let age = if protocol.trust_from == TrustFrom::Asking { asked } else { 0 };
        if self.epoch != Some(epoch) {
            (self.epoch, self.account) = (Some(epoch), Some(read));
        }
        self.trust = TTL.saturating_sub(protocol.margin + age);
    }

    fn written(&mut self, epoch: u8, count: u8) {
        if let Some(account) = self.account.as_mut().filter(|_| self.epoch == Some(epoch)) {
            account.saved = account.saved.max(count);
        }
    }
}

impl State {
    fn deliver(&mut self, message: Message, protocol: Protocol) {
        match message {
            Message::Ask { from, epoch } => self.grant(from, epoch),
            Message::Granted { to, known, epoch } => self.granted(to, (known, epoch), protocol),
            Message::Release { from, epoch } if self.is_newest(from, epoch) => self.lease.left = 0,
            Message::Release { .. } => {}
            Message::Write { from, epoch, count } => self.commit(from, Commit { epoch, count }, protocol),
            Message::Written { to, epoch, count } => self.replicas[to].written(epoch, count),
        }
    }

    /// The lease goes on, or changes hands, in one statement.
    fn grant(&mut self, to: usize, known: Option<u8>) {
        let goes_on = known.is_some_and(|epoch| self.is_newest(to, epoch));
        if !goes_on {
            if self.lease.left > 0 || self.lease.epoch == LAST_EPOCH {
                return;
            }
            self.lease = Row { owner: Some(to), epoch: self.lease.epoch + 1, left: 0 };
        }
        self.lease.left = TTL;
        self.messages.insert(Message::Granted { to, known, epoch: self.lease.epoch });
    }

    /// An answer to one that asked when it knew of that epoch.
    fn granted(&mut self, to: usize, (known, epoch): (Option<u8>, u8), protocol: Protocol) {
        if !protocol.forgets_released || self.replicas[to].epoch == known {
            let account = Account { counted: self.committed.count, saved: self.committed.count };
            self.replicas[to].granted(epoch, account, protocol);
        }
    }

    fn is_newest(&self, owner: usize, epoch: u8) -> bool {
        self.lease.owner == Some(owner) && self.lease.epoch == epoch
    }

    fn commit(&mut self, from: usize, commit: Commit, protocol: Protocol) {
        let is_fenced = protocol.fence && !self.is_newest(from, commit.epoch);
        let is_older = commit.count <= self.committed.count;
        if is_fenced || (protocol.generation && is_older) {
            return;
        }
        self.has_bad_commit |= commit.epoch < self.committed.epoch || commit.count < self.committed.count;
        self.committed = commit;
        self.messages.insert(Message::Written { to: from, epoch: commit.epoch, count: commit.count });
    }

    /// What has no effect any more is as if it had never been: so there are fewer states.
    fn forget_what_does_not_matter(&mut self) {
        for (number, replica) in self.replicas.iter_mut().enumerate() {
            let is_answer = |message: &Message| match message {
                Message::Ask { from, .. } => *from == number,
                Message::Granted { to, .. } => *to == number,
                _ => false,
            };
            if !self.messages.iter().any(is_answer) {
                replica.asked = None;
            }
            if replica.asked.is_none() && replica.trust == 0 {
                replica.steady = TTL;
            }
        }
    }

    /// Sends what the replica has to say, if it has.
    fn send(&mut self, message: Option<Message>) {
        self.messages.extend(message);
    }

    fn shown_now(&self) -> impl Iterator<Item = u8> {
        self.replicas.iter().filter_map(Replica::shows)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let replica = Replica { steady: TTL, ..Replica::default() };
        vec![State {
            replicas: vec![replica; self.replicas],
            lease: Row { owner: None, epoch: 0, left: 0 },
            committed: Commit { epoch: 0, count: 0 },
            messages: BTreeSet::new(),
            shown: 0,
            has_bad_commit: false,
        }]
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

/// What a replica does by itself; nothing, if it is not the time for it.
impl State {
    fn ask(&mut self, number: usize) {
        self.messages.retain(|message| !matches!(message, Message::Granted { to, .. } if *to == number));
        let replica = &mut self.replicas[number];
        replica.asked = Some(0);
        let message = Message::Ask { from: number, epoch: replica.epoch };
        self.send(Some(message));
    }

    fn count(&mut self, number: usize, last_count: u8) {
        let replica = &mut self.replicas[number];
        if let Some(account) = replica.account.as_mut().filter(|_| replica.trust > 0) {
            account.counted = (account.counted + 1).min(last_count);
            self.write(number);
        }
    }

    fn write(&mut self, number: usize) {
        let Replica { epoch, account, .. } = self.replicas[number];
        let message = epoch.zip(account).filter(|(_, account)| account.counted > account.saved);
        let write =
            |(epoch, account): (u8, Account)| Message::Write { from: number, epoch, count: account.counted };
        self.send(message.map(write));
    }

    fn release(&mut self, number: usize, protocol: Protocol) {
        let replica = &mut self.replicas[number];
        let released = replica.epoch.filter(|_| replica.is_trusting());
        if let Some(epoch) = released {
            let asked = replica.asked.filter(|_| !protocol.forgets_released);
            *replica = Replica { asked, steady: replica.steady, ..Replica::default() };
            self.send(Some(Message::Release { from: number, epoch }));
        }
    }
}
