//! A disk over real files that knows what a power cut would leave, and fails as told.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::core::lock;
use crate::disk::{Disk, DiskFile, Os};

/// What goes wrong, and when.
#[derive(Default)]
pub struct Plan {
    /// Calls until one fails, counted down; 0: none will.
    pub fail_write: AtomicU64,
    pub fail_sync: AtomicU64,
    pub fail_create: AtomicU64,
    /// Whether all calls after the first failing one fail too.
    pub for_good: AtomicBool,
    /// Whether a failing write leaves half of its bytes.
    pub half_writes: AtomicBool,
    /// Whether every write takes a third of its bytes only.
    pub short_writes: AtomicBool,
    /// The failure is a full disk.
    pub full: AtomicBool,
    /// Microseconds that every write takes.
    pub slow: AtomicU64,
}

impl Plan {
    fn fails(&self, counter: &AtomicU64) -> io::Result<()> {
        let left = counter.load(Ordering::SeqCst);
        if left == 0 {
            return Ok(());
        }
        if left == 1 && self.for_good.load(Ordering::SeqCst) {
            return Err(self.error());
        }
        counter.store(left - 1, Ordering::SeqCst);
        if left == 1 { Err(self.error()) } else { Ok(()) }
    }

    fn error(&self) -> io::Error {
        if self.full.load(Ordering::SeqCst) {
            io::ErrorKind::StorageFull.into()
        } else {
            io::Error::from_raw_os_error(5) // EIO
        }
    }
}

/// Bytes on the device, and what the page cache has beyond.
#[derive(Default)]
struct Image {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Image {
    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            match change {
                Change::Write(at, bytes) => {
                    let at = at as usize;
                    let end = at + bytes.len();
                    if self.durable.len() < end {
                        self.durable.resize(end, 0);
                    }
                    self.durable[at..end].copy_from_slice(&bytes);
                }
                Change::Length(len) => self.durable.resize(len as usize, 0),
            }
        }
    }
}

type Names = BTreeMap<PathBuf, Arc<Mutex<Image>>>;

#[derive(Clone, Default)]
pub struct Memory {
    pub plan: Arc<Plan>,
    names: Arc<Mutex<Names>>,
    durable_names: Arc<Mutex<Names>>,
    /// Folders that were synced.
    pub synced_dirs: Arc<Mutex<Vec<PathBuf>>>,
}

impl Memory {
    /// Writes what a power cut now would leave of the segments into `to`.
    pub fn power_cut(&self, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for (path, image) in lock(&self.durable_names).iter() {
            let Some(name) = path.file_name() else { continue };
            std::fs::write(to.join(name), &lock(image).durable).unwrap();
        }
    }
}

struct MemoryFile {
    real: Arc<dyn DiskFile>,
    image: Arc<Mutex<Image>>,
    plan: Arc<Plan>,
}

impl Disk for Memory {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        self.plan.fails(&self.plan.fail_create)?;
        let real = Os.create(path, bytes)?;
        let image = Arc::new(Mutex::new(Image {
            durable: Vec::new(),
            pending: vec![Change::Length(bytes)],
        }));
        lock(&self.names).insert(path.to_owned(), image.clone());
        Ok(Arc::new(MemoryFile {
            real,
            image,
            plan: self.plan.clone(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Os.rename(from, to)?;
        let mut names = lock(&self.names);
        if let Some(image) = names.remove(from) {
            names.insert(to.to_owned(), image);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        lock(&self.names).remove(path);
        Os.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.plan.fails(&self.plan.fail_sync)?;
        Os.sync_dir(dir)?;
        lock(&self.synced_dirs).push(dir.to_owned());
        *lock(&self.durable_names) = lock(&self.names).clone();
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let mut take = bytes.len();
        match self.plan.slow.load(Ordering::SeqCst) {
            0 => {}
            micros => std::thread::sleep(std::time::Duration::from_micros(micros)),
        }
        if self.plan.short_writes.load(Ordering::SeqCst) {
            take = take.div_ceil(3);
        }
        if let Err(e) = self.plan.fails(&self.plan.fail_write) {
            if self.plan.half_writes.load(Ordering::SeqCst) {
                self.real.write_at(&bytes[..take / 2], at)?;
                lock(&self.image)
                    .pending
                    .push(Change::Write(at, bytes[..take / 2].to_vec()));
            }
            return Err(e);
        }
        let written = self.real.write_at(&bytes[..take], at)?;
        lock(&self.image)
            .pending
            .push(Change::Write(at, bytes[..written].to_vec()));
        Ok(written)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.real.read_at(buffer, at)
    }

    fn len(&self) -> io::Result<u64> {
        self.real.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.real.set_len(len)?;
        lock(&self.image).pending.push(Change::Length(len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut image = lock(&self.image);
        if let Err(e) = self.plan.fails(&self.plan.fail_sync) {
            // As Linux does: the pages are marked clean, the page cache keeps them, the device
            // never sees them, and the next fdatasync of this file says all is well.
            image.pending.clear();
            return Err(e);
        }
        image.sync();
        Ok(())
    }

    fn next_data(&self, at: u64) -> io::Result<Option<u64>> {
        self.real.next_data(at)
    }
}
