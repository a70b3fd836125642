//! `once`: one sweep, its numbers on stdout, and an exit code that tells whether something is missing.

use std::time::Duration;

use jiff::SignedDuration;
use kapso_exporter::simulator::{Api, DEFAULT_KEY, Scenario};

use crate::support::{Exposition, Finished, Kapso, differences, interrupt, run_against, run_to_end};

const AMPLE: &str = "--scrape.requests-per-minute=100000";
const BOTH: &str = "--scrape.source=conversations,agents";

fn business() -> Scenario {
    Scenario {
        conversations: 30,
        history: 50,
        open_history: 10,
        busy_conversation: 130,
        ..Scenario::quiet(1)
    }
}

#[tokio::test]
async fn one_sweep_brings_every_number_of_the_tally() {
    let kapso = Kapso::start(business()).await;
    let Finished { code, stdout, stderr } =
        kapso.run("once", &[AMPLE, BOTH, "--scrape.conversation-max-age=3650d"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let exposition = Exposition::parse(&stdout);
    let apis = [Api::Platform, Api::Legacy];
    assert_eq!(differences(&kapso.simulator, &exposition, &apis), Vec::<String>::new());
    for api in ["platform", "legacy"] {
        assert_eq!(exposition.value("kapso_up", &[("api", api)]), Some(1.0));
    }
}

#[tokio::test]
async fn a_clock_of_ours_that_is_wrong_makes_it_wait_and_no_more() {
    let kapso = Kapso::start(business()).await;
    kapso.simulator.set_date_offset(SignedDuration::from_hours(1));
    let Finished { code, stdout, stderr } =
        kapso.run("once", &[AMPLE, "--scrape.source=conversations"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stderr.matches("this machine and Kapso tell different times").count(), 1, "{stderr}");
    assert_eq!(Exposition::parse(&stdout).value("kapso_up", &[("api", "platform")]), Some(1.0));
}

#[tokio::test]
async fn a_refused_key_is_said_and_the_metrics_tell_that_nothing_is_known() {
    let kapso = Kapso::start(business()).await;
    let Finished { code, stdout, stderr } = kapso.run_with_key("wrong-key", "once", &[BOTH]).await;
    assert_eq!(code, Some(1));
    let exposition = Exposition::parse(&stdout);
    for api in ["platform", "legacy"] {
        assert_eq!(exposition.value("kapso_up", &[("api", api)]), Some(0.0));
    }
    let said = "error: the sweep was incomplete: agents: conversations answered 401 Unauthorized; \
                conversations: workflows answered 401 Unauthorized\n";
    assert!(stderr.ends_with(said), "{stderr}");
    assert!(!stderr.contains("wrong-key") && !stdout.contains("wrong-key"));
}

#[tokio::test]
async fn an_absent_legacy_api_is_not_incomplete() {
    let kapso = Kapso::start(Scenario { legacy: false, ..business() }).await;
    let Finished { code, stdout, stderr } = kapso.run("once", &[AMPLE, BOTH]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let exposition = Exposition::parse(&stdout);
    assert_eq!(exposition.value("kapso_up", &[("api", "platform")]), Some(1.0));
    assert_eq!(exposition.value("kapso_up", &[("api", "legacy")]), None);
}

#[tokio::test]
async fn agents_are_added_where_the_legacy_api_shows_any_and_it_is_absent_otherwise() {
    let unused = Scenario { conversations: 20, ..Scenario::quiet(1) };
    let absent = Scenario { legacy: false, ..business() };
    for (scenario, up) in [(business(), Some(1.0)), (unused, None), (absent, None)] {
        let kapso = Kapso::start(scenario).await;
        let Finished { code, stdout, stderr } = kapso.run("once", &[AMPLE]).await;
        assert_eq!(code, Some(0), "{stderr}");
        let exposition = Exposition::parse(&stdout);
        assert_eq!(exposition.value("kapso_up", &[("api", "platform")]), Some(1.0));
        assert_eq!(exposition.value("kapso_up", &[("api", "legacy")]), up);
    }
}

#[tokio::test]
async fn an_api_that_is_down_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let Finished { code, stdout, stderr } = run_against(port, DEFAULT_KEY, "once", &[]).await;
    assert_eq!(code, Some(1));
    assert_eq!(Exposition::parse(&stdout).value("kapso_up", &[("api", "platform")]), Some(0.0));
    assert!(stderr.contains("error: the sweep was incomplete: auto: workflows: "), "{stderr}");
}

#[tokio::test]
async fn sigint_ends_it_while_kapso_makes_it_wait() {
    let kapso = Kapso::start(Scenario { rate_limit: Some(4), ..Scenario::quiet(1) }).await;
    let args = [AMPLE, "--scrape.conversation-max-age=3650d", "--log.level=error"];
    let flags = kapso.flags();
    let args = [&["once", &flags[0], &flags[1]], args.as_slice()].concat();
    let refused = async || kapso.simulator.requests().iter().any(|request| request.status == 429);
    let Finished { code, stdout, stderr } =
        interrupt(&args, &[("KAPSO_API_KEY", DEFAULT_KEY)], refused).await;
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(stderr, "error: interrupted before the sweep was complete\n");
}

#[tokio::test]
async fn sigint_ends_it_while_it_waits_for_its_budget() {
    let kapso = Kapso::start(business()).await;
    let flags = kapso.flags();
    let args = ["once", &flags[0], &flags[1], "--scrape.requests-per-minute=1", "--log.level=error"];
    let asked = async || !kapso.simulator.requests().is_empty();
    let Finished { code, stdout, stderr } = interrupt(&args, &[("KAPSO_API_KEY", DEFAULT_KEY)], asked).await;
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(stderr, "error: interrupted before the sweep was complete\n");
}

#[tokio::test]
async fn a_long_sweep_writes_no_progress_where_nobody_watches() {
    let kapso = Kapso::start(Scenario { latency: Duration::from_millis(600), ..Scenario::quiet(1) }).await;
    let Finished { code, stderr, .. } = kapso.run("once", &["--log.level=error"]).await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn flags_of_the_exporter_are_taken_from_the_environment_too() {
    let Finished { code, stdout, stderr } = run_to_end(&["once"], &[("KAPSO_EXPORTER_DEMO", "true")]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let exposition = Exposition::parse(&stdout);
    assert_eq!(exposition.value("kapso_up", &[("api", "legacy")]), Some(1.0), "the demo watches both APIs");
}

#[tokio::test]
async fn what_is_wrong_on_the_command_line_writes_no_metrics() {
    let key = [("KAPSO_API_KEY", "k")];
    for (args, env, said) in [
        (&["once"][..], &[][..], "no API key: set KAPSO_API_KEY"),
        (&["once", "--web.listen-address=:1"], &key, "unexpected argument '--web.listen-address'"),
        (&["once", "--scrape.interval=soon"], &key, "a duration from 1s to 24h"),
        (&["once", "--demo", "--kapso.legacy-url=http://localhost"], &key, "cannot be used with"),
        (&["once", "twice"], &key, "unexpected argument 'twice'"),
    ] {
        let Finished { code, stdout, stderr } = run_to_end(args, env).await;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
    }
}
