//! What is shipped to run all of it: the files fit together.

use serde_json::Value;

use crate::files::{self, yaml};

/// The services by name.
fn services() -> Vec<(String, Value)> {
    yaml("compose.yaml")["services"].as_object().unwrap().clone().into_iter().collect()
}

fn mounts(service: &Value) -> Vec<(String, String)> {
    let all = service["volumes"].as_array().into_iter().flatten();
    let pairs = all.map(|mount| mount.as_str().unwrap().split_once(':').unwrap());
    pairs.map(|(from, to)| (from.to_owned(), to.trim_end_matches(":ro").to_owned())).collect()
}

#[test]
fn every_service_is_pinned_and_checks_its_health_and_what_it_mounts_is_there() {
    for (name, service) in services() {
        let built = service.get("build").is_some();
        let image = service["image"].as_str().unwrap();
        let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
        assert!(built || tag.contains(|c: char| c.is_ascii_digit()), "{name}: {image}");
        assert!(built || service["healthcheck"]["test"].is_array(), "{name}");
        for (from, _) in mounts(&service) {
            assert!(!from.starts_with("./") || files::path(&from).exists(), "{name}: {from}");
        }
        let ports = service["ports"].as_array().unwrap().iter();
        assert!(
            ports.map(|port| port.as_str().unwrap()).all(|port| port.starts_with("127.0.0.1:")),
            "{name}"
        );
    }
}

#[test]
fn grafana_finds_the_dashboards_where_they_are_mounted() {
    let provider = yaml("deploy/grafana/provisioning/dashboards/kapso.yml");
    let path = provider["providers"][0]["options"]["path"].as_str().unwrap();
    let (_, grafana) = services().into_iter().find(|(name, _)| name == "grafana").unwrap();
    assert!(mounts(&grafana).contains(&("./dashboards".to_owned(), path.to_owned())), "{path}");
    let home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].as_str().unwrap();
    assert!(files::path(&home.replace(path, "dashboards")).exists(), "{home}");
}

#[test]
fn the_job_is_called_as_the_rules_expect() {
    let configuration = yaml("deploy/prometheus.yml");
    assert_eq!(configuration["scrape_configs"][0]["job_name"], "kapso");
    for name in ["KapsoExporterDown", "KapsoExporterAbsent"] {
        let rule = files::alerts().into_iter().find(|rule| rule.name() == name).unwrap();
        assert!(rule.expr.contains("up{job=\"kapso\"}"), "{name}");
    }
}

#[test]
fn replicas_are_scraped_one_by_one_and_bring_their_instance_label() {
    let (one, several) = (yaml("deploy/prometheus.yml"), yaml("deploy/prometheus-replicas.yml"));
    let job = &several["scrape_configs"][0];
    assert_eq!(job["job_name"], "kapso");
    assert_eq!(job["honor_labels"], true);
    let targets = job["static_configs"][0].as_object().unwrap();
    assert!(targets["targets"].as_array().unwrap().len() > 1);
    assert_eq!(targets.len(), 1, "a label that differs from target to target ends the series of a project");
    for same in ["global", "rule_files", "alerting"] {
        assert_eq!(one[same], several[same], "{same}");
    }
    let rule = files::alerts().into_iter().find(|rule| rule.name() == "KapsoReplicaDown").unwrap();
    assert!(rule.expr.contains("up{job=\"kapso\"}"));
}

#[test]
fn alerts_that_the_alertmanager_names_exist() {
    let known: Vec<_> = files::alerts().iter().map(|rule| rule.name().to_owned()).collect();
    let text = files::text("deploy/alertmanager.yml");
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    for word in words.filter(|word| word.starts_with("Kapso")) {
        assert!(known.iter().any(|name| name == word), "{word}");
    }
}
