//! A panic on any thread ends the process. A peer that has lost one shard would go on holding its leases and its leadership.

use super::exit::Exit;

/// Logs each panic and ends the process with [`Exit::Internal`], from now on.
pub fn exit_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let backtrace = std::backtrace::Backtrace::force_capture();
        tracing::error!(thread = thread.name().unwrap_or("unnamed"), %panic, %backtrace, "a thread panicked; the process ends");
        Exit::Internal.now()
    }));
}
