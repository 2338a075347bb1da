//! The file layer, behind a seam so that tests can make it fail.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One segment file.
pub(crate) trait DiskFile: Send + Sync {
    /// Writes some of `bytes` at byte `at`; may write fewer.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
    fn len(&self) -> io::Result<u64>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// `fdatasync`.
    fn sync(&self) -> io::Result<()>;
    /// The first byte at or after `at` that is not in a hole; `None` if all the rest is.
    fn next_data(&self, at: u64) -> io::Result<Option<u64>>;
}

/// The folder's operations.
pub(crate) trait Disk: Send + Sync {
    /// A new file of `bytes` zeros, with its blocks reserved where the file system can.
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// Whether a file system, or its user's share of it, is used up.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes a folder, and those above it, so that a power cut does not take them back. What is made here holds
/// prompts and answers: a folder that was not there is for its owner alone (mode 0700), one that was is left as
/// it is.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    make_dir_on(&Os, dir)
}

const UNSYNCABLE: [io::ErrorKind; 3] = [
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::InvalidInput,
    io::ErrorKind::Unsupported,
];

/// The names of a folder and of the one above it are made durable even if they are there: whoever made them
/// may not have come to it.
pub(crate) fn make_dir_on(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let names: Vec<&Path> = (dir.ancestors())
        .take_while(|name| name.file_name().is_some())
        .collect();
    let absent = names.iter().take_while(|name| !name.exists()).count();
    create(dir)?;
    for (index, name) in names.into_iter().take(absent.max(2)).enumerate() {
        let above = match name.parent() {
            Some(above) if !above.as_os_str().is_empty() => above.to_owned(),
            _ => PathBuf::from("."),
        };
        match disk.sync_dir(&above) {
            // Somebody else made it, in a folder that we need not be able to read, or that cannot be synced.
            Err(e) if index >= absent && UNSYNCABLE.contains(&e.kind()) => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// The folder itself for its owner alone, those above it as the process makes folders.
fn create(dir: &Path) -> io::Result<()> {
    if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
        std::fs::create_dir_all(above)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if !dir.is_dir() => Err(e),
        _ => Ok(()),
    }
}

/// Writes all of `bytes`, however short the single writes are.
pub(crate) fn write_all(file: &dyn DiskFile, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                bytes = &bytes[n..];
                at += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// The operating system's files.
pub(crate) struct Os;

pub(crate) struct OsFile(pub File);

impl OsFile {
    /// Opens an existing file for reading only.
    pub fn open(path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OsFile(File::open(path)?)))
    }
}

impl Disk for Os {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            Ok(()) => {}
            // No preallocation on this file system: a sparse file does, only a full disk shows later.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(bytes)?,
            Err(e) => {
                drop(file);
                let _ = std::fs::remove_file(path);
                return Err(e.into());
            }
        }
        Ok(Arc::new(OsFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

impl DiskFile for OsFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        self.0.write_at(bytes, at)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.0.read_at(buffer, at)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        rustix::fs::fdatasync(&self.0).map_err(Into::into)
    }

    fn next_data(&self, at: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(&self.0, rustix::fs::SeekFrom::Data(at)) {
            Ok(data) => Ok(Some(data)),
            Err(rustix::io::Errno::NXIO) => Ok(None),
            // A file system without holes to report: everything is data.
            Err(_) => Ok(Some(at)),
        }
    }
}
