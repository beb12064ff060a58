//! One connection, from the greeting to the end.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use opensrv_mysql::AsyncMysqlIntermediary;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::connections::Presence;
use super::gate::Gate;
use super::inlet;
use super::line::Line;
use super::outgoing::Outgoing;
use super::outlet::Outlet;
use super::service::Service;
use super::shim::Shim;

/// A client that was told why its connection ends has so long to read it.
const LINGER: Duration = Duration::from_millis(500);

/// Serves a client until it goes, or is sent away.
pub(super) async fn serve<R, W>(service: Arc<Service>, presence: Presence, reader: R, writer: W)
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let connections = service.connections.clone();
    let outgoing = Outgoing::new(Box::new(writer), connections.clone());
    let line = Line::new(service, presence.entry.clone(), outgoing);
    let (sender, inbound) = mpsc::channel(1);
    let mut inlet = tokio::spawn(inlet::run(reader, line.clone(), sender));
    let (gate, outlet) = (Gate::new(line.clone(), inbound), Outlet::new(line.clone()));
    let result = Box::pin(AsyncMysqlIntermediary::run_on(Shim::new(line.clone()), gate, outlet)).await;
    if let Err(error) = &result {
        tracing::debug!(peer = %line.peer(), %error, "an SQL connection ended");
        if line.is_logged_in() {
            connections.counters.aborted.fetch_add(1, Relaxed);
        }
    }
    let last_words = async {
        poll_fn(|cx| line.outgoing().poll_drain(cx)).await?;
        poll_fn(|cx| line.outgoing().poll_shutdown(cx)).await
    };
    // A socket that is closed with unread bytes in it takes the last words with it; so the client goes first, if it does so soon.
    if let Ok(Ok(())) = tokio::time::timeout(LINGER, last_words).await {
        let _ = tokio::time::timeout(LINGER, &mut inlet).await;
    }
    inlet.abort();
}
