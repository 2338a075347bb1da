//! How commands reach the running process of a data folder: HTTP over a Unix socket in that folder.
//!
//! The socket is as private as the folder. `POST /sql?format=F&width=W` takes a query and answers
//! with its rows in that format, or with the reason in words: 400 where the query is at fault, 5xx where
//! something failed. A client that goes away ends its query. After the rows comes a trailer:
//! [`ROWS_TRAILER`] if they are all, [`ERROR_TRAILER`] with the reason if they are not. An answer with
//! neither was cut off.

mod client;
mod server;

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub use client::ask;
pub use server::{Control, serve};

/// Trailer with the reason why an answer is incomplete, as [`escape`] writes it.
pub const ERROR_TRAILER: &str = "x-weir-error";
/// Trailer of a complete answer: how many rows it has.
pub const ROWS_TRAILER: &str = "x-weir-rows";

/// Bytes of a reason that are told: trailers have a limit, and each byte may become three.
const MAX_REASON: usize = 4_000;

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

/// A reason as a header may carry it: what is not printable ASCII is percent-encoded.
fn escape(reason: &str) -> String {
    let mut out = String::with_capacity(reason.len());
    for byte in reason.bytes().take(MAX_REASON) {
        match byte {
            b'%' => out.push_str("%25"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                // A string takes whatever is written to it.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// What [`escape`] was given.
fn unescape(value: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.split_at_checked(2).filter(|_| *first == b'%');
        let escaped = digits.and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = escaped.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lake::{Lake, Tail};
    use query::output::Format;
    use query::{Engine, EngineOptions};

    use super::*;

    #[test]
    fn reasons_survive_a_header() {
        for reason in ["plain", "two\nlines\r", "größer als 100 %", "%41 %", ""] {
            let value = escape(reason);
            assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{value}");
            assert_eq!(unescape(value.as_bytes()), reason);
        }
        assert!(escape(&"ä".repeat(MAX_REASON)).len() <= 3 * MAX_REASON);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_that_breaks_off_is_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
        let tail = Tail::offline(&lake, None).await.unwrap();
        let engine = Engine::open(tail, EngineOptions::default()).unwrap();
        let control = serve(dir.path(), Arc::new(engine)).unwrap();
        let mut out = Vec::new();
        let good = "select value as \"größe\" from generate_series(1, 20000)";
        assert!(ask(dir.path(), good, Format::Ndjson, None, &mut out).await.unwrap());
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 20_000);
        // It has written rows when it comes to the one that cannot be.
        out.clear();
        let bad = "select arrow_cast(case when value = 20000 then 'größer' else '1' end, 'Int64') as n from generate_series(1, 20000)";
        let failed = ask(dir.path(), bad, Format::Ndjson, None, &mut out).await.unwrap_err();
        assert!(failed.to_string().contains("größer"), "{failed}");
        assert_eq!(failed.exit_code(), 1);
        drop(control);
    }
}
