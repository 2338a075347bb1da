//! The local file system as an object store whose new files are on the device before they have their name.
//!
//! `object_store` links a commit to its name without a sync: a power cut may then leave the name of a log
//! entry with half of its bytes, or zeros, and no reader gets past it. Here the name comes last.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};

use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use crate::LakeError;

/// The whole file system, with names that come last.
#[derive(Debug, Default)]
pub(crate) struct Disk(LocalFileSystem);

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disk({})", self.0)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Disk {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let replace = match opts.mode {
            PutMode::Create => false,
            PutMode::Overwrite => true,
            PutMode::Update(_) => return self.0.put_opts(location, payload, opts).await,
        };
        let path = self.0.path_to_filesystem(location)?;
        let written = tokio::task::spawn_blocking(move || put(&path, &payload, replace));
        written.await.map_err(|source| Error::JoinError { source })??;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await
    }
}

/// Writes, syncs, and only then names the file. Its folder is synced by whoever commits. Blocking.
fn put(path: &FsPath, payload: &PutPayload, replace: bool) -> Result<()> {
    let staged = Staged::beside(path);
    let written = staged.write(payload).and_then(|()| match replace {
        true => std::fs::rename(&staged.0, path),
        false => std::fs::hard_link(&staged.0, path),
    });
    match written {
        Ok(()) => Ok(()),
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Err(Error::AlreadyExists {
            path: path.display().to_string(),
            source: source.into(),
        }),
        Err(source) => Err(Error::Generic {
            store: "local disk",
            source: Box::new(LakeError::io(path, source)),
        }),
    }
}

/// A file in the making; what is left of it goes.
struct Staged(PathBuf);

impl Staged {
    /// Names that end in `#` and digits are in no listing of the local store.
    fn beside(path: &FsPath) -> Staged {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{}", uuid::Uuid::now_v7().as_u128()));
        Staged(name.into())
    }

    fn write(&self, payload: &PutPayload) -> io::Result<()> {
        let create = || OpenOptions::new().write(true).create_new(true).open(&self.0);
        let mut file = match (create(), self.0.parent()) {
            (Err(error), Some(dir)) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(dir)?;
                create()?
            }
            (file, _) => file?,
        };
        payload.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After a rename it is gone already; what else stays is in no listing, and harmless.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_once_and_nothing_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("_delta_log/00000000000000000001.json");
        put(&path, &"one".into(), false).unwrap();
        let again = put(&path, &"two".into(), false).unwrap_err();
        assert!(matches!(again, Error::AlreadyExists { .. }), "{again}");
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        put(&path, &"three".into(), true).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_local_lake_lies_on_it() {
        let dir = tempfile::tempdir().unwrap();
        let lake = crate::Lake::create(dir.path().to_str().unwrap()).await.unwrap();
        for table in lake.tables() {
            let store = table.place.log_store.object_store(None);
            assert!(format!("{store:?}").contains("Disk("), "{store:?}");
        }
    }

    #[test]
    fn a_disk_that_refuses_is_told_with_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        std::fs::write(&path, "").unwrap();
        let error = put(&path.join("1.json"), &"one".into(), false).unwrap_err().to_string();
        assert!(error.contains("taken/1.json: "), "{error}");
    }
}
