//! What the tree promises of itself: documents that follow the code, files of a readable size, no
//! trace of the machine it was made on.
//!
//! `UPDATE_GOLDEN=1 cargo test -p weir --test house` writes the generated documents anew.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod configuration;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// A file of the repository.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Compares a generated document with its checked-in copy, or writes it.
#[track_caller]
fn is_current(path: &str, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(root().join(path), text).unwrap();
    }
    let found = fs::read_to_string(root().join(path)).unwrap_or_default();
    assert!(
        found == text,
        "{path} is out of date: UPDATE_GOLDEN=1 rewrites it, and the diff is to be reviewed"
    );
}
