//! What may be wrong with answers without being an error, as it is drawn.

use std::time::Duration;

use kapso_exporter::simulator::{
    Api, Breakage, ConversationIds, Lag, Lie, Misbehaviour, Names, OddTime, OddTimes, Simulator, Subject,
    Totals, Untruth,
};
use proptest::{prelude::*, sample::subsequence};

/// One thing that is wrong for a phase.
#[derive(Clone, Debug)]
pub enum Wrong {
    /// Every so many-th answer about these says that there is nothing.
    Lie { about: Vec<Subject>, untruth: Untruth, one_in: u32 },
    /// Every so many-th answer is so many seconds old.
    Lag { seconds: u64, one_in: u32 },
    /// Every so many-th list of executions does not work.
    Broken { one_in: usize, breakage: Breakage },
    /// The page with the first conversation does not work.
    FailingPage,
    /// Cursors live for so many seconds.
    Cursors { seconds: u64 },
    /// Of the executions, so many percent are not listed by their conversations.
    Hidden { percent: u32 },
    /// Of the conversations, so many percent do not tell when they were active.
    WithoutActivity { percent: u32 },
    /// Of the conversations, so many percent claim to be active next year.
    ActiveNextYear { percent: u32 },
    /// Lists of workflows' executions omit the conversations.
    ConversationIdsOmitted,
    /// Workflows have one name in one answer and another one in the next.
    NamesAlternating,
    /// Numbered pages tell no totals.
    TotalsMissing,
    /// Agent executions are there so many seconds after their associations.
    Associations { seconds: u64 },
    /// Answers tell two limits by turns.
    LimitsAlternating,
}

impl Wrong {
    /// How old what it shows may be.
    pub fn lag(&self) -> Duration {
        match self {
            Self::Lag { seconds, .. } => Duration::from_secs(*seconds),
            _ => Duration::ZERO,
        }
    }

    fn apply(&self, simulator: &Simulator, on: &mut Misbehaviour) {
        match self {
            Self::Lie { about, untruth, one_in } => {
                let (untruth, one_in) = (*untruth, *one_in);
                on.lies.extend(about.iter().map(|&about| Lie { about, untruth, one_in }));
            }
            Self::Lag { seconds, one_in } => {
                on.lag = Some(Lag { behind: Duration::from_secs(*seconds), one_in: *one_in });
            }
            Self::Broken { one_in, breakage } => {
                let lists = lists(simulator).into_iter().step_by(*one_in);
                on.broken.extend(lists.map(|id| (id, *breakage)));
            }
            Self::FailingPage => {
                on.failing_page_of = simulator.conversation_ids(Api::Platform).first().cloned();
            }
            Self::Cursors { seconds } => on.cursor_lifetime = Some(Duration::from_secs(*seconds)),
            Self::Hidden { percent } => on.disagreement.hidden_percent = *percent,
            Self::WithoutActivity { percent } => on.disagreement.without_activity_percent = *percent,
            Self::ActiveNextYear { percent } => {
                on.odd_times = Some(OddTimes { what: OddTime::ActiveNextYear, percent: *percent });
            }
            Self::ConversationIdsOmitted => on.disagreement.conversation_ids = ConversationIds::Omitted,
            Self::NamesAlternating => on.disagreement.names = Names::Alternating,
            Self::TotalsMissing => on.totals = Totals::Missing,
            Self::Associations { seconds } => on.associated_after = Duration::from_secs(*seconds),
            Self::LimitsAlternating => on.limits_told = Some([150, 300]),
        }
    }
}

/// The ids of everything that has a list of executions.
fn lists(simulator: &Simulator) -> Vec<String> {
    let of_api = |&api: &Api| {
        let workflows = if api == Api::Platform { simulator.workflow_ids(api) } else { Vec::new() };
        [simulator.conversation_ids(api), workflows].concat()
    };
    Api::ALL.iter().flat_map(of_api).collect()
}

/// All of it together.
pub fn misbehaviour(wrongs: &[Wrong], simulator: &Simulator) -> Misbehaviour {
    let mut on = Misbehaviour::default();
    for wrong in wrongs {
        wrong.apply(simulator, &mut on);
    }
    on
}

/// What is wrong in a phase: mostly nothing.
pub fn wrongs() -> impl Strategy<Value = Vec<Wrong>> {
    prop_oneof![3 => Just(Vec::new()), 2 => prop::collection::vec(wrong(), 1..3)]
}

fn wrong() -> impl Strategy<Value = Wrong> {
    let subjects = subsequence(&Subject::ALL[..], 1..=Subject::ALL.len());
    let untruth = prop_oneof![Just(Untruth::NotFound), Just(Untruth::Empty)];
    let breakage = prop_oneof![Just(Breakage::ServerError), Just(Breakage::Forbidden), Just(Breakage::Hangs)];
    let percent = || prop_oneof![Just(100_u32), 1..100_u32];
    prop_oneof![
        4 => (subjects, untruth, 1..4_u32)
            .prop_map(|(about, untruth, one_in)| Wrong::Lie { about, untruth, one_in }),
        4 => (1..90_u64, 1..4_u32).prop_map(|(seconds, one_in)| Wrong::Lag { seconds, one_in }),
        2 => (1..4_usize, breakage).prop_map(|(one_in, breakage)| Wrong::Broken { one_in, breakage }),
        1 => Just(Wrong::FailingPage),
        1 => (1..20_u64).prop_map(|seconds| Wrong::Cursors { seconds }),
        1 => percent().prop_map(|percent| Wrong::Hidden { percent }),
        1 => percent().prop_map(|percent| Wrong::WithoutActivity { percent }),
        1 => percent().prop_map(|percent| Wrong::ActiveNextYear { percent }),
        1 => Just(Wrong::ConversationIdsOmitted),
        1 => Just(Wrong::NamesAlternating),
        1 => Just(Wrong::TotalsMissing),
        1 => (1..30_u64).prop_map(|seconds| Wrong::Associations { seconds }),
        1 => Just(Wrong::LimitsAlternating),
    ]
}
