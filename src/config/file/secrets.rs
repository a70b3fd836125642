//! Secrets, which stand in variables and files of their own.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

/// The largest file that holds a secret, in bytes.
const LARGEST: u64 = 64 << 10;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFrom {
    /// In a variable of the environment.
    Variable(String),
    /// In a file; a path that is not absolute begins at the folder of the configuration file.
    File(PathBuf),
}

/// Reads secrets.
pub trait Secrets {
    /// What is there.
    ///
    /// # Errors
    /// Why it cannot be read, in a sentence that quotes nothing of it.
    fn read(&mut self, from: &SecretFrom) -> Result<String, String>;
}

/// Secrets of this machine. It remembers which files it was asked for.
pub struct Environment {
    folder: PathBuf,
    files: BTreeSet<PathBuf>,
}

impl Environment {
    /// With a configuration file in this folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.into(), files: BTreeSet::new() }
    }

    /// The files that it was asked for.
    #[must_use]
    pub fn into_files(self) -> Vec<PathBuf> {
        self.files.into_iter().collect()
    }
}

impl Secrets for Environment {
    fn read(&mut self, from: &SecretFrom) -> Result<String, String> {
        match from {
            SecretFrom::Variable(name) => match env::var(name) {
                Ok(value) if !value.is_empty() => Ok(value),
                Ok(_) | Err(env::VarError::NotPresent) => Err(format!("the variable {name} is not set")),
                Err(env::VarError::NotUnicode(_)) => Err(format!("the variable {name} is not text")),
            },
            SecretFrom::File(path) => {
                let path = self.folder.join(path);
                self.files.insert(path.clone());
                content(&path)
            }
        }
    }
}

fn content(path: &Path) -> Result<String, String> {
    let failed = |error| format!("cannot read the file {}: {error}", path.display());
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(format!("{} is not a file of at most {LARGEST} bytes", path.display()));
    }
    fs::read_to_string(path).map_err(failed)
}
