//! Certificates and their keys, made anew for each test, and OpenSSL as a client that takes or refuses them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm,
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

/// A certificate that is its own CA.
pub struct Certificate {
    /// As PEM.
    pub pem: String,
    /// As PEM.
    pub key: String,
    params: CertificateParams,
}

impl Certificate {
    /// For this machine, with an RSA key.
    pub fn of_server() -> Self {
        Self::with(&PKCS_RSA_SHA256, &["localhost", "127.0.0.1"], |_| {})
    }

    /// For a server that has these names.
    pub fn named(names: &[&str]) -> Self {
        Self::with(&PKCS_ECDSA_P256_SHA256, names, |_| {})
    }

    /// For a client that has these names, and to sign others, as `openssl req -x509` makes them.
    pub fn of_client(names: &[&str]) -> Self {
        Self::with(&PKCS_ECDSA_P256_SHA256, names, |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    }

    /// For a client that has these names, signed by this one.
    pub fn signed_by(&self, names: &[&str]) -> Self {
        let ca = KeyPair::from_pem(&self.key).unwrap();
        let issuer = Issuer::from_params(&self.params, ca);
        let (params, key) = (params(names), KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
        let pem = params.signed_by(&key, &issuer).unwrap().pem();
        Self { pem, key: key.serialize_pem(), params }
    }

    /// For this machine, until the end of a year.
    pub fn until(year: i32) -> Self {
        Self::with(&PKCS_ECDSA_P256_SHA256, &["localhost", "127.0.0.1"], |params| {
            params.not_after = rcgen::date_time_ymd(year, 12, 31);
        })
    }

    fn with(
        algorithm: &'static SignatureAlgorithm,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let (mut params, key) = (params(names), KeyPair::generate_for(algorithm).unwrap());
        change(&mut params);
        Self { pem: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem(), params }
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().copied().map(str::to_owned).collect();
    let mut params = CertificateParams::new(names.clone()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, names.concat());
    params
}

/// A folder with a web configuration file, `server.crt` and `server.key`.
pub struct Folder(TempDir);

impl Folder {
    /// With a new certificate of the server.
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.put("server", &Certificate::of_server());
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file as an editor does: under another name first.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    /// Writes `NAME.crt` and `NAME.key`.
    pub fn put(&self, name: &str, certificate: &Certificate) {
        self.write(&format!("{name}.crt"), &certificate.pem);
        self.write(&format!("{name}.key"), &certificate.key);
    }

    /// The flag, with this as the file.
    pub fn flag(&self, text: &str) -> String {
        self.write("web.yml", text);
        format!("--web.config.file={}", self.path("web.yml").display())
    }

    /// A client that trusts the server's certificate.
    pub fn client(&self) -> reqwest::Client {
        let pem = fs::read(self.path("server.crt")).unwrap();
        let root = reqwest::Certificate::from_pem(&pem).unwrap();
        reqwest::Client::builder().tls_certs_only([root]).build().unwrap()
    }
}

/// Asks a server for its health with OpenSSL's own client, which trusts `ca` alone. Returns all that it prints: with
/// `200 OK` if there was an answer, and `Cipher is`.
pub async fn s_client(address: &str, ca: &Path, args: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-ign_eof", "-verify_return_error", "-connect", address, "-CAfile"]).arg(ca);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A client that was refused reads nothing.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.ok();
    let output = child.wait_with_output().await.unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
