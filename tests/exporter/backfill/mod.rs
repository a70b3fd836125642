//! `backfill`: what it writes of the past equals the simulator's own tally, at every moment.

mod samples;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kapso_exporter::simulator::{
    Api, DEFAULT_KEY, Fault, Faults, Scenario, Simulator, Traffic, WorkflowTally,
};
use tempfile::TempDir;

use self::samples::{Samples, files, tallied};
use crate::support::{ConfigFile, Finished, Kapso, interrupt, run_to_end};

const AMPLE: &str = "--scrape.requests-per-minute=100000";

/// Three days of the past, of which a fifth belongs to no conversation; nothing moves now.
fn business() -> Scenario {
    Scenario {
        workflows: ["Order Support", "Leads \"A\"", "Never ran"].map(Into::into).into(),
        conversations: 30,
        history: 900,
        open_history: 20,
        traffic: Traffic { failure_ratio: 0.2, without_conversation: 0.2, ..Traffic::default() },
        ..Scenario::quiet(1)
    }
}

fn output(folder: &TempDir) -> String {
    format!("--output={}", folder.path().display())
}

async fn backfill(kapso: &Kapso, folder: &TempDir, args: &[&str]) -> Finished {
    let output = output(folder);
    kapso.run("backfill", &[&[AMPLE, &output], args].concat()).await
}

async fn backfilled(kapso: &Kapso, args: &[&str]) -> (TempDir, Samples) {
    let folder = tempfile::tempdir().unwrap();
    let Finished { code, stdout, stderr } = backfill(kapso, &folder, args).await;
    assert_eq!(code, Some(0), "{stderr}");
    let told: Vec<PathBuf> = stdout.lines().map(Into::into).collect();
    assert_eq!(told, files(folder.path()), "the names of the files are told");
    let samples = Samples::of(folder.path());
    (folder, samples)
}

fn tally(simulator: &Simulator, since: Timestamp) -> Vec<WorkflowTally> {
    let all = simulator.tally(since, Duration::from_hours(24)).workflows;
    all.into_iter().filter(|workflow| workflow.api == Api::Platform).collect()
}

/// Whether at this moment the counters since `since` hold what happened before `until`.
fn assert_counts(simulator: &Simulator, samples: &Samples, at: i64, [since, until]: [Timestamp; 2]) {
    for (since, later) in tally(simulator, since).iter().zip(&tally(simulator, until)) {
        let (counts, expected) = (samples.counts(&since.workflow_id, at), tallied(since, later));
        let differ = counts.iter().zip(expected).any(|(count, expected)| (count - expected).abs() > 1e-6);
        assert!(!differ, "{} at {at}: {counts:?}, expected {expected:?}", since.workflow_id);
    }
}

fn hours_before(at: Timestamp, hours: i64) -> Timestamp {
    at - SignedDuration::from_hours(hours)
}

#[tokio::test]
async fn at_every_moment_the_counters_are_what_had_happened_by_then() {
    let kapso = Kapso::start(business()).await;
    let until = hours_before(kapso.simulator.started_at(), 2);
    let since = hours_before(until, 55);
    let (_folder, samples) =
        backfilled(&kapso, &[&format!("--since={since}"), &format!("--until={until}"), "--step=5m"]).await;
    let (first, end) = (since.as_second() * 1000, until.as_millisecond());
    let moments: Vec<_> = samples.moments().into_iter().collect();
    let grid = moments[1..moments.len() - 2].to_vec();
    assert_eq!((moments[0], &moments[moments.len() - 2..]), (first, &[end - 2, end - 1][..]));
    assert!(grid.iter().all(|at| at % 300_000 == 0) && grid.len() == 660, "{}", grid.len());
    for &at in [first].iter().chain(grid.iter().step_by(37)) {
        assert_counts(&kapso.simulator, &samples, at, [since, Timestamp::from_millisecond(at).unwrap()]);
    }
    assert_counts(&kapso.simulator, &samples, end - 2, [since, until]);
    assert!(samples.counts("flow_1", end - 2).iter().all(|&count| count > 0.0), "something was counted");
    assert_eq!(samples.counts("flow_1", end - 1), [0.0; 7], "the next exporter begins at zero");
    assert_eq!(samples.jumping(), Vec::<&str>::new(), "all series begin at zero");
}

#[tokio::test]
async fn the_end_without_a_word_of_it_is_now_and_the_beginning_may_be_a_time() {
    let kapso = Kapso::start(business()).await;
    let (folder, samples) = backfilled(&kapso, &["--since=60h"]).await;
    let moments = samples.moments();
    let (first, last) = (*moments.first().unwrap(), *moments.last().unwrap());
    assert!((last + 1 - first - 60 * 3_600_000) < 1000, "{first} {last}");
    assert!(last >= kapso.simulator.started_at().as_millisecond() - 2);
    let plan = fs::read_to_string(folder.path().join("backfill.json")).unwrap();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let since: Timestamp = plan["span"]["since"].as_str().unwrap().parse().unwrap();
    assert_eq!(since.as_second() * 1000, first);
    assert_counts(&kapso.simulator, &samples, last - 1, [since, kapso.simulator.now()]);
}

/// A series without the labels of a scrape, with its others in order, and bounds as numbers: the plain text format writes
/// them without a fraction.
fn normal(series: &str) -> (String, Vec<String>) {
    let (name, labels) = series.split_once('{').unwrap();
    let of_scrape = |label: &&str| label.starts_with("job=") || label.starts_with("instance=");
    let number = |label: &str| match label.strip_prefix("le=\"") {
        Some(bound) => format!("le={}", bound.parse::<f64>().unwrap()),
        None => label.to_owned(),
    };
    let labels = labels.trim_end_matches("\"}").split("\",").filter(|label| !of_scrape(label));
    let mut labels: Vec<_> = labels.map(number).collect();
    labels.sort();
    (name.to_owned(), labels)
}

#[tokio::test]
async fn series_have_the_names_and_labels_of_the_running_exporter_and_those_of_the_scrape() {
    let kapso = Kapso::start(business()).await;
    let labels = ["--label=job=kapso,instance=exporter:10110", "--scrape.source=workflows"];
    let (folder, samples) = backfilled(&kapso, &[&["--since=60h", "--step=15m"], &labels[..]].concat()).await;
    let Finished { stdout, .. } = kapso.run("once", &[AMPLE, labels[1]]).await;
    let own = [
        "kapso_executions_started_total",
        "kapso_executions_finished_total",
        "kapso_execution_duration_seconds",
    ];
    let live = stdout.lines().filter(|line| own.iter().any(|name| line.starts_with(name)));
    let live: BTreeSet<_> = live.map(|line| normal(line.rsplit_once(' ').unwrap().0)).collect();
    assert_eq!(samples.names().map(normal).collect::<BTreeSet<_>>(), live);
    assert_eq!(live.len(), 3 * (3 + 2 * 19));
    let text = fs::read_to_string(&files(folder.path())[1]).unwrap();
    for line in [
        "# TYPE kapso_executions_started counter",
        "# TYPE kapso_execution_duration_seconds_bucket unknown",
        "# TYPE kapso_execution_duration_seconds_count unknown",
        "kapso_executions_started_total{job=\"kapso\",instance=\"exporter:10110\",api=\"platform\",project=\"default\",\
         workflow_id=\"flow_2\",workflow_name=\"Leads \\\"A\\\"\"} ",
        "kapso_execution_duration_seconds_bucket{job=\"kapso\",instance=\"exporter:10110\",api=\"platform\",\
         project=\"default\",status=\"failed\",workflow_id=\"flow_1\",workflow_name=\"Order Support\",le=\"1.0\"} ",
        "workflow_name=\"Order Support\",le=\"+Inf\"} ",
    ] {
        assert!(text.contains(line), "{line}");
    }
    assert!(!text.contains("_created") && !text.contains("handoff"));
}

#[tokio::test]
async fn a_histogram_begins_empty_a_step_before_its_first_value() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let now = kapso.simulator.started_at();
    let day = SignedDuration::from_hours(24);
    let midnight = Timestamp::from_second((now - day * 2).as_second().div_euclid(86400) * 86400).unwrap();
    let began = |status: &str, samples: &Samples| {
        let labels = [("status", status), ("workflow_id", "flow_1")];
        let series = samples.series("kapso_execution_duration_seconds_count", &labels).unwrap();
        let begin = midnight.as_millisecond();
        series.iter().take(3).map(|(at, value)| ((at - begin) / 1000, *value)).collect::<Vec<_>>()
    };
    // On either side of midnight, where the empty sample is the one of midnight, or of another file than the first value.
    for (status, seconds) in [("failed", 1), ("ended", -1)] {
        let at = midnight + SignedDuration::from_secs(seconds);
        let start = at - SignedDuration::from_secs(100);
        let id = kapso.simulator.start_at(Api::Platform, "flow_1", None, start).unwrap();
        kapso.simulator.transition_at(&id, status, at).unwrap();
    }
    let (_folder, samples) = backfilled(&kapso, &["--since=4d"]).await;
    assert_eq!(began("failed", &samples), [(0, 0.0), (60, 1.0), (120, 1.0)]);
    assert_eq!(began("ended", &samples), [(-60, 0.0), (0, 1.0), (60, 1.0)]);
    let ended = samples
        .series("kapso_execution_duration_seconds_count", &[("status", "ended"), ("workflow_id", "flow_2")]);
    let end = *samples.moments().last().unwrap();
    assert_eq!(ended, Some(&[(end, 0.0)].into()), "what never ended begins with the next exporter");
}

/// What a backfill wrote, by file.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let text = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    files(folder).iter().map(text).collect()
}

#[tokio::test]
async fn what_was_interrupted_goes_on_and_writes_the_same_with_no_page_read_twice_but_the_last() {
    let slow = Scenario { latency: Duration::from_millis(100), history: 6000, ..business() };
    let kapso = Kapso::start(slow).await;
    let until = kapso.simulator.started_at();
    let (folder, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let span = [format!("--since={}", hours_before(until, 60)), format!("--until={until}")];
    let span = [span[0].as_str(), &span[1], "--step=15m"];

    let (urls, output) = (kapso.flags(), output(&folder));
    let args = [&["backfill", &urls[0], &urls[1], AMPLE, &output, "--log.level=error"], &span[..]].concat();
    let env = [("KAPSO_API_KEY", DEFAULT_KEY)];
    let Finished { code, stdout, stderr } =
        interrupt(&args, &env, async || kapso.simulator.requests().len() > 20).await;
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(stderr, "error: interrupted: the same command goes on from here\n");
    assert_eq!(files(folder.path()).len(), 0, "no file before all was read");

    let Finished { code, stderr, .. } = backfill(&kapso, &folder, &span).await;
    assert_eq!(code, Some(0), "{stderr}");
    let mut pages = BTreeMap::<_, u32>::new();
    for request in kapso.simulator.requests() {
        *pages.entry((request.path, request.query)).or_default() += 1;
    }
    let twice = pages.values().filter(|&&times| times > 1).count();
    assert!(pages.values().all(|&times| times <= 2) && twice <= 3, "{twice} pages were read twice");
    assert!(pages.len() > 60, "{} pages", pages.len());

    assert_eq!(backfill(&kapso, &whole, &span).await.code, Some(0));
    assert!(texts(folder.path()) == texts(whole.path()), "as if it had not been interrupted");
    assert_counts(
        &kapso.simulator,
        &Samples::of(folder.path()),
        until.as_millisecond() - 2,
        [hours_before(until, 60), until],
    );
}

#[tokio::test]
async fn what_was_read_is_written_again_with_other_labels_and_steps_without_a_request() {
    let kapso = Kapso::start(business()).await;
    let (folder, _) = backfilled(&kapso, &["--since=60h", "--step=15m"]).await;
    let before = kapso.simulator.requests().len();
    let Finished { code, stderr, .. } =
        backfill(&kapso, &folder, &["--since=60h", "--step=30m", "--label=job=k"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(kapso.simulator.requests().len(), before);
    assert!(texts(folder.path())[0].1.contains("{job=\"k\",api="));
}

#[tokio::test]
async fn what_fails_is_asked_for_again_and_counts_once() {
    let kapso = Kapso::start(Scenario { history: 3000, ..business() }).await;
    let until = kapso.simulator.started_at();
    let kinds = Fault::ALL.into_iter();
    let kinds =
        kinds.filter(|fault| ![Fault::Hang, Fault::OddRefusal, Fault::RateLimited].contains(fault)).collect();
    kapso.simulator.set_faults(Faults { one_in: 5, kinds });
    let span = [format!("--since={}", hours_before(until, 60)), format!("--until={until}")];
    let (_folder, samples) =
        backfilled(&kapso, &[&span[0], &span[1], "--step=15m", "--scrape.timeout=2s"]).await;
    assert_counts(&kapso.simulator, &samples, until.as_millisecond() - 2, [hours_before(until, 60), until]);
}

#[tokio::test]
async fn a_key_that_is_refused_is_said_and_nothing_is_written() {
    let kapso = Kapso::start(business()).await;
    let folder = tempfile::tempdir().unwrap();
    let output = output(&folder);
    let Finished { code, stdout, stderr } =
        kapso.run_with_key("wrong-key", "backfill", &["--since=1d", &output]).await;
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    let said = "error: not all could be read, and the same command goes on from here: default: workflows: workflows \
                answered 401 Unauthorized\n";
    assert!(stderr.ends_with(said) && !stderr.contains("wrong-key"), "{stderr}");
    assert_eq!(files(folder.path()).len(), 0);
}

#[tokio::test]
async fn filters_leave_out_what_the_running_exporter_leaves_out() {
    let kapso = Kapso::start(business()).await;
    let until = kapso.simulator.started_at();
    let all = tally(&kapso.simulator, hours_before(until, 60));
    let started = |samples: &Samples| samples.counts("flow_1", until.as_millisecond() - 2)[0];
    let span =
        [format!("--since={}", hours_before(until, 60)), format!("--until={until}"), "--step=1h".into()];
    let with = async |more: &str| {
        let mut file = ConfigFile::new();
        file.watch("acme", &kapso, more);
        let folder = tempfile::tempdir().unwrap();
        let (config, output) = (file.flag(), output(&folder));
        let args = ["backfill", &config, &output, &span[0], &span[1], &span[2]];
        let Finished { code, stderr, .. } = run_to_end(&args, &[]).await;
        assert_eq!(code, Some(0), "{stderr}");
        Samples::of(folder.path())
    };
    let excluded = with("    workflows: {exclude: ['Leads*']}\n").await;
    assert_eq!(started(&excluded), all[0].started as f64);
    assert_eq!(excluded.series("kapso_executions_started_total", &[("workflow_id", "flow_2")]), None);

    let with_conversation = started(&with("    sources: [conversations]\n").await);
    let share = with_conversation / all[0].started as f64;
    assert!((0.6..0.95).contains(&share), "executions without a conversation are left out: {share}");

    let conversations = kapso.simulator.conversation_ids(Api::Platform);
    let named =
        started(&with(&format!("    conversations: [{}, {}]\n", conversations[0], conversations[1])).await);
    assert!(named > 0.0 && named < with_conversation / 3.0, "{named} of {with_conversation}");
}

#[tokio::test]
async fn phone_numbers_leave_out_the_conversations_of_others() {
    let kapso = Kapso::start(business()).await;
    let until = kapso.simulator.started_at();
    let mut sums = Vec::new();
    for numbers in ["'100000000000001'", "'100000000000002'", "'100000000000001', '100000000000002'"] {
        let mut file = ConfigFile::new();
        file.watch("acme", &kapso, &format!("    phone_number_ids: [{numbers}]\n"));
        let folder = tempfile::tempdir().unwrap();
        let (config, output, until_flag) = (file.flag(), output(&folder), format!("--until={until}"));
        let args = ["backfill", &config, &output, "--since=60h", &until_flag, "--step=1h"];
        let Finished { code, stderr, .. } = run_to_end(&args, &[]).await;
        assert_eq!(code, Some(0), "{stderr}");
        sums.push(Samples::of(folder.path()).counts("flow_1", until.as_millisecond() - 2)[0]);
    }
    assert!(sums[0] > 0.0 && sums[1] > 0.0 && sums[0] + sums[1] == sums[2], "{sums:?}");
}

#[tokio::test]
async fn all_projects_of_a_configuration_are_written_to_the_same_files() {
    let kapso = Kapso::start(business()).await;
    let until = kapso.simulator.started_at();
    let mut file = ConfigFile::new();
    file.watch("acme", &kapso, "");
    file.watch("umbrella", &kapso, "");
    file.watch("legacy", &kapso, "    sources: [agents]\n");
    let folder = tempfile::tempdir().unwrap();
    let (config, output, until_flag) = (file.flag(), output(&folder), format!("--until={until}"));
    let args = ["backfill", &config, &output, "--since=60h", &until_flag, "--step=1h"];
    let Finished { code, stderr, .. } = run_to_end(&args, &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("agents of the legacy API are not backfilled") && stderr.contains("project=legacy"),
        "{stderr}"
    );
    let (samples, expected) = (Samples::of(folder.path()), tally(&kapso.simulator, hours_before(until, 60)));
    for project in ["acme", "umbrella"] {
        let labels = [("project", project), ("workflow_id", "flow_1")];
        let started = samples.value("kapso_executions_started_total", &labels, until.as_millisecond() - 2);
        assert_eq!(started, expected[0].started as f64, "{project}");
    }
}

#[tokio::test]
async fn another_backfill_in_the_same_folder_is_refused() {
    let kapso = Kapso::start(business()).await;
    let (folder, _) = backfilled(&kapso, &["--since=60h", "--step=1h"]).await;
    for (args, said) in [
        (&["--since=61h"][..], "holds a backfill with --since 60h and without --until: give the same"),
        (&["--since=60h", "--scrape.source=conversations"], "default.journal is of another backfill"),
    ] {
        let Finished { code, stderr, .. } = backfill(&kapso, &folder, args).await;
        assert_eq!(code, Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
    }
}

#[tokio::test]
async fn what_is_wrong_on_the_command_line_asks_nothing_and_leaves_no_file() {
    let key = [("KAPSO_API_KEY", "k")];
    let folder = tempfile::tempdir().unwrap();
    let output = output(&folder);
    for (args, said) in [
        (&["--since=1d"][..], "--output <DIR>"),
        (&[&output], "--since <TIME>"),
        (&["--since=soon", &output], "expected a duration such as 30d, an RFC 3339 time"),
        (&["--since=1d", "--until=7d", &output], "expected an RFC 3339 time"),
        (&["--since=1d", "--step=7m", &output], "that divides a day"),
        (&["--since=1d", "--label=status=x", &output], "sets the label status itself"),
        (&["--since=1d", "--label=job=a", "--label=job=b", &output], "the label job is given twice"),
        (&["--since=1d", "--until=2100-01-01T00:00:00Z", &output], "--until must not be in the future"),
        (
            &["--since=1d", "--scrape.source=agents", &output],
            "nothing to backfill with the source agents alone",
        ),
    ] {
        let Finished { code, stdout, stderr } = run_to_end(&[&["backfill"], args].concat(), &key).await;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{args:?}");
    }
}
