//! A disk that hangs: the program's `fdatasync` and `fsync` do not return for as long as a file is there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A folder on a disk that can be made to hang.
pub struct Disk {
    folder: TempDir,
    library: String,
    hangs: String,
}

impl Disk {
    /// A disk that works.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (library, hangs) = (path("disk.so"), path("hangs"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exporter/support/disk.c");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o", &library, source]).status();
        assert!(compiled.unwrap().success(), "the disk is compiled");
        Self { folder, library, hangs }
    }

    /// What a program's environment needs, so that it writes to this disk.
    pub fn environment(&self) -> [(&'static str, &str); 2] {
        [("LD_PRELOAD", &self.library), ("DISK_HANGS", &self.hangs)]
    }

    /// The state file on it.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state.redb")
    }

    /// From now on nothing reaches it.
    pub fn hang(&self) {
        fs::write(Path::new(&self.hangs), "").unwrap();
    }

    /// It works again.
    pub fn recover(&self) {
        fs::remove_file(Path::new(&self.hangs)).unwrap();
    }
}
