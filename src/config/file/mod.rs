//! The configuration file: YAML for several projects.
//!
//! What the single values mean is said by the same functions as for flags. Secrets stand in files and variables of their
//! own: the walk over the file asks a [`Secrets`] for them, and is free of I/O otherwise.

mod metrics;
mod project;
mod schema;
mod secrets;

use std::{collections::HashMap, path::Path};

use secrecy::ExposeSecret;

pub use self::{
    schema::schema,
    secrets::{Environment, SecretFrom, Secrets},
};
use super::{
    Config, MetricsConfig, ProjectConfig, StateConfig,
    text::text_of,
    yaml::{Mapping, Node, Place, Problem, Problems, Value, Walk, tree_of},
};

/// The largest file, in bytes: ten thousand projects need less.
const LARGEST: u64 = 4 << 20;
/// The most projects.
const MOST_PROJECTS: usize = 10_000;

/// What the file says.
#[derive(Debug)]
pub struct FileConfig {
    /// What is watched, and how.
    pub projects: Vec<ProjectConfig>,
    /// How much is published.
    pub metrics: MetricsConfig,
}

/// Reads a configuration file, and the secrets that it names.
///
/// # Errors
/// All that is wrong with it.
pub fn read(path: &Path, state: StateConfig) -> Result<Config, Problems> {
    let failed = |problems| Problems { file: path.into(), problems };
    let text = text_of(path, LARGEST).map_err(|message| failed(vec![Problem::of_file(message)]))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut secrets = Environment::new(folder);
    let FileConfig { projects, metrics } = parse(&text, &mut secrets).map_err(failed)?;
    let metrics = MetricsConfig { instance: state.instance_label(), ..metrics };
    Ok(Config { projects, metrics, state, file: Some(path.into()), secret_files: secrets.into_files(), text })
}

/// Reads the text of a configuration file; `secrets` reads the secrets that it names.
///
/// # Errors
/// All that is wrong with it, in the order of its lines.
pub fn parse(text: &str, secrets: &mut dyn Secrets) -> Result<FileConfig, Vec<Problem>> {
    let root = tree_of(text).map_err(|problem| vec![problem])?;
    let mut walk = Walk::default();
    let config = file(&mut walk, &root, secrets);
    walk.done()?;
    config.ok_or_else(Vec::new)
}

fn file(walk: &mut Walk, root: &Node, secrets: &mut dyn Secrets) -> Option<FileConfig> {
    if matches!(root.value, Value::Null) {
        walk.problem(
            root.place,
            "",
            "it is empty; expected the keys projects, and defaults and metrics if they are needed",
        );
        return None;
    }
    let file = walk.mapping(root, "", &["defaults", "projects", "metrics"])?;
    let defaults = match file.get("defaults") {
        Some(node) => walk.mapping(node, "defaults", &project::SHARED).unwrap_or(Mapping::EMPTY),
        None => Mapping::EMPTY,
    };
    let (metrics, buckets) = metrics::metrics(walk, file.get("metrics"));
    let Some(list) = file.get("projects") else {
        walk.problem(root.place, "projects", "there has to be a list of projects");
        return None;
    };
    let problems = walk.problems.len();
    let items = walk.list(list, "projects");
    if walk.problems.len() == problems && !(1..=MOST_PROJECTS).contains(&items.len()) {
        let message = format!("expected 1 to {MOST_PROJECTS} projects, found {}", items.len());
        walk.problem(list.place, "projects", message);
    }
    project::check_defaults(walk, defaults, secrets);
    let mut projects = Vec::new();
    for (path, item) in items {
        if let Some(project) = project::project(walk, item, &path, defaults, secrets) {
            projects.push((path, item.place, project));
        }
    }
    refuse_doubles(walk, &projects);
    let projects = projects.into_iter().map(|(_, _, mut project)| {
        project.account.buckets = buckets.clone();
        project
    });
    Some(FileConfig { projects: projects.collect(), metrics })
}

/// Names are unique, and projects with the same key share its budget: they have to agree on it.
fn refuse_doubles(walk: &mut Walk, projects: &[(String, Place, ProjectConfig)]) {
    let (mut names, mut keys) = (HashMap::new(), HashMap::new());
    for (path, place, project) in projects {
        if let Some(first) = names.insert(&project.name, path) {
            let message = format!("{first} has the same name, {}", project.name);
            walk.problem(*place, &format!("{path}.name"), message);
        }
        let first = keys.entry(project.key.expose_secret()).or_insert(project);
        if first.requests_per_minute != project.requests_per_minute {
            let message = format!(
                "{} has the same API key, so that the two share its budget: both need the same value",
                first.name
            );
            walk.problem(*place, &format!("{path}.requests_per_minute"), message);
        }
    }
}

#[cfg(test)]
mod tests;
