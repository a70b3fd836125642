//! A store to which others write, too: it may refuse a write, or hold an older state than it did.

use super::*;
use crate::account::{Changes, Row};

/// Answers each write as it is told to, and remembers what it was given.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    answers: Vec<Fate>,
    /// Executions that were written, and how many times the account was said to have been written before.
    given: Vec<(Vec<Row>, i64)>,
}

impl Store for Scripted {
    fn kept(&self, names: &[&str]) -> Result<Vec<Kept>, Error> {
        Ok(names.iter().map(|_| Kept::default()).collect())
    }

    fn put(&mut self, writes: &[Write<'_>]) -> Result<Vec<Fate>, Error> {
        let mut script = self.0.lock();
        let given = |Write { changes: Changes { executions, .. }, mark, .. }: &Write<'_>| {
            (executions.clone(), mark.generation)
        };
        script.given.extend(writes.iter().map(given));
        Ok(writes.iter().map(|_| script.answers.remove(0)).collect())
    }

    fn tidy(&mut self, _: &InUse<'_>, _: Timestamp, _: Option<Timestamp>) -> Result<bool, Error> {
        Ok(false)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn place(&self) -> Place {
        Place::Database("db:5432/kapso".into())
    }

    fn size(&self) -> Option<u64> {
        None
    }

    fn retry_after(&self) -> Duration {
        Duration::ZERO
    }
}

/// Saves an account twice in a store that answers so; what was given to it.
fn given(answers: Vec<Fate>) -> Vec<(Vec<Row>, i64)> {
    let store = Scripted(Arc::new(Mutex::new(Script { answers, given: Vec::new() })));
    let mut keeper = Keeper::of(Box::new(store.clone()));
    let (account, _) = account_of(&mut keeper, opener("key"));
    fill(&mut account.lock());
    for _ in 0..2 {
        keeper.save(Turn::Ordinary).unwrap();
    }
    let mut script = store.0.lock();
    std::mem::take(&mut script.given)
}

#[test]
fn what_the_store_refuses_is_given_to_it_again() {
    let given = given(vec![Fate::NotOurs, Fate::Written(Mark { generation: 1 })]);
    assert_eq!(given[0], given[1]);
    assert!(given[0].0.len() > 1 && given[0].1 == 0);
}

#[test]
fn a_store_that_holds_an_older_state_is_given_everything_and_holds_nothing_else() {
    let older = Saved { executions: vec![(0, vec![1]), (77, vec![1])], ..Saved::default() };
    let answers =
        vec![Fate::Older(older.into(), Mark { generation: 3 }), Fate::Written(Mark { generation: 4 })];
    let given = given(answers);
    let (rows, generation) = &given[1];
    assert_eq!(*generation, 3);
    assert!(given[0].0.iter().all(|row| rows.contains(row)));
    assert_eq!(
        rows.iter().filter(|(_, content)| content.is_none()).map(|(n, _)| *n).collect::<Vec<_>>(),
        [77]
    );
}

#[test]
fn an_account_that_is_opened_anew_is_as_it_is_kept_since_another_process_may_have_gone_on_with_it() {
    let store = Scripted(Arc::new(Mutex::new(Script { answers: Vec::new(), given: Vec::new() })));
    let mut keeper = Keeper::of(Box::new(store));
    let (known, _) = account_of(&mut keeper, opener("key"));
    fill(&mut known.lock());
    // It is not written yet, and then known no longer.
    keeper.release("default/platform");
    let anew = keeper.account(wanted("default/platform", opener("key"))).unwrap();
    assert!(known.lock().ledger.remembered() > 0);
    assert_eq!(anew.account.lock().ledger.remembered(), 0);
}
