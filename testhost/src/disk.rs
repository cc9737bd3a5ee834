//! A small disk of a test's own, which can be filled.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A file system in memory, which ends with this.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// One of so many bytes; none, said as [`lacks_tool`](crate::lacks_tool) says it, where this process may not mount.
    #[must_use]
    pub fn mount(bytes: u64) -> Option<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("katzensprung-disk-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).expect("a folder");
        let disk = Self(path);
        if disk.run(&["-t", "tmpfs", "-o", &format!("size={bytes},mode=0755"), "tmpfs"]) {
            return Some(disk);
        }
        crate::lacks_tool("mount");
        None
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// It has so many bytes from now on.
    #[track_caller]
    pub fn resize(&self, bytes: u64) {
        assert!(self.run(&["-o", &format!("remount,size={bytes}"), "tmpfs"]), "the disk is not resized");
    }

    fn run(&self, arguments: &[&str]) -> bool {
        let mut mount = Command::new("mount");
        mount.args(arguments).arg(&self.0).stdout(Stdio::null()).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what is still open on it ends with its process.
        let mut umount = Command::new("umount");
        let _not_mounted = umount.arg("-l").arg(&self.0).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _gone_already = std::fs::remove_dir(&self.0);
    }
}
