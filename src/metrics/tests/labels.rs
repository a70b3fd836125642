//! Text from outside in labels.

use super::*;

impl World {
    /// The list of workflows shows one with this name.
    fn name(&mut self, id: &str, name: &str) {
        let workflow = Workflow { id: id.into(), name: Some(name.into()) };
        let page =
            self.page(vec![ListedWorkflow { workflow, execution_count: None, last_executed_at: None }]);
        self.account.learn_workflows(&page);
    }
}

#[test]
fn a_name_of_100_kb_makes_a_small_exposition() {
    let mut world = World::with(10, 10);
    world.name("w", &"訂單 ".repeat(15_000));
    let execution = world.start("w");
    world.observe(&execution, "w", Status::Waiting, Some(&"x".repeat(100_000)));
    let text = world.text();
    assert!(text.len() < 100_000, "{} bytes", text.len());
    assert_eq!(world.values("kapso_executions_started_total", "workflow_id"), counts([("w", 1)]));
}

#[test]
fn labels_hold_no_line_break_no_escape_sequence_and_nothing_that_turns_the_direction() {
    let mut world = World::with(10, 10);
    let hostile = "a\"b\\c\nd\r\u{1b}[2Je\0f\u{202e}g\u{2066}h\u{2028}i";
    world.name("w", hostile);
    let execution = world.start("w\n");
    world.observe(&execution, "w\n", Status::Waiting, Some(hostile));
    let text = world.text();
    let clean =
        "workflow_name=\"a\\\"b\\\\c\u{fffd}d\u{fffd}\u{fffd}[2Je\u{fffd}f\u{fffd}g\u{fffd}h\u{fffd}i\"";
    assert!(text.contains(clean), "{text}");
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
    assert!(!text.contains(['\u{202e}', '\u{2066}', '\u{2028}']));
    assert!(text.lines().all(|line| line.starts_with("# ") || line.starts_with("kapso_")));
}

#[test]
fn what_is_equal_once_it_was_cut_or_cleaned_stays_apart() {
    let mut world = World::with(10, 10);
    let long = "x".repeat(300);
    let ids = [format!("{long}a"), format!("{long}b"), "y\n".into(), "y\r".into(), "y\u{fffd}".into()];
    for id in &ids {
        let execution = world.start(id);
        world.observe(&execution, "w", Status::Waiting, Some(id));
    }
    let steps = world.values("kapso_open_executions_at_step", "step");
    assert_eq!(steps.into_values().collect::<Vec<_>>(), [1.0; 5]);
    let workflows = world.starts();
    assert_eq!(workflows.len(), 6, "{workflows:?}");
    assert!(workflows.keys().all(|id| id.len() <= 256));
}
