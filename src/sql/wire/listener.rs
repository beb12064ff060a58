//! Accepts connections, on a thread of its own.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection::serve;
use super::connections::Connections;
use super::options::Options;
use super::outgoing::Outgoing;
use super::reply;
use super::service::{Backend, Service};
use super::users::Users;
use crate::sql::error::SqlError;
use crate::sql::sqlite::lower_priority;

/// The parser of statements is recursive.
const STACK_BYTES: usize = 8 << 20;
/// Threads for long statements.
const COMPILING_MAX: usize = 2;
/// A connection that is refused is told so if it takes it at once.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(100);
/// After an error of accept (out of file descriptors, for instance), before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener's thread. Dropping it stops it, too, without waiting.
#[derive(Debug)]
pub struct Server {
    stopper: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
}

/// Starts to serve on a bound socket. With no users anybody may connect, from loopback addresses only.
///
/// # Errors
/// The thread cannot be started, or the socket is none.
pub fn start(
    listener: TcpListener,
    backend: Arc<dyn Backend>,
    users: Users,
    connections: Arc<Connections>,
    options: Options,
) -> io::Result<Server> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let options = Options { port: address.port(), ..options };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("z4-sql-long")
        .on_thread_start(lower_priority)
        .thread_stack_size(STACK_BYTES)
        .max_blocking_threads(COMPILING_MAX)
        .build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    tracing::info!(%address, users = users.len(), "SQL clients are served");
    let service = Service::new(backend, users, connections, options);
    let (stopper, stopped) = watch::channel(false);
    let run = move || {
        runtime.block_on(accept(listener, service, stopped));
        // A long statement that is still being compiled must not keep the process.
        runtime.shutdown_background();
    };
    let thread = std::thread::Builder::new().name("z4-sql".into()).stack_size(STACK_BYTES).spawn(run)?;
    Ok(Server { stopper, thread: Some(thread), address })
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, ends those that there are (their statements with 1053), and waits for that, bounded by
    /// [`Options::stop_timeout`].
    pub fn stop(mut self) {
        self.stopper.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked: that ends the process.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopper.send_replace(true);
    }
}

async fn accept(listener: tokio::net::TcpListener, service: Arc<Service>, mut stopped: watch::Receiver<bool>) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            // An error says that the server was dropped.
            _ = stopped.wait_for(|stopped| *stopped) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => admit(&service, &mut clients, stream, peer).await,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an SQL connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = clients.join_next() => {}
        }
    }
    drop(listener);
    service.connections.stop();
    let ended = async { while clients.join_next().await.is_some() {} };
    if tokio::time::timeout(service.options.stop_timeout, ended).await.is_err() {
        tracing::warn!(connections = clients.len(), "SQL connections did not end in time and are cut");
    }
}

async fn admit(service: &Arc<Service>, clients: &mut JoinSet<()>, stream: TcpStream, peer: SocketAddr) {
    if service.users.is_empty() && !peer.ip().to_canonical().is_loopback() {
        if let Some(unlogged) = service.connections.counters.refusals.admits() {
            tracing::warn!(
                %peer,
                unlogged,
                "an SQL connection was refused: no users are configured, so only loopback addresses may connect"
            );
        }
        let host = peer.ip();
        return refuse(
            service,
            stream,
            SqlError::new(
                1130,
                "HY000",
                format!(
                    "Host '{host}' is not allowed to connect to this MySQL server: without sql_users only its own machine is"
                ),
            ),
        )
        .await;
    }
    let Some(presence) = service.connections.enter(peer, service.options.connections_max) else {
        service.connections.counters.refused_connections.fetch_add(1, Relaxed);
        return refuse(service, stream, SqlError::new(1040, "08004", "Too many connections")).await;
    };
    // Answers are written whole.
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    clients.spawn(serve(service.clone(), presence, reader, writer));
}

async fn refuse(service: &Service, stream: TcpStream, error: SqlError) {
    let mut outgoing = Outgoing::new(Box::new(stream), service.connections.clone());
    reply::error(&mut outgoing, &error);
    let written = std::future::poll_fn(|cx| outgoing.poll_drain(cx));
    // Nobody waits for it.
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, written).await;
}
