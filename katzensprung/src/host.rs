//! What both processes ask of the host when they start.

use nix::sys::signal::{SigSet, Signal};
use rustix::process::{Resource, getrlimit, setrlimit};

/// The data plane's name in `ps`, `top` and reports of the kernel; it is started as `/proc/self/exe`. At most 15 bytes.
pub const DATA_PLANE_NAME: &std::ffi::CStr = c"katzensprung-dp";

/// Raises the soft limit of open files to the hard one, which is what an operator means by a limit; 1024 is only what
/// programs with `select` can bear.
pub fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // A limit that cannot be raised is what it was; what does not fit into it is said where it matters.
    let _as_before = setrlimit(Resource::Nofile, limit);
}

/// Makes a file that would grow past the limit of file sizes, which counts for shared memory too, an error instead of the
/// end of the process. To be called before there are threads.
pub fn bear_file_limits() {
    // It only fails for what is no signal.
    let _as_before = SigSet::from(Signal::SIGXFSZ).thread_block();
}

/// Lets hang-ups wait: both processes take them as soon as they can, and none ends what has only just begun. To be called
/// before there are threads.
pub fn hold_hangups() {
    // It only fails for what is no signal.
    let _as_before = SigSet::from(Signal::SIGHUP).thread_block();
}

/// Lets them do what they usually do.
pub fn hear_hangups() {
    let _as_before = SigSet::from(Signal::SIGHUP).thread_unblock();
}

/// Gives the process a name that an operator knows.
pub fn name_process(name: &std::ffi::CStr) {
    // It only helps to find the process.
    let _unnamed = rustix::thread::set_name(name);
}
