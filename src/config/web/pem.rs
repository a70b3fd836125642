//! Certificates and keys: inline, or in a file of their own.

use std::{fmt, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{
    file::Files,
    tls::{PATH, given},
};
use crate::config::yaml::{Mapping, Walk, join};

/// Certificates or a key, as text.
#[derive(Clone)]
pub struct Pem {
    /// The key of the web configuration file under which it stands.
    pub key: &'static str,
    /// The file that holds it; `None` = it stands in the web configuration file.
    pub file: Option<PathBuf>,
    /// What it holds.
    pub text: SecretString,
}

/// Where it stands, and nothing of what it holds.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").field("key", &self.key).field("file", &self.file).finish_non_exhaustive()
    }
}

impl Pem {
    /// What it holds, in bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.text.expose_secret().as_bytes()
    }
}

/// What one of the keys has; one of them has to be given.
pub(super) fn required_pem(
    walk: &mut Walk,
    section: Mapping<'_>,
    keys: [&'static str; 2],
    files: &mut dyn Files,
) -> Option<Pem> {
    if keys.iter().all(|key| given(section, key).is_none()) {
        walk.problem(section.place, PATH, format!("one of {} and {} is missing", keys[0], keys[1]));
    }
    pem(walk, section, keys, files)
}

/// What stands inline under the first key, or in the file that the second one names.
pub(super) fn pem(
    walk: &mut Walk,
    section: Mapping<'_>,
    [inline, file]: [&'static str; 2],
    files: &mut dyn Files,
) -> Option<Pem> {
    match (given(section, inline), given(section, file)) {
        (None, None) => None,
        (Some(_), Some(node)) => {
            let message = format!("{inline} is given as well; only one of the two can be");
            walk.problem(node.place, &join(PATH, file), message);
            None
        }
        (Some(node), None) => {
            let text = walk.hidden(node, &join(PATH, inline), |text| Ok(text.into()))?;
            Some(Pem { key: inline, file: None, text })
        }
        (None, Some(node)) => {
            let read = |path: &str| files.read(path.as_ref());
            let (path, text) = walk.value(node, &join(PATH, file), read)?;
            Some(Pem { key: file, file: Some(path), text })
        }
    }
}
