//! Requests to stop: from signals, and from whatever part of the peer cannot go on.

use std::fmt;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::exit::Exit;

/// Why the peer should stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// A signal of this name.
    Signal(&'static str),
    /// A part of the peer cannot go on.
    Failed {
        /// The exit status that tells what kind of failure it was.
        exit: Exit,
        /// What happened.
        what: String,
    },
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopReason::Signal(name) => f.write_str(name),
            StopReason::Failed { what, .. } => f.write_str(what),
        }
    }
}

/// Asks the peer to stop. Any thread may hold one.
#[derive(Clone, Debug)]
pub struct Stopper(mpsc::UnboundedSender<StopReason>);

/// Where the requests arrive: with the main thread.
#[derive(Debug)]
pub struct StopRequests(mpsc::UnboundedReceiver<StopReason>);

/// A new pair.
pub fn requests() -> (Stopper, StopRequests) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Stopper(sender), StopRequests(receiver))
}

impl Stopper {
    /// Asks. The first request counts.
    pub fn stop(&self, reason: StopReason) {
        // Nobody receives when the peer has stopped already.
        let _ = self.0.send(reason);
    }
}

impl StopRequests {
    /// Blocks until somebody asks. Not within a runtime.
    pub fn wait(&mut self) -> StopReason {
        self.0.blocking_recv().unwrap_or_else(nobody_left)
    }

    /// The same, for who does something else meanwhile.
    pub async fn next(&mut self) -> StopReason {
        self.0.recv().await.unwrap_or_else(nobody_left)
    }
}

fn nobody_left() -> StopReason {
    StopReason::Failed { exit: Exit::Internal, what: "nothing is left that could ask for a stop".into() }
}

/// The signals that stop a peer.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes SIGTERM and SIGINT over from the kernel. Call it within a tokio runtime.
    pub fn take() -> std::io::Result<Self> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The first signal asks for a graceful stop; the second ends the process at once.
    pub async fn watch(mut self, stopper: Stopper) {
        let name = self.next().await;
        tracing::info!(signal = name, "stopping; a second signal ends the process at once");
        stopper.stop(StopReason::Signal(name));
        let name = self.next().await;
        tracing::warn!(signal = name, "ending at once");
        Exit::Interrupted.now()
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
