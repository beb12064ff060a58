//! Ctrl-C and SIGTERM end a run the way an error does, so that the peer that it started ends with it and its directory goes.

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Result};

/// Runs `work` unless a signal comes first.
pub async fn unless<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let listen = |kind| signal(kind).map_err(Error::io("cannot listen for signals"));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        result = work => result,
        _ = interrupt.recv() => Err(Error::Input("interrupted".into())),
        _ = terminate.recv() => Err(Error::Input("terminated".into())),
    }
}
