//! Reloading: on SIGHUP and whenever the file changes, all or nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Resolves again and again when `path` changed; editors write several times, so changes within a
/// short while count once.
pub struct Changes {
    notify: Arc<Notify>,
    _watcher: Option<notify::RecommendedWatcher>,
}

/// Watches the folder of `path`: editors replace files rather than write into them.
pub fn watch(path: Option<&Path>) -> Changes {
    let notify = Arc::new(Notify::new());
    let watcher = path.and_then(|path| {
        let path = std::path::absolute(path).ok()?;
        let (folder, name) = (path.parent()?.to_owned(), path.file_name()?.to_owned());
        let changed = Arc::clone(&notify);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let ours = event
                .paths
                .iter()
                .any(|path| path.file_name() == Some(name.as_os_str()));
            if ours && !event.kind.is_access() {
                changed.notify_one();
            }
        })
        .inspect_err(|error| tracing::warn!(%error, "the configuration file is not watched: reload it with SIGHUP"))
        .ok()?;
        watcher.watch(&folder, RecursiveMode::NonRecursive).ok()?;
        Some(watcher)
    });
    Changes {
        notify,
        _watcher: watcher,
    }
}

impl Changes {
    /// Waits for the next change.
    pub async fn next(&mut self) {
        self.notify.notified().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
