//! A configuration file that changes.

use std::{collections::BTreeMap, fmt::Write, fs, path::PathBuf};

use kapso_exporter::simulator::DEFAULT_KEY;
use tempfile::TempDir;

use super::Kapso;

/// A configuration file in a folder of its own, beside a file for each key.
pub struct ConfigFile {
    folder: TempDir,
    /// What is written for each project, by name.
    projects: BTreeMap<String, String>,
}

impl ConfigFile {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), projects: BTreeMap::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn flag(&self) -> String {
        format!("--config.file={}", self.path("config.yaml").display())
    }

    pub fn state(&self) -> String {
        format!("--state.path={}", self.path("state.redb").display())
    }

    /// From now on this project is watched, with these further keys.
    pub fn watch(&mut self, name: &str, kapso: &Kapso, more: &str) {
        self.key(name, DEFAULT_KEY);
        let (platform, legacy) = (kapso.platform_url(), kapso.legacy_url());
        let text = format!(
            "  - name: {name}\n    api_key: {{file: {name}.key}}\n    platform_url: {platform}\n    \
             legacy_url: {legacy}\n{more}"
        );
        self.projects.insert(name.into(), text);
        self.write();
    }

    pub fn key(&self, name: &str, key: &str) {
        fs::write(self.path(&format!("{name}.key")), key).unwrap();
    }

    pub fn forget(&mut self, name: &str) {
        self.projects.remove(name);
        self.write();
    }

    fn write(&self) {
        let mut text = String::from(
            "defaults: {interval: 1s, requests_per_minute: 100000, conversation_max_age: 3650d}\nprojects:\n",
        );
        self.projects.values().for_each(|project| write!(text, "{project}").unwrap());
        self.replace(&text);
    }

    /// As an editor saves a file: under another name first.
    pub fn replace(&self, text: &str) {
        fs::write(self.path("new.yaml"), text).unwrap();
        fs::rename(self.path("new.yaml"), self.path("config.yaml")).unwrap();
    }
}
