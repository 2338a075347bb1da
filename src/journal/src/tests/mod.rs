//! Tests behind the crate's own seam: a disk that fails as told, and forgets as disks do.

mod fault;
mod format;
mod memory;
mod room;
mod tool;
