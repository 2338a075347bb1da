//! The local file system as an object store whose new files are on the device before they have their name.
//!
//! `object_store` links a commit to its name without a sync: a power cut may then leave the name of a log
//! entry with half of its bytes, or zeros, and no reader gets past it. Here the name comes last.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
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
        blocking(move || put(&path, &payload, replace)).await?;
        Ok(DONE)
    }

    /// Long checkpoints come so.
    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let path = self.0.path_to_filesystem(location)?;
        Ok(Box::new(blocking(move || Upload::begin(path)).await?))
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
        Err(source) => Err(failed(path, source)),
    }
}

const DONE: PutResult = PutResult {
    e_tag: None,
    version: None,
};

fn failed(path: &FsPath, source: io::Error) -> Error {
    Error::Generic {
        store: "local disk",
        source: Box::new(LakeError::io(path, source)),
    }
}

async fn blocking<T: Send + 'static>(job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(job).await;
    done.map_err(|source| Error::JoinError { source })?
}

/// A file that comes in parts. Until it is complete, and on the device, it has another name.
#[derive(Debug)]
struct Upload {
    path: PathBuf,
    staged: Arc<Staged>,
    file: Arc<File>,
    /// Where the next part goes.
    at: u64,
}

impl Upload {
    /// Blocking.
    fn begin(path: PathBuf) -> Result<Upload> {
        let staged = Staged::beside(&path);
        let file = staged.create().map_err(|e| failed(&path, e))?;
        Ok(Upload {
            path,
            staged: Arc::new(staged),
            file: Arc::new(file),
            at: 0,
        })
    }
}

#[async_trait::async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (path, file, mut at) = (self.path.clone(), self.file.clone(), self.at);
        self.at += data.content_length() as u64;
        Box::pin(blocking(move || {
            for bytes in &data {
                file.write_all_at(bytes, at).map_err(|e| failed(&path, e))?;
                at += bytes.len() as u64;
            }
            Ok(())
        }))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (path, staged, file) = (self.path.clone(), self.staged.clone(), self.file.clone());
        blocking(move || {
            let named = file.sync_all().and_then(|()| std::fs::rename(&staged.0, &path));
            // Whoever names this file next must find its name on the device, too.
            let folder = path.parent().unwrap_or(FsPath::new("/"));
            let kept = named.and_then(|()| File::open(folder)?.sync_all());
            kept.map_err(|e| failed(&path, e))
        })
        .await?;
        Ok(DONE)
    }

    async fn abort(&mut self) -> Result<()> {
        // It goes with this.
        Ok(())
    }
}

/// A file in the making; what is left of it goes.
#[derive(Debug)]
struct Staged(PathBuf);

impl Staged {
    /// Names that end in `#` and digits are in no listing of the local store.
    fn beside(path: &FsPath) -> Staged {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{}", uuid::Uuid::now_v7().as_u128()));
        Staged(name.into())
    }

    fn create(&self) -> io::Result<File> {
        let create = || OpenOptions::new().write(true).create_new(true).open(&self.0);
        match (create(), self.0.parent()) {
            (Err(error), Some(dir)) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(dir)?;
                create()
            }
            (file, _) => file,
        }
    }

    fn write(&self, payload: &PutPayload) -> io::Result<()> {
        let mut file = self.create()?;
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

    /// What a long checkpoint does.
    async fn upload(path: &FsPath, parts: [&'static str; 2]) -> Box<dyn MultipartUpload> {
        let location = Path::from_absolute_path(path).unwrap();
        let options = PutMultipartOptions::default();
        let mut upload = Disk::default().put_multipart_opts(&location, options).await.unwrap();
        let [first, second] = parts.map(|part| upload.put_part(part.into()));
        // In whatever order they are done.
        second.await.unwrap();
        first.await.unwrap();
        upload
    }

    #[tokio::test]
    async fn a_file_in_parts_has_its_name_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("_delta_log/1.checkpoint.parquet");
        let count = || std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        let mut given_up = upload(&path, ["half", ""]).await;
        given_up.abort().await.unwrap();
        drop(given_up);
        assert_eq!(count(), 0);
        for parts in [["one ", "two"], ["three ", "four"]] {
            let before = std::fs::read_to_string(&path).unwrap_or_default();
            let mut upload = upload(&path, parts).await;
            assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), before);
            upload.complete().await.unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), parts.concat());
            drop(upload);
            assert_eq!(count(), 1);
        }
    }

    /// Not a test of its own: the process that is watched.
    #[tokio::test]
    async fn child() {
        let Some(path) = std::env::var_os("WEIR_TEST_UPLOAD") else {
            return;
        };
        let mut upload = upload(FsPath::new(&path), ["one ", "two"]).await;
        upload.complete().await.unwrap();
    }

    #[test]
    fn a_file_in_parts_is_on_the_device_before_it_has_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let (path, log) = (dir.path().join("1.checkpoint.parquet"), dir.path().join("calls"));
        let mut watched = std::process::Command::new("strace");
        watched
            .args(["-f", "-qq", "-y", "-e", "trace=fsync,/^rename", "-o"])
            .arg(&log)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "disk::tests::child"])
            .env("WEIR_TEST_UPLOAD", &path);
        if !watched.output().is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: what the system is asked for: `strace` is not here, or not allowed");
            assert!(std::env::var_os("WEIR_REQUIRE_STRACE").is_none(), "strace is required");
            return;
        }
        let calls = std::fs::read_to_string(log).unwrap();
        let calls = calls.lines().filter(|line| line.contains(dir.path().to_str().unwrap()));
        let names: Vec<&str> = calls
            .filter_map(|line| line.split_once(' ')?.1.trim_start().split('(').next())
            .collect();
        let name = |call: &str| {
            call.trim_end_matches(|c: char| c.is_ascii_digit() || c == 'a' || c == 't')
                .to_owned()
        };
        assert_eq!(
            names.iter().map(|call| name(call)).collect::<Vec<_>>(),
            ["fsync", "rename", "fsync"]
        );
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
