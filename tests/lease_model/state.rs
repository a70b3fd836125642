//! What there is at one moment: the replicas, the rows of the database, and the messages between them.

use std::collections::BTreeSet;

use super::protocol::{LAST_EPOCH, Protocol, TTL, TrustFrom};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub replicas: Vec<Replica>,
    pub lease: Row,
    committed: Commit,
    pub messages: BTreeSet<Message>,
    /// The largest count that was shown.
    pub shown: u8,
    pub has_bad_commit: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Replica {
    /// Ticks since it asked, if it waits for an answer.
    asked: Option<u8>,
    /// The epoch of the lease that it was given last, and did not give back.
    pub epoch: Option<u8>,
    /// Ticks for which it trusts that lease.
    pub trust: u8,
    pub account: Option<Account>,
    /// Ticks since its clock missed one.
    pub steady: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    counted: u8,
    /// What is known to be committed of that, which is what is shown.
    pub saved: u8,
}

/// The lease in the database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    owner: Option<usize>,
    epoch: u8,
    /// Ticks until it is free.
    pub left: u8,
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

impl Replica {
    fn is_trusting(&self) -> bool {
        self.trust > 0
    }

    /// What it shows, by its own clock, at this moment.
    pub fn shows(&self) -> Option<u8> {
        self.account.filter(|_| self.is_trusting()).map(|account| account.saved)
    }

    pub fn tick(&mut self, is_missed: bool) {
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
    /// Nobody has asked for anything yet.
    pub fn new(replicas: usize) -> Self {
        let replica = Replica { steady: TTL, ..Replica::default() };
        Self {
            replicas: vec![replica; replicas],
            lease: Row { owner: None, epoch: 0, left: 0 },
            committed: Commit { epoch: 0, count: 0 },
            messages: BTreeSet::new(),
            shown: 0,
            has_bad_commit: false,
        }
    }

    pub fn deliver(&mut self, message: Message, protocol: Protocol) {
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
    pub fn forget_what_does_not_matter(&mut self) {
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

    pub fn shown_now(&self) -> impl Iterator<Item = u8> {
        self.replicas.iter().filter_map(Replica::shows)
    }
}

/// What a replica does by itself; nothing, if it is not the time for it.
impl State {
    pub fn ask(&mut self, number: usize) {
        self.messages.retain(|message| !matches!(message, Message::Granted { to, .. } if *to == number));
        let replica = &mut self.replicas[number];
        replica.asked = Some(0);
        let message = Message::Ask { from: number, epoch: replica.epoch };
        self.send(Some(message));
    }

    pub fn count(&mut self, number: usize, last_count: u8) {
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

    pub fn release(&mut self, number: usize, protocol: Protocol) {
        let replica = &mut self.replicas[number];
        let released = replica.epoch.filter(|_| replica.is_trusting());
        if let Some(epoch) = released {
            let asked = replica.asked.filter(|_| !protocol.forgets_released);
            *replica = Replica { asked, steady: replica.steady, ..Replica::default() };
            self.send(Some(Message::Release { from: number, epoch }));
        }
    }
}
