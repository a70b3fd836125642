//! Reading the file of `--web.config.file`, and the files that it names.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::{
    access::{self, HttpConfig, RateLimit, Users},
    tls::{self, TlsConfig},
};
use crate::config::{
    content::Files,
    text::text_of,
    yaml::{Problem, Problems, Value, Walk, tree_of},
};

const KEYS: [&str; 4] = ["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"];
/// The largest file, in bytes.
const LARGEST: u64 = 4 << 20;
/// The largest file of certificates or of a key, in bytes.
const LARGEST_PEM: u64 = 1 << 20;

/// What the file says.
#[derive(Debug, Clone, Default)]
pub struct WebFile {
    /// `None` = plain HTTP.
    pub tls: Option<TlsConfig>,
    /// HTTP/2 and headers.
    pub http: HttpConfig,
    /// None = no password is needed.
    pub users: Users,
    /// `None` = no limit.
    pub rate_limit: Option<RateLimit>,
}

/// A web configuration file as it was read.
#[derive(Debug)]
pub struct Read {
    /// What it says, or all that is wrong with it.
    pub said: Result<WebFile, Problems>,
    /// What was read.
    pub contents: Contents,
}

/// Files, each with a digest of what it held; `None` if it could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents(BTreeMap<PathBuf, Option<[u8; 32]>>);

impl Contents {
    /// Whether all files hold what they held. Blocks.
    #[must_use]
    pub fn are_as_they_were(&self) -> bool {
        self.0.iter().all(|(path, digest)| text_of(path, LARGEST).ok().map(digest_of) == *digest)
    }

    fn note(&mut self, path: &Path, content: Option<&str>) {
        self.0.insert(path.into(), content.map(digest_of));
    }
}

fn digest_of(content: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(content.as_ref()).into()
}

impl WebFile {
    /// Reads a file, and those that it names. Blocks.
    #[must_use]
    pub fn read(path: &Path) -> Read {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut files = Disk { folder: folder.into(), contents: Contents::default() };
        let text = text_of(path, LARGEST);
        files.contents.note(path, text.as_deref().ok());
        let said = text.map_err(|message| vec![Problem::of_file(message)]);
        let said = said.and_then(|text| parse(&text, &mut files));
        let said = said.map_err(|problems| Problems { file: path.into(), problems });
        Read { said, contents: files.contents }
    }
}

/// Reads the text of a web configuration file; `files` reads those that it names.
///
/// # Errors
/// All that is wrong with it, in the order of its lines.
pub fn parse(text: &str, files: &mut dyn Files) -> Result<WebFile, Vec<Problem>> {
    let root = tree_of(text).map_err(|problem| vec![problem])?;
    let mut walk = Walk::default();
    let mut said = WebFile::default();
    // An empty file asks for nothing.
    if !matches!(root.value, Value::Null)
        && let Some(file) = walk.mapping(&root, "", &KEYS)
    {
        said.http = access::http(&mut walk, file.get("http_server_config"));
        let tls = file.get("tls_server_config");
        said.tls = tls.and_then(|node| tls::tls(&mut walk, node, said.http.http2, files));
        said.users = access::users(&mut walk, file.get("basic_auth_users"));
        said.rate_limit = access::rate_limit(&mut walk, file.get("rate_limit"));
    }
    walk.done().map(|()| said)
}

/// Files beside the web configuration file.
struct Disk {
    folder: PathBuf,
    contents: Contents,
}

impl Files for Disk {
    fn read(&mut self, path: &Path) -> Result<(PathBuf, SecretString), String> {
        let path = self.folder.join(path);
        let text = text_of(&path, LARGEST_PEM);
        self.contents.note(&path, text.as_deref().ok());
        Ok((path, text?.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";

    struct NoFiles;

    impl Files for NoFiles {
        fn read(&mut self, path: &Path) -> Result<(PathBuf, SecretString), String> {
            Ok((path.into(), "text".into()))
        }
    }

    #[test]
    fn a_file_that_is_cut_off_is_read_or_refused_and_no_secret_is_told() {
        let text = format!(
            "tls_server_config:\n  cert_file: a\n  key: {SECRET}\n  client_allowed_sans: [a, b]\n  \
             client_auth_type: RequireAnyClientCert\nhttp_server_config: {{http2: false, headers: {{}}}}\n\
             basic_auth_users:\n  a: {SECRET}\n  b: {SECRET}\nrate_limit: {{interval: 1s, burst: 5}}\n"
        );
        let whole = parse(&text, &mut NoFiles).unwrap();
        assert!(
            whole.users.len() == 2 && whole.rate_limit.is_some() && !format!("{whole:?}").contains("$2y$")
        );
        for end in 0..text.len() {
            let problems = parse(&text[..end], &mut NoFiles).err().unwrap_or_default();
            assert!(problems.iter().all(|problem| !problem.message.contains("$2y$")), "{end}: {problems:?}");
        }
    }
}
