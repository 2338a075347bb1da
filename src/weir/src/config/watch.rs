//! Reloading: on SIGHUP and whenever the file, or a rule pack that it names, changes; all or nothing.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::{load, variables};

/// Names of the files.
type Names = Arc<Mutex<Vec<OsString>>>;

/// Whether a change of `name` may be one of ours: mounted volumes swap links such as `..data`.
fn is_ours(names: &Names, name: &OsStr) -> bool {
    let names = names.lock().unwrap_or_else(PoisonError::into_inner);
    names.iter().any(|known| known == name) || name.as_encoded_bytes().starts_with(b"..")
}

/// Resolves again and again when one of its files says something else than before.
pub struct Changes {
    notify: Arc<Notify>,
    names: Names,
    watcher: Option<notify::RecommendedWatcher>,
    folders: Vec<PathBuf>,
    /// The configuration file.
    config: Option<PathBuf>,
    files: Vec<PathBuf>,
    /// What the files said last.
    seen: blake3::Hash,
}

/// Watches `config` and the packs that it names.
pub fn watch(config: Option<&Path>) -> Changes {
    let notify = Arc::new(Notify::new());
    let names = Arc::new(Mutex::new(Vec::new()));
    let (changed, known) = (Arc::clone(&notify), Arc::clone(&names));
    let config = config.and_then(|path| std::path::absolute(path).ok());
    let watcher = config.as_ref().and_then(|_| {
        notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let mut paths = event.paths.iter().filter_map(|path| path.file_name());
            if !event.kind.is_access() && paths.any(|name| is_ours(&known, name)) {
                changed.notify_one();
            }
        })
        .inspect_err(|error| tracing::warn!(%error, "the configuration file is not watched: reload it with SIGHUP"))
        .ok()
    });
    let mut changes = Changes {
        notify,
        names,
        watcher,
        folders: Vec::new(),
        files: config.iter().cloned().collect(),
        config,
        seen: blake3::hash(b""),
    };
    changes.follow();
    changes
}

impl Changes {
    /// Waits for the next change. Editors write several times: changes within a short while count once.
    pub async fn next(&mut self) {
        loop {
            self.notify.notified().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            let seen = self.seen;
            self.follow();
            if self.seen != seen {
                return;
            }
        }
    }

    /// Takes down what the files say now, and watches the folders of those that are new.
    pub fn follow(&mut self) {
        // Of a configuration that cannot be read, the packs named before are still watched.
        if let Some(config) = &self.config
            && let Ok(read) = load(Some(config), variables())
        {
            let folder = config.parent().unwrap_or(Path::new("."));
            let packs = read.guard.pack_files.iter().map(|pack| folder.join(pack));
            self.files = std::iter::once(config.clone()).chain(packs).collect();
        }
        let names = self.files.iter().filter_map(|file| file.file_name());
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names.map(OsStr::to_owned).collect();
        let mut hasher = blake3::Hasher::new();
        for file in &self.files {
            let text = std::fs::read(file).unwrap_or_default();
            hasher.update(blake3::hash(&text).as_bytes());
            let Some(folder) = file.parent().filter(|folder| !self.folders.iter().any(|f| f == folder)) else {
                continue;
            };
            if let Some(watcher) = &mut self.watcher {
                match watcher.watch(folder, RecursiveMode::NonRecursive) {
                    Ok(()) => self.folders.push(folder.to_owned()),
                    Err(error) => tracing::warn!(folder = %folder.display(), %error, "this folder is not watched"),
                }
            }
        }
        self.seen = hasher.finalize();
    }
}
