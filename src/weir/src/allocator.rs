//! The allocator: how soon it gives back to the system what is free.

#[cfg(feature = "analytics")]
use std::os::unix::process::CommandExt as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "analytics")]
const DELAY: &str = "MIMALLOC_PURGE_DELAY";

/// Landing frees as fast as it allocates. What waits a second before it goes back, as it does unless the
/// allocator is told otherwise, is as much again as what is in use; a twentieth of a second costs a tenth of
/// the speed. The allocator reads this from the environment before `main`: so the process begins once more,
/// as itself. It returns where there is nothing to do, or where that is not possible.
#[cfg(feature = "analytics")]
pub fn give_back_soon() {
    if std::env::var_os(DELAY).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    let failed = again.args(arguments).env(DELAY, "50").exec();
    tracing::debug!(%failed, "the allocator keeps what is free for a second");
}

/// What was freed goes back only when something happens in the allocator, such as the end of a thread that
/// has allocated: a process at rest would keep for good what its start took.
pub fn give_back() {
    let little = || drop(std::hint::black_box(vec![0u8; 64]));
    if let Ok(thread) = std::thread::Builder::new().stack_size(16 << 10).spawn(little) {
        // A thread that does so little does not fail.
        let _ = thread.join();
    }
}
