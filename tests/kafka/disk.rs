//! A disk of its own, to be filled, freed and taken away.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A tmpfs on an empty folder. It goes when this is dropped, or when this process ends.
pub struct Disk {
    dir: PathBuf,
    room: &'static str,
}

impl Disk {
    /// Lays it over `dir`. Where that is not allowed there is none, and this says so.
    pub fn over(dir: &Path, room: &'static str) -> Option<Disk> {
        std::fs::create_dir_all(dir).unwrap();
        let options = format!("size={room},mode=755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "weir-test"]).arg(dir);
        if !mount.output().is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: a disk of its own: `mount -t tmpfs` is not allowed here");
            return None;
        }
        // Takes it away also where this process is killed and cannot.
        let watch = "while kill -0 \"$0\" && [ -d \"$1\" ]; do sleep 1; done; umount -l \"$1\"";
        let _ = Command::new("setsid")
            .args(["sh", "-c", watch, &std::process::id().to_string()])
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let dir = dir.to_owned();
        Some(Disk { dir, room })
    }

    /// Takes away all room but `left` KiB.
    pub fn fill(&self, left: u64) {
        let output = Command::new("df")
            .args(["-k", "--output=used"])
            .arg(&self.dir)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let used: u64 = text.lines().nth(1).unwrap().trim().parse().unwrap();
        let output = self.remount(&format!("size={}k", used + left));
        // It grows while it is measured: then it stays as it is, and the fault did not come about.
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            eprintln!("the disk keeps its size: {why}");
        }
    }

    /// Gives it the room back that it had.
    pub fn free(&self) {
        self.remount(&format!("size={}", self.room));
    }

    /// Nobody may write, or everybody again.
    #[track_caller]
    pub fn set_read_only(&self, read_only: bool) {
        let output = self.remount(if read_only { "ro" } else { "rw" });
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn remount(&self, option: &str) -> Output {
        let option = format!("remount,{option}");
        (Command::new("mount").args(["-o", &option]).arg(&self.dir))
            .output()
            .unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.dir).status();
    }
}
