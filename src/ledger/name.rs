//! The name of a workflow: which of those that are shown is believed.
//!
//! It is a label of every series of the workflow, so it must not go back and forth where answers disagree. The list
//! of workflows decides: another name is believed once [`READINGS`] readings of it in a row have shown that one and
//! not the old one. Executions carry the name too; theirs is only taken where none is known.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::label;

/// So many readings of the list of workflows make a rename.
const READINGS: u8 = 3;

/// A workflow's name, and the one that may follow it.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Name {
    #[serde(deserialize_with = "short")]
    known: Option<Box<str>>,
    #[serde(skip)]
    candidate: Option<Box<Candidate>>,
    /// The newest reading that showed the name that is known.
    #[serde(skip)]
    confirmed: Option<u64>,
}

/// A name that was shown in the place of the known one.
#[derive(Clone)]
struct Candidate {
    name: Box<str>,
    /// By how many readings in a row, and by which one last.
    readings: u8,
    last: u64,
}

impl fmt::Debug for Name {
    /// What is kept; numbers of readings differ from one start to the next.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.known.fmt(f)
    }
}

impl Name {
    /// The name that is believed.
    pub fn get(&self) -> Option<&str> {
        self.known.as_deref()
    }

    /// Takes note that an execution carries this name.
    pub fn suggest(&mut self, name: &str) {
        self.known.get_or_insert_with(|| label::name(name).into());
    }

    /// Takes note that a page of the list of workflows shows this name, in the reading with this number.
    pub fn learn(&mut self, name: &str, reading: u64) {
        let name = label::name(name);
        let known = self.known.get_or_insert_with(|| name.as_ref().into());
        if **known == *name {
            (self.candidate, self.confirmed) = (None, Some(reading));
        } else if self.confirmed != Some(reading) && self.is_over_and_done(&name, reading) {
            *self = Self { known: Some(name.into()), candidate: None, confirmed: Some(reading) };
        }
    }

    /// Whether enough readings have shown this name, together with this one.
    fn is_over_and_done(&mut self, name: &str, reading: u64) -> bool {
        match &mut self.candidate {
            Some(candidate) if *candidate.name == *name => {
                candidate.readings += u8::from(candidate.last != reading);
                candidate.last = reading;
                candidate.readings >= READINGS
            }
            candidate => {
                *candidate = Some(Box::new(Candidate { name: name.into(), readings: 1, last: reading }));
                false
            }
        }
    }
}

fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<str>>, D::Error> {
    let name = Option::<Box<str>>::deserialize(deserializer)?;
    Ok(name.map(|name| label::name(&name).into()))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use crate::{
        account::{Account, Order, Saved, Settings},
        model::{Execution, ListedWorkflow, Page, Status, Workflow},
    };

    fn workflow(name: &str) -> Workflow {
        Workflow { id: "w".into(), name: Some(name.into()) }
    }

    fn page<T>(items: Vec<T>, last: bool) -> Page<T> {
        Page { last, ..Page::whole(items, 1, Timestamp::UNIX_EPOCH) }
    }

    /// A page of the list of workflows shows these names of one workflow.
    fn show(account: &mut Account, names: &[&str], last: bool) {
        let listed =
            |name| ListedWorkflow { workflow: workflow(name), execution_count: None, last_executed_at: None };
        account.learn_workflows(&page(names.iter().copied().map(listed).collect(), last));
    }

    /// So does a page of executions.
    fn execute(account: &mut Account, name: &str) {
        let execution = Execution {
            id: "e".into(),
            workflow: Some(workflow(name)),
            conversation: None,
            status: Status::Running,
            started_at: None,
            last_event_at: None,
            ended_at: None,
            handoff: None,
            step: None,
        };
        let mut listing = account.open(&"c".into(), Order::NewestFirst);
        account.read(&mut listing, &page(vec![execution], true), Timestamp::UNIX_EPOCH);
    }

    fn name(account: &Account) -> &str {
        account.ledger.workflows()[0].name()
    }

    fn account_with(name: &str) -> Account {
        let mut account = Account::new(Settings::default());
        show(&mut account, &[name], true);
        account
    }

    #[test]
    fn a_rename_is_believed_once_three_readings_in_a_row_have_shown_it() {
        let mut account = account_with("old");
        for _ in 0..2 {
            show(&mut account, &["new"], true);
            assert_eq!(name(&account), "old");
        }
        show(&mut account, &["new"], true);
        assert_eq!(name(&account), "new");
    }

    #[test]
    fn readings_that_disagree_change_nothing() {
        let mut account = account_with("old");
        for names in [["old", "new"], ["new", "new"], ["new", "third"]].iter().cycle().take(30) {
            for name in names {
                show(&mut account, &[name], true);
            }
            show(&mut account, &["old"], true);
            assert_eq!(name(&account), "old");
        }
        for names in ["new", "third", "fourth"].iter().cycle().take(30) {
            show(&mut account, &[names], true);
            assert_eq!(name(&account), "old", "no name was shown three times in a row");
        }
    }

    #[test]
    fn a_reading_counts_once_and_not_if_it_showed_the_old_name_too() {
        let mut account = account_with("old");
        show(&mut account, &["new", "new"], false);
        show(&mut account, &["new"], true);
        for names in [["old", "new"], ["new", "new"], ["new", "new"]] {
            show(&mut account, &names, true);
            assert_eq!(name(&account), "old");
        }
        show(&mut account, &["new"], true);
        assert_eq!(name(&account), "new");
    }

    #[test]
    fn an_execution_gives_a_name_only_where_none_is_known() {
        let mut account = Account::new(Settings::default());
        execute(&mut account, "first");
        for _ in 0..9 {
            execute(&mut account, "second");
            assert_eq!(name(&account), "first");
        }
        for _ in 0..3 {
            show(&mut account, &["listed"], true);
            execute(&mut account, "first");
        }
        assert_eq!(name(&account), "listed", "the list decides");
    }

    #[test]
    fn a_restart_keeps_the_name_and_begins_to_count_anew() {
        let mut account = account_with("old");
        for _ in 0..2 {
            show(&mut account, &["new"], true);
        }
        account.track();
        let mut account =
            Account::restore(Settings::default(), &Saved::from(account.take_changes())).unwrap();
        show(&mut account, &["new"], true);
        assert_eq!(name(&account), "old");
    }

    #[test]
    fn a_name_of_100_kb_is_cut_in_memory_and_in_state() {
        let long = "訂".repeat(33_000);
        let mut account = account_with(&long);
        assert!(name(&account).len() <= 256 && name(&account).ends_with('…'));
        for _ in 0..3 {
            show(&mut account, &["short"], true);
        }
        assert_eq!(name(&account), "short");
        execute(&mut account, &long);
        account.track();
        let rows = account.take_changes();
        let row_is_short =
            |(_, row): &(u32, Option<Vec<u8>>)| row.as_ref().is_some_and(|row| row.len() < 2000);
        assert!(rows.workflows.iter().chain(&rows.executions).all(row_is_short));
    }
    #[test]
    fn a_name_is_kept_as_the_text_alone() {
        let mut known = super::Name::default();
        assert_eq!(postcard::to_stdvec(&known), postcard::to_stdvec(&None::<&str>));
        known.learn("old", 0);
        known.learn("new", 1);
        assert_eq!(postcard::to_stdvec(&known), postcard::to_stdvec(&Some("old")));
    }
}
