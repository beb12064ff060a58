//! The ordinary tokio thread beside the shards: signals and the metrics endpoint. It shares nothing with the executors but metrics,
//! so it answers when they are busy, too.

use std::io;
use std::net::TcpListener;
use std::sync::mpsc;

use super::stop::{Signals, Stopper};
use crate::telemetry::endpoint::Endpoint;

/// Starts the thread; it runs until the process ends. Signals are taken over and the endpoint listens when this returns.
pub fn start(listener: TcpListener, endpoint: Endpoint, stopper: Stopper) -> io::Result<()> {
    let (started, outcome) = mpsc::sync_channel(1);
    let run = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(started.send(Err(error))),
        };
        runtime.block_on(async {
            let both = Signals::take().and_then(|signals| Ok((signals, endpoint.listen(listener)?)));
            let (signals, serving) = match both {
                Ok(both) => both,
                Err(error) => return drop(started.send(Err(error))),
            };
            drop(started.send(Ok(())));
            tokio::join!(signals.watch(stopper), serving);
        });
    };
    std::thread::Builder::new().name("z4-side".into()).spawn(run)?;
    outcome.recv().unwrap_or_else(|_| Err(io::Error::other("the side thread ended before it started")))
}
