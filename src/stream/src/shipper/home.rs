//! Where a journal ships to: its partition, which it keeps for life.

use std::path::Path;

use crate::StreamError;

/// What outlives the process beside the position: a journal keeps its partition for life, so that its
/// records stay in order even when the topic gets more partitions.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Home {
    pub(super) topic: String,
    pub(super) partition: Option<i32>,
    /// The first offset that was ever shipped to this topic.
    pub(super) begins: i64,
}

impl Home {
    pub(super) fn load(path: &Path, topic: &str, position: i64) -> Result<Home, StreamError> {
        let failed = |source| StreamError::Io {
            path: path.display().to_string(),
            source,
        };
        let fresh = Home {
            topic: topic.to_owned(),
            partition: None,
            begins: position,
        };
        match std::fs::read(path) {
            Ok(bytes) => {
                let home: Home = serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
                Ok(if home.topic == topic { home } else { fresh })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(fresh),
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) fn store(&self, path: &Path) -> Result<(), StreamError> {
        let write = || {
            let temporary = path.with_extension("tmp");
            let mut text = serde_json::to_vec(self)?;
            text.push(b'\n');
            std::fs::write(&temporary, text)?;
            std::fs::File::open(&temporary)?.sync_all()?;
            std::fs::rename(&temporary, path)?;
            match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                Some(parent) => std::fs::File::open(parent)?.sync_all(),
                None => Ok(()),
            }
        };
        write().map_err(|source| StreamError::Io {
            path: path.display().to_string(),
            source,
        })
    }
}

/// FNV-1a of the key: the same on every machine and in every version.
pub(super) fn partition_of(key: &str, partitions: i32) -> i32 {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let count = u64::try_from(partitions.max(1)).unwrap_or(1);
    i32::try_from(hash % count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_keeps_its_partition() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kafka.json");
        let mut home = Home::load(&path, "t", 40).unwrap();
        assert_eq!((home.partition, home.begins), (None, 40));
        home.partition = Some(partition_of("0192f0c0-0000-7000-8000-000000000001", 12));
        home.store(&path).unwrap();
        assert_eq!(
            Home::load(&path, "t", 90).unwrap(),
            home,
            "where it began does not move"
        );
        assert_eq!(Home::load(&path, "another", 90).unwrap().begins, 90);
        std::fs::write(&path, "{").unwrap();
        assert!(
            Home::load(&path, "t", 0)
                .unwrap_err()
                .to_string()
                .contains("kafka.json")
        );
    }

    #[test]
    fn partitions_are_spread() {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..400 {
            let partition = partition_of(&event::JournalId::new().to_string(), 12);
            assert!((0..12).contains(&partition));
            seen.insert(partition);
        }
        assert_eq!(seen.len(), 12);
    }
}
