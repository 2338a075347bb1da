//! A log entry that cannot be read: which one, where, and what to do. Delta's own error names neither.

use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde::de::IgnoredAny;

use crate::LakeError;
use crate::files::Place;

/// The first entry of a table's log that is no JSON, if there is one.
pub(crate) async fn torn(place: &Place, location: &str) -> Option<LakeError> {
    let store = place.log_store.object_store(None);
    let listed = store.list(Some(&Path::from("_delta_log")));
    let mut entries: Vec<Path> = listed
        .try_filter_map(async |meta| Ok(Some(meta.location).filter(is_entry)))
        .try_collect()
        .await
        .ok()?;
    entries.sort();
    for (at, entry) in entries.iter().enumerate() {
        // It may go meanwhile.
        let Ok(found) = store.get(entry).await else { continue };
        let Ok(bytes) = found.bytes().await else { continue };
        if let Some((line, what)) = damage(&bytes) {
            let folder = place.local.as_ref().map(|dir| dir.display().to_string());
            return Some(LakeError::Torn {
                table: place.kind.name(),
                path: format!("{}/{entry}", folder.as_deref().unwrap_or(location)),
                line,
                what,
                newest: at + 1 == entries.len(),
            });
        }
    }
    None
}

fn is_entry(path: &Path) -> bool {
    let version = path.filename().and_then(|name| name.strip_suffix(".json"));
    version.is_some_and(|version| version.len() == 20 && version.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The first line that is no JSON, from 1, and why.
fn damage(entry: &[u8]) -> Option<(usize, String)> {
    (1..)
        .zip(entry.split(|byte| *byte == b'\n'))
        .find_map(|(number, line)| {
            let read = || serde_json::from_slice::<IgnoredAny>(line);
            match line.trim_ascii().is_empty() {
                true => None,
                false => read().err().map(|error| (number, error.to_string())),
            }
        })
}

#[cfg(test)]
mod tests {
    use crate::commit::Commit;
    use crate::store::Lake;
    use crate::{LakeError, TableKind};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_torn_entry_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let location = dir.path().to_str().unwrap();
        let lake = Lake::create(location).await.unwrap();
        let table = lake.table(TableKind::Events);
        let mut snapshot = table.load().await.unwrap();
        for number in 1..=3 {
            let txns = vec![("a".to_owned(), number)];
            let commit = Commit {
                txns,
                ..Commit::default()
            };
            snapshot = commit.run(table, &snapshot).await.unwrap();
        }
        let entry = |version: u64| dir.path().join(format!("events/_delta_log/{version:020}.json"));
        let whole = std::fs::read(entry(3)).unwrap();
        for torn in [&whole[..whole.len() - 10], &vec![0; whole.len()]] {
            std::fs::write(entry(3), torn).unwrap();
            let error = Lake::open(location).await.unwrap_err();
            assert!(matches!(error, LakeError::Torn { newest: true, .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains(entry(3).to_str().unwrap()), "{text}");
            assert!(text.contains("move the file out of the folder"), "{text}");
        }
        // Its advice is good.
        std::fs::rename(entry(3), dir.path().join("aside.json")).unwrap();
        let lake = Lake::open(location).await.unwrap();
        let snapshot = lake.table(TableKind::Events).load().await.unwrap();
        assert_eq!(snapshot.txn("a").await.unwrap(), Some(2));
        std::fs::write(entry(1), b"{\"txn\":").unwrap();
        let error = Lake::open(location).await.unwrap_err().to_string();
        assert!(error.contains("restore the file from a backup"), "{error}");
    }
}
