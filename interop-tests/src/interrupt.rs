//! Ctrl-C must not leave namespaces behind, so a signal only sets a flag; whoever waits sees it, returns an
//! error, and the values on the stack clean up after themselves as they do after any other error.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static REQUESTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: libc::c_int) {
    REQUESTED.store(true, Ordering::SeqCst);
}

/// From now on SIGINT, SIGTERM and SIGHUP set the flag instead of ending the process. Children are not
/// affected: exec resets handlers.
///
/// # Errors
/// When the kernel refuses a handler.
pub fn install() -> anyhow::Result<()> {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler stores to an atomic and does nothing else, which is async-signal-safe.
        #[expect(unsafe_code, reason = "there is no safe way to install a signal handler")]
        unsafe {
            sigaction(signal, &action)?;
        }
    }
    Ok(())
}

/// Whether one of the signals has come.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}
