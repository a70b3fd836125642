//! `--web.config.file`: TLS, clients' certificates, passwords, headers, limits, and changes of all that.

mod clients;
mod files;
mod passwords;
mod reloading;
mod tls;

use std::{fmt::Write, fs};

use crate::support::{Exporter, Folder};

/// What most files begin with.
const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// The demo with such a file.
async fn served(folder: &Folder, text: &str) -> Exporter {
    Exporter::start(&["--demo", &folder.flag(text)], &[]).await
}

fn address(exporter: &Exporter) -> &str {
    exporter.url.strip_prefix("http://").unwrap()
}

fn https(exporter: &Exporter, path: &str) -> String {
    format!("https://{}{path}", address(exporter))
}

/// A file as the value of a key.
fn inline(folder: &Folder, key: &str, file: &str) -> String {
    let mut text = format!("  {key}: |\n");
    for line in fs::read_to_string(folder.path(file)).unwrap().lines() {
        writeln!(text, "    {line}").unwrap();
    }
    text
}
