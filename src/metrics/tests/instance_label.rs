//! The `instance` label that streams bring themselves, where several replicas show one project after the other.

use super::*;
use crate::metrics::sink::{Labels, Value};

/// The names of the labels of each series.
#[derive(Default)]
struct Names {
    family: &'static str,
    names: Vec<(&'static str, Vec<&'static str>)>,
}

impl Sink for Names {
    fn begin(&mut self, family: &crate::metrics::Family) {
        self.family = family.name;
    }

    fn sample(&mut self, labels: &Labels<'_>, _: &Value<'_>) {
        self.names.push((self.family, labels.iter().map(|(name, _)| *name).collect()));
    }
}

fn names(of: Of<'_>) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut names = Names::default();
    TABLE.iter().for_each(|family| family.collect(of, &mut names));
    names.names
}

/// A stream with an execution, shown as that of `instance`.
fn view(instance: Option<&str>) -> View {
    let mut world = World::with(10, 10);
    world.limits.conversations = 1;
    let execution = world.start("w");
    world.observe(&execution, "w", Status::Waiting, Some("ask"));
    world.admit();
    View { instance: instance.map(Into::into), ..world.view().0 }
}

#[test]
fn every_series_of_a_stream_has_it_in_its_place() {
    let view = view(Some("kapso"));
    let all = names(Of::Stream(&view));
    assert!(all.len() > 50, "{}", all.len());
    for (family, names) in all {
        assert!(names.contains(&"instance") && names.is_sorted(), "{family}: {names:?}");
    }
}

#[test]
fn without_one_no_series_has_it() {
    let view = view(None);
    let all = names(Of::Stream(&view));
    assert!(all.iter().all(|(_, names)| !names.contains(&"instance")));
}

#[test]
fn the_process_has_none() {
    let all = names(Of::Instance(&InstanceMetrics::default().now()));
    assert!(!all.is_empty() && all.iter().all(|(_, names)| !names.contains(&"instance")));
}

#[test]
fn it_makes_no_more_series_and_changes_no_value() {
    let (with, without) = (view(Some("kapso")), view(None));
    let instance = InstanceMetrics::default().now();
    let text = text_of(&instance, &with);
    assert!(text.contains(
        "\nkapso_executions_started_total{api=\"platform\",instance=\"kapso\",project=\"p\",workflow_id=\"w\",workflow_name=\"w\"} 1\n"
    ));
    assert_eq!(text.replace("instance=\"kapso\",", ""), text_of(&instance, &without));
}
