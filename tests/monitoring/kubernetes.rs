//! What is shipped for Kubernetes: the objects fit together, and with what the program takes.

use serde_json::Value;

use crate::files::{self, yaml};

const FOLDER: &str = "deploy/kubernetes";

/// All objects of all files but the kustomization.
fn objects() -> Vec<Value> {
    let files =
        files::listed(FOLDER, ".yaml").into_iter().filter(|path| !path.ends_with("kustomization.yaml"));
    let documents = files.flat_map(|path| {
        let text = files::text(&path);
        text.split("\n---\n").map(str::to_owned).collect::<Vec<_>>()
    });
    documents
        .map(|text| serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}")))
        .collect()
}

fn object(kind: &str) -> Value {
    let mut found: Vec<_> = objects().into_iter().filter(|object| object["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind}");
    found.remove(0)
}

fn pods() -> Value {
    object("Deployment")["spec"]["template"].clone()
}

fn container() -> Value {
    pods()["spec"]["containers"][0].clone()
}

/// Whether labels have all that a selector asks for.
fn selects(selector: &Value, labels: &Value) -> bool {
    let asked = selector.as_object().unwrap();
    assert!(!asked.is_empty());
    asked.iter().all(|(name, value)| &labels[name] == value)
}

#[test]
fn the_kustomization_has_every_file() {
    let kustomization = yaml(&format!("{FOLDER}/kustomization.yaml"));
    let resources = kustomization["resources"].as_array().unwrap();
    let mut named: Vec<_> =
        resources.iter().map(|name| format!("{FOLDER}/{}", name.as_str().unwrap())).collect();
    named.push(format!("{FOLDER}/kustomization.yaml"));
    named.sort();
    assert_eq!(named, files::listed(FOLDER, ".yaml"));
    assert_eq!(kustomization["namespace"], object("Namespace")["metadata"]["name"]);
}

#[test]
fn all_selectors_find_the_replicas_and_the_service_nothing_else() {
    let labels = pods()["metadata"]["labels"].clone();
    let service = object("Service");
    assert!(selects(&object("Deployment")["spec"]["selector"]["matchLabels"], &labels));
    assert!(selects(&object("PodDisruptionBudget")["spec"]["selector"]["matchLabels"], &labels));
    let spread = &pods()["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"];
    assert!(selects(spread, &labels));
    assert!(selects(&service["spec"]["selector"], &labels));
    let job = &object("Job")["spec"]["template"]["metadata"]["labels"];
    assert!(!selects(&service["spec"]["selector"], job), "a migration is no replica");
    let monitored = &object("ServiceMonitor")["spec"]["selector"]["matchLabels"];
    assert!(selects(monitored, &service["metadata"]["labels"]));
}

#[test]
fn there_are_several_replicas_and_no_two_go_at_once() {
    let deployment = &object("Deployment")["spec"];
    assert_eq!(deployment["replicas"], 3);
    assert_eq!(deployment["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
    assert_eq!(object("PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
}

#[test]
fn the_series_of_a_project_have_no_label_of_the_pod() {
    let endpoint = object("ServiceMonitor")["spec"]["endpoints"][0].clone();
    assert_eq!(endpoint["honorLabels"], true);
    let rules = endpoint["relabelings"].as_array().unwrap();
    let dropped = |rule: &Value| rule["action"] == "labeldrop" && rule["regex"] == "pod";
    let named = |rule: &Value| rule["targetLabel"] == "instance";
    assert!(rules.iter().any(dropped) && rules.iter().any(named), "{rules:?}");
}

#[test]
fn the_job_is_called_as_the_rules_expect() {
    let label = object("ServiceMonitor")["spec"]["jobLabel"].as_str().unwrap().to_owned();
    assert_eq!(object("Service")["metadata"]["labels"][label], "kapso");
}

#[test]
fn ports_go_by_one_name_and_number() {
    let port = &container()["ports"][0];
    let served = &object("Service")["spec"]["ports"][0];
    assert_eq!(port["containerPort"], 10110);
    assert_eq!(served["targetPort"], port["name"]);
    assert_eq!(object("ServiceMonitor")["spec"]["endpoints"][0]["port"], served["name"]);
    for (probe, path) in [("readinessProbe", "/-/ready"), ("livenessProbe", "/-/healthy")] {
        assert_eq!(container()[probe]["httpGet"]["path"], path);
        assert_eq!(container()[probe]["httpGet"]["port"], port["name"]);
    }
}

#[test]
fn secrets_come_from_the_secret_that_is_shipped() {
    let secret = object("Secret");
    let job = object("Job")["spec"]["template"]["spec"]["containers"][0].clone();
    let mut keys = Vec::new();
    for variable in [container(), job].iter().flat_map(|container| container["env"].as_array().unwrap()) {
        let name = variable["name"].as_str().unwrap();
        assert!(["KAPSO_API_KEY", "KAPSO_EXPORTER_STATE_URL"].contains(&name), "{name}");
        let from = &variable["valueFrom"]["secretKeyRef"];
        assert_eq!(from["name"], secret["metadata"]["name"], "{name}");
        keys.push(from["key"].as_str().unwrap().to_owned());
    }
    let shipped: Vec<_> = secret["stringData"].as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(
        keys,
        shipped.into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    );
}

#[test]
fn containers_need_no_rights() {
    let job = object("Job")["spec"]["template"].clone();
    for template in [pods(), job] {
        let (pod, container) = (&template["spec"], &template["spec"]["containers"][0]);
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
        assert_eq!(container["image"], format!("kapso-exporter:{}", env!("CARGO_PKG_VERSION")));
    }
}
