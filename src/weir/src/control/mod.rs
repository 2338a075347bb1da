//! How commands reach the running process of a data folder: HTTP over a Unix socket in that folder.
//!
//! The socket is as private as the folder. `POST /sql?format=F&width=W` takes a query and answers
//! with its rows in that format, or with 400 and the reason in words. A query that fails after its
//! first rows says why in the trailer [`ERROR_TRAILER`].

mod client;
mod server;

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub use client::ask;
pub use server::{Control, serve};

/// Trailer with the reason why an answer is incomplete.
pub const ERROR_TRAILER: &str = "x-weir-error";

/// The longest path that a Unix socket may have on every system (`sun_path` less its NUL).
const MAX_SOCKET_PATH: usize = 100;

/// The socket of a data folder; of one with a long path, a short name made from it.
pub fn socket_path(data: &Path) -> PathBuf {
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let path = data.join("control.sock");
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        return path;
    }
    let hash = blake3::hash(data.as_os_str().as_bytes()).to_hex();
    std::env::temp_dir().join(format!("weir-{}.sock", &hash[..32]))
}
