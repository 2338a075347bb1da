//! A disk without room: what could not be written leaves nothing behind, and is told with its path.

use std::path::Path;

use lake::source::MemorySource;
use lake::{Lake, compact, compact_now, verify};

use crate::disk::Disk;
use crate::history::history;
use crate::lands::lander;

/// Parquet files below a folder.
fn files(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true if path.ends_with("_delta_log") => 0,
            true => files(&path),
            false => usize::from(path.extension().is_some_and(|end| end == "parquet")),
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_keeps_what_room_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let location = dir.path().join("lake");
    let Some(disk) = Disk::over(&location, "64m") else {
        return;
    };
    let lake = Lake::create(location.to_str().unwrap()).await.unwrap();
    let mut h = history(60);
    let source = MemorySource::new("one");
    let handle = lander(&lake, &source).await;
    for items in h.items.chunks(80) {
        source.push(items.iter().cloned());
        handle.flush().await.unwrap();
    }
    let (before, end) = (files(&location), h.next());
    assert!(before > 4);

    disk.fill(24);
    h.calls(200);
    source.push(h.items[end as usize..].iter().cloned());
    for _ in 0..3 {
        let error = handle.flush().await.unwrap_err();
        assert!(error.to_string().contains("/day="), "{error}");
        assert!(error.to_string().contains("make room there"), "{error}");
        assert_eq!(files(&location), before, "what was begun is gone");
    }
    let report = compact(&lake, 2).await.unwrap();
    assert!(report.no_room > 0 && report.files_added == 0, "{report:?}");
    assert_eq!(files(&location), before);

    // There is room again: all goes on by itself.
    disk.free();
    let mut landed = handle.flush().await;
    for _ in 0..10 {
        if landed.is_err() {
            landed = handle.flush().await;
        }
    }
    assert_eq!(landed.unwrap(), h.next());
    let report = compact_now(&lake).await.unwrap();
    assert!(report.no_room == 0 && report.files_removed > 0, "{report:?}");
    let report = verify(&lake, None).await.unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.journals[0].rows as i64, h.next());
    handle.stop().await;
}
