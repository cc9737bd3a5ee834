//! Limits of the host that an error of the operating system is about.

use rustix::io::Errno;

/// What to do about an error of the operating system that is about a limit.
pub fn remedy(error: &std::io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN) => {
            "; raise the limit of tasks (LimitNPROC= or TasksMax= of the unit, ulimit -u, the container's limit of processes)"
        }
        Some(Errno::MFILE) => "; raise the limit of open files (LimitNOFILE= of the unit, ulimit -Hn)",
        Some(Errno::FBIG) => {
            "; raise the limit of file sizes (LimitFSIZE= of the unit, ulimit -f), which counts for shared memory too"
        }
        Some(Errno::PERM | Errno::NOSYS) => "; a sandbox (seccomp profile) seems to forbid it: allow it",
        Some(Errno::NFILE) => "; raise fs.file-max",
        Some(Errno::NOMEM) => {
            "; give it more memory (MemoryMax=, LimitAS= of the unit, ulimit -v, the container's limit)"
        }
        _ => "",
    }
}
