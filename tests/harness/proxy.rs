//! A fault-injecting TCP proxy in front of a peer's port: the connections of a [`Network`](super::network::Network).
//!
//! Who calls is told by the first message, a Hello after its length; everything after it is bytes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prost::Message;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use z4_proto::peer::Hello;

use super::network::{Passage, Shared, Way, Ways};

/// The bound of a first message: that of the peers.
const HELLO_BYTES_MAX: usize = 64 << 10;

/// Whoever says nothing for so long is no peer.
const HELLO_MAX: Duration = Duration::from_secs(10);

const CHUNK_BYTES: usize = 16 << 10;

/// Reads that are on their way in one direction of one connection; more wait in the sockets.
const CHUNKS: usize = 1_024;

/// Takes connections for a peer. Never ends.
pub(super) async fn accept(shared: Arc<Shared>, peer: String, listener: TcpListener) {
    loop {
        let Ok((caller, _)) = listener.accept().await else { continue };
        let (shared, peer) = (Arc::clone(&shared), peer.clone());
        // What is wrong with a connection is seen by its ends.
        tokio::spawn(async move { serve(&shared, peer, caller).await });
    }
}

async fn serve(shared: &Shared, peer: String, mut caller: TcpStream) -> io::Result<()> {
    let (hello, first) = tokio::time::timeout(HELLO_MAX, hear(&mut caller)).await??;
    let number = shared.connections.fetch_add(1, Ordering::Relaxed) as u64;
    let forth = Road::new(shared, (hello.from_id.clone(), peer.clone()), 2 * number);
    let back = Road::new(shared, (peer.clone(), hello.from_id), 2 * number + 1);
    let Some(mut target) = reach(shared.target(&peer), &forth, &back).await else { return caller.set_zero_linger() };
    for end in [&caller, &target] {
        end.set_nodelay(true)?;
    }
    let mut watch = (forth.clone(), back.clone(), shared.breaks.subscribe());
    let broken = {
        let (from_caller, to_caller) = caller.split();
        let (from_target, to_target) = target.split();
        tokio::select! {
            broken = forth.carry(first, from_caller, to_target) => broken,
            broken = back.carry(Vec::new(), from_target, to_caller) => broken,
            () = watch.0.cut() => true,
            () = watch.1.cut() => true,
            _ = watch.2.changed() => true,
        }
    };
    // An end that was asked for by one side reaches the other side as one; a broken connection is reset.
    if broken {
        caller.set_zero_linger()?;
        target.set_zero_linger()?;
    }
    Ok(())
}

async fn hear(caller: &mut TcpStream) -> io::Result<(Hello, Vec<u8>)> {
    let length = caller.read_u32().await? as usize;
    if length > HELLO_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = (length as u32).to_be_bytes().to_vec();
    bytes.resize(4 + length, 0);
    caller.read_exact(&mut bytes[4..]).await?;
    let hello = Hello::decode(&bytes[4..]).map_err(io::Error::other)?;
    Ok((hello, bytes))
}

/// Connects with the peer, unless a way to or from it is cut.
async fn reach(target: Option<SocketAddr>, forth: &Road, back: &Road) -> Option<TcpStream> {
    if [forth, back].iter().any(|road| road.way().passage == Passage::Cut) {
        return None;
    }
    TcpStream::connect(target?).await.ok()
}

/// One direction of one connection.
#[derive(Clone)]
struct Road {
    ways: watch::Receiver<Ways>,
    pair: (String, String),
    seed: u64,
}

impl Road {
    fn new(shared: &Shared, pair: (String, String), seed: u64) -> Self {
        Road { ways: shared.ways.subscribe(), pair, seed }
    }

    fn way(&self) -> Way {
        self.ways.borrow().get(&self.pair).copied().unwrap_or_default()
    }

    /// Ends when this way is cut.
    async fn cut(&mut self) {
        while self.way().passage != Passage::Cut {
            if self.ways.changed().await.is_err() {
                return;
            }
        }
    }

    /// Carries bytes until they end; `true`: the connection must break.
    async fn carry(self, first: Vec<u8>, from: impl AsyncReadExt + Unpin, to: impl AsyncWriteExt + Unpin) -> bool {
        let (queue, queued) = mpsc::channel(CHUNKS);
        let reading = self.clone().read(first, from, queue);
        let writing = self.write(queued, to);
        // Writing ends after reading has, or because it cannot go on.
        tokio::select! {
            broken = writing => broken,
            () = async { reading.await; std::future::pending().await } => true,
        }
    }

    async fn read(self, first: Vec<u8>, mut from: impl AsyncReadExt + Unpin, queue: mpsc::Sender<(Instant, Vec<u8>)>) {
        let mut rng = StdRng::seed_from_u64(self.seed);
        let mut due = Instant::now();
        let mut chunk = first;
        loop {
            if !chunk.is_empty() {
                let Way { delay, jitter, .. } = self.way();
                due = due.max(Instant::now() + delay + jitter.mul_f64(rng.random::<f64>()));
                if queue.send((due, chunk)).await.is_err() {
                    return;
                }
            }
            chunk = Vec::with_capacity(CHUNK_BYTES);
            if !matches!(from.read_buf(&mut chunk).await, Ok(1..)) {
                return;
            }
        }
    }

    async fn write(mut self, mut queued: mpsc::Receiver<(Instant, Vec<u8>)>, mut to: impl AsyncWriteExt + Unpin) -> bool {
        let mut rng = StdRng::seed_from_u64(self.seed);
        // Bytes of this connection vanished: nothing that follows makes sense.
        let mut hole = false;
        loop {
            let next = tokio::select! {
                next = queued.recv() => next,
                changed = self.ways.changed(), if hole => match changed {
                    Ok(()) if self.way().passage == Passage::Lost => continue,
                    _ => return true,
                },
            };
            let Some((due, chunk)) = next else { return hole };
            tokio::time::sleep_until(due).await;
            while self.way().passage == Passage::Held {
                if self.ways.changed().await.is_err() {
                    return true;
                }
            }
            let way = self.way();
            if way.passage == Passage::Lost {
                hole = true;
                continue;
            }
            if hole || way.passage == Passage::Cut || rng.random_bool(way.breaks.clamp(0.0, 1.0)) {
                return true;
            }
            if way.bytes_per_second > 0 {
                tokio::time::sleep(Duration::from_secs_f64(chunk.len() as f64 / f64::from(way.bytes_per_second))).await;
            }
            if to.write_all(&chunk).await.is_err() {
                return true;
            }
        }
    }
}
