//! Text that stands in a configuration file itself, or in a file of its own that it names.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use super::yaml::{Mapping, Place, Problem, Walk, join};

/// Reads the files that a configuration file names.
pub trait Files {
    /// Where the file is, and the text in it.
    ///
    /// # Errors
    /// Why it cannot be read, in a sentence that quotes nothing of it.
    fn read(&mut self, path: &Path) -> Result<(PathBuf, SecretString), String>;
}

/// Such a text: certificates, a key, a password.
#[derive(Clone)]
pub struct Content {
    /// The way to the key under which it stands, as `tls_config.ca_file`.
    pub path: String,
    /// Where its value stands.
    pub place: Place,
    /// The file that holds it; `None` = it stands in the configuration file.
    pub file: Option<PathBuf>,
    /// The text.
    pub text: SecretString,
}

/// Where it stands, and nothing of what it holds.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("path", &self.path).field("file", &self.file).finish_non_exhaustive()
    }
}

impl Content {
    /// The text, in bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.text.expose_secret().as_bytes()
    }

    /// That something is wrong with it; `message` quotes nothing of it.
    #[must_use]
    pub fn problem(&self, message: &str) -> Problem {
        let file = self.file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default();
        Problem { place: self.place, path: self.path.clone(), message: format!("{file}{message}") }
    }
}

/// What one of the keys of the section at `path` has; one of them has to be given.
pub(super) fn required(
    walk: &mut Walk,
    section: Mapping<'_>,
    path: &str,
    keys: [&str; 2],
    files: &mut dyn Files,
) -> Option<Content> {
    if keys.iter().all(|key| section.given(key).is_none()) {
        walk.problem(section.place, path, format!("one of {} and {} is missing", keys[0], keys[1]));
    }
    optional(walk, section, path, keys, files)
}

/// What stands inline under the first key, or in the file that the second one names.
pub(super) fn optional(
    walk: &mut Walk,
    section: Mapping<'_>,
    path: &str,
    [inline, file]: [&str; 2],
    files: &mut dyn Files,
) -> Option<Content> {
    match (section.given(inline), section.given(file)) {
        (None, None) => None,
        (Some(_), Some(node)) => {
            let message = format!("{inline} is given as well; only one of the two can be");
            walk.problem(node.place, &join(path, file), message);
            None
        }
        (Some(node), None) => {
            let path = join(path, inline);
            let text = walk.hidden(node, &path, |text| Ok(text.into()))?;
            Some(Content { path, place: node.place, file: None, text })
        }
        (None, Some(node)) => {
            let path = join(path, file);
            let (file, text) = walk.value(node, &path, |name| files.read(name.as_ref()))?;
            Some(Content { path, place: node.place, file: Some(file), text })
        }
    }
}
