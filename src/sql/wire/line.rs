//! What the parts of one connection share: the reader, opensrv's loop between [`super::gate`] and [`super::outlet`], and the shim that
//! answers. They run one after the other, in one task; the locks are never waited for.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use z4_shards::account::Share;

use super::command::Command;
use super::compress::{CONNECTION_BYTES, Method};
use super::connections::Entry;
use super::handshake::Response;
use super::outgoing::Outgoing;
use super::service::{PacketShare, Service};
use crate::sql::error::SqlError;

/// One connection.
pub(super) struct Line {
    pub(super) service: Arc<Service>,
    pub(super) entry: Arc<Entry>,
    /// The salt of this login.
    pub(super) salt: [u8; 20],
    state: Mutex<State>,
    outgoing: Mutex<Outgoing>,
    logged_in: AtomicBool,
    /// The next packet proves the password of another login.
    proof: AtomicBool,
    idle_ms: AtomicU64,
    /// How packets are compressed, and the memory for it.
    compression: OnceLock<(Method, Option<Share>)>,
}

/// What the client said and wants.
#[derive(Default)]
struct State {
    response: Response,
    plugin: &'static str,
    command: Option<(Command, Vec<PacketShare>)>,
}

impl Line {
    pub(super) fn new(service: Arc<Service>, entry: Arc<Entry>, outgoing: Outgoing) -> Arc<Line> {
        let idle_ms = AtomicU64::new(service.options.idle_timeout.as_millis() as u64);
        let state = Mutex::default();
        let outgoing = Mutex::new(outgoing);
        let (logged_in, proof, compression) = Default::default();
        Arc::new(Line { service, entry, salt: salt(), state, outgoing, logged_in, proof, idle_ms, compression })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The packets to the client.
    pub(super) fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client's address.
    pub(super) fn peer(&self) -> SocketAddr {
        self.entry.peer
    }

    /// What the client says of itself, and the plugin by which it proves its password.
    pub(super) fn introduced(&self, response: Response, plugin: &'static str) {
        let mut state = self.state();
        state.response = response;
        state.plugin = plugin;
    }

    /// What the client said of itself.
    pub(super) fn response(&self) -> Response {
        self.state().response.clone()
    }

    /// The plugin by which it proves its password.
    pub(super) fn plugin(&self) -> &'static str {
        self.state().plugin
    }

    /// The client has proven its password: larger packets are taken, and sequences start at 0.
    pub(super) fn logs_in(&self) {
        self.logged_in.store(true, Relaxed);
    }

    pub(super) fn is_logged_in(&self) -> bool {
        self.logged_in.load(Relaxed)
    }

    /// After the answer to its login the client compresses what it sends, if it said so.
    ///
    /// # Errors
    /// 1041: there is no memory for it.
    pub(super) fn expects_compression(&self) -> Result<(), SqlError> {
        let response = self.response();
        let Some(method) = Method::of(response.capabilities, response.zstd_level) else { return Ok(()) };
        let charge = self.entry.holder().map(|holder| holder.take(CONNECTION_BYTES)).transpose();
        let charge =
            charge.map_err(|full| SqlError::new(1041, "HY000", format!("Out of memory for a compressed connection: {full}")))?;
        // A connection logs in once.
        let _ = self.compression.set((method, charge));
        Ok(())
    }

    /// How the client compresses its packets, once it has logged in.
    pub(super) fn compression(&self) -> Option<Method> {
        self.compression.get().map(|(method, _)| *method)
    }

    /// The answer to the login is written: what follows is compressed, if the client is to be answered so.
    pub(super) fn compresses_answers(&self, outgoing: &mut Outgoing) {
        if let Some(method) = self.compression() {
            outgoing.compress(method, self.service.packer.clone());
        }
    }

    /// How long the client may be idle.
    pub(super) fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms.load(Relaxed))
    }

    pub(super) fn set_idle(&self, seconds: u64) {
        self.set_idle_for(Duration::from_secs(seconds));
    }

    pub(super) fn set_idle_for(&self, time: Duration) {
        self.idle_ms.store(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Whether the next packet is no command, but proves a password.
    pub(super) fn expects_proof(&self, expects: bool) {
        self.proof.store(expects, Relaxed);
    }

    pub(super) fn is_proof_expected(&self) -> bool {
        self.proof.load(Relaxed)
    }

    /// The next command, and the memory that it holds.
    pub(super) fn put(&self, command: Command, shares: Vec<PacketShare>) {
        self.state().command = Some((command, shares));
    }

    /// Takes it.
    pub(super) fn take(&self) -> Option<(Command, Vec<PacketShare>)> {
        self.state().command.take()
    }

    /// Puts an error packet into the buffer.
    pub(super) fn refuse(&self, error: &SqlError) {
        super::reply::error(&mut self.outgoing(), error);
    }

    /// Writes the buffer to the socket.
    ///
    /// # Errors
    /// The client has gone, or takes nothing.
    pub(super) async fn drain(&self) -> io::Result<()> {
        let drained = poll_fn(|cx| self.outgoing().poll_drain(cx));
        match tokio::time::timeout(self.service.options.write_timeout, drained).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing of its result")),
        }
    }
}

/// Random, of bytes from 1 to 127, which is what MySQL sends; `$` has a meaning in some clients.
pub(super) fn salt() -> [u8; 20] {
    let random: [u8; 20] = std::array::from_fn(|_| rand::random_range(1..=126));
    random.map(|byte| if byte == b'$' { 127 } else { byte })
}
