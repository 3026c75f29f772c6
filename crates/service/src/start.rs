//! What a process asks of the system before it begins. Failing is no reason not to start.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::disable_transparent_huge_pages;

/// Raises the limit of open files to what the system allows: the usual soft limit of 1,024 is fewer sockets
/// than a busy door has.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// Has this process's memory in pages of the usual size. One small piece that is in use holds a huge page of 2 MiB,
/// and the allocator asks for those: under a flood the gateway had 315 MiB resident with them and 147 without.
pub fn use_small_pages() {
    if let Err(error) = disable_transparent_huge_pages(true) {
        tracing::warn!(%error, "cannot do without huge pages: more memory is resident than is used");
    }
}
