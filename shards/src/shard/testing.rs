//! Several peers in one process, on one executor: real logs, partitions, replicas and TCP connections, no dialling.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_channel::oneshot;
use z4_model::ids::{GroupId, PeerNumber, SLOTS};

use crate::link::Established;
use crate::log::{Log, LogOptions};
use crate::metrics::Metrics;
use crate::partition::PartitionOptions;
use crate::raft::Retention;
use crate::runtime::executor;
use crate::runtime::files::Disk;
use crate::shard::handle::Shards;
use crate::shard::{BatchLimits, Message, Shard, ShardOptions, delivery};
use crate::storage::Storage;

/// The group of tasks that every test peer has, besides the registry.
pub(super) const GROUP: GroupId = GroupId(1);

/// What the shards of a test peer need to know.
pub(super) fn options(dir: &Path, batch: BatchLimits) -> ShardOptions {
    ShardOptions {
        partitions_dir: dir.join("partitions"),
        partition: PartitionOptions::default(),
        batch,
        delivery: delivery::Limits::default(),
        trim_bytes: 256 << 20,
        clock_skew_warn_ms: 500,
        clock_skew_max_ms: 2_000,
        retention: Retention { retained_bytes: 64 << 20, held_bytes_max: 1 << 30 },
        metrics: Metrics::new("test").expect("metrics"),
        on_fatal: Arc::new(|what| eprintln!("fatal: {what}")),
    }
}

/// One peer with one shard.
pub(super) struct Peer {
    pub number: PeerNumber,
    pub shards: Shards,
    pub shard: Rc<Shard>,
    /// Why its process would have ended.
    pub fatal: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// Starts a peer in its own directory; it has no group yet.
    pub async fn start(number: PeerNumber, dir: &Path) -> Peer {
        Peer::start_with(number, dir, BatchLimits::default()).await
    }

    /// The same with other bounds.
    pub async fn start_with(number: PeerNumber, dir: &Path, batch: BatchLimits) -> Peer {
        Peer::start_on(number, dir, batch, Disk::default()).await
    }

    /// The same with its log on another disk.
    pub async fn start_on(number: PeerNumber, dir: &Path, batch: BatchLimits, disk: Disk) -> Peer {
        let dir = dir.join(format!("peer-{number}"));
        let (shards, mut inboxes) = Shards::new(1, 1_024);
        let log =
            Log::open(dir.join("log"), LogOptions { segment_bytes: 1 << 20, disk, ..LogOptions::default() }).await.expect("log");
        let storage = Storage::start("test-store").expect("storage");
        let fatal = Arc::<Mutex<Vec<String>>>::default();
        let told = Arc::clone(&fatal);
        let on_fatal = Arc::new(move |what: &str| {
            eprintln!("fatal: {what}");
            told.lock().expect("nobody panics here").push(what.to_owned());
        });
        let options = ShardOptions { on_fatal, ..options(&dir, batch) };
        let shard = Shard::new(0, options, log, storage, shards.reach().clone());
        let (running, handle) = (Rc::clone(&shard), shards.clone());
        let inbox = inboxes.pop().expect("one");
        executor::spawn(async move { running.run(inbox, &handle).await });
        shards.identify(number, "test");
        Peer { number, shards, shard, fatal }
    }

    /// Cuts it off from every other peer.
    pub fn isolate(&self) {
        self.shard.links().close();
    }

    /// Stops it as a graceful stop does.
    pub async fn stop(self) {
        let _ = self.stopped().await;
    }

    /// The same; how it went.
    pub async fn stopped(self) -> Result<(), String> {
        let (tx, rx) = oneshot::channel();
        self.shards.send(0, Message::Stop(tx));
        rx.await.expect("the shard runs")
    }
}

/// Connects two peers. Both ends are given away: only closing the links of one of them takes the connection down.
pub(super) fn connect(a: &Peer, b: &Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let here = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let (there, _) = listener.accept().expect("accepted");
    a.shards.adopt(0, Established { peer: b.number, remote_shard: 0, disk: None, stream: here, open: oneshot::channel().0 });
    b.shards.adopt(0, Established { peer: a.number, remote_shard: 0, disk: None, stream: there, open: oneshot::channel().0 });
}

/// Three connected peers that are the voters of [`GROUP`], which owns every slot.
pub(super) async fn three(dir: &Path) -> Vec<Peer> {
    three_with(dir, BatchLimits::default()).await
}

/// The same with other bounds.
pub(super) async fn three_with(dir: &Path, batch: BatchLimits) -> Vec<Peer> {
    three_on(dir, batch, &[Disk::default(), Disk::default(), Disk::default()]).await
}

/// The same with their logs on other disks.
pub(super) async fn three_on(dir: &Path, batch: BatchLimits, disks: &[Disk; 3]) -> Vec<Peer> {
    let mut peers = Vec::new();
    for (number, disk) in (1..=3).zip(disks) {
        peers.push(Peer::start_on(number, dir, batch, disk.clone()).await);
    }
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        connect(&peers[a], &peers[b]);
    }
    let voters: Vec<_> = (1..=3).map(|number| (number, format!("peer-{number}:1"))).collect();
    for peer in &peers {
        // Only the first makes itself and the others voters; they hear of it from the log.
        let voters = if peer.number == 1 { voters.clone() } else { Vec::new() };
        peer.shards.open(GROUP, voters).await.expect("open");
        peer.shards.set_slots(&vec![GROUP; usize::from(SLOTS)]);
    }
    peers
}

/// One peer that leads [`GROUP`] alone.
pub(super) async fn start_alone(dir: &Path) -> Peer {
    let peer = Peer::start(1, dir).await;
    peer.shards.open(GROUP, vec![(1, "peer-1:1".to_owned())]).await.expect("open");
    peer.shards.set_slots(&vec![GROUP; usize::from(SLOTS)]);
    let peers = [peer];
    leader(&peers).await;
    let [peer] = peers;
    peer
}

/// Waits until one of the peers serves the group; returns its place.
pub(super) async fn leader(peers: &[Peer]) -> usize {
    until("a leader", async || {
        for (at, peer) in peers.iter().enumerate() {
            if peer.shards.groups().await.iter().any(|group| group.group == GROUP && group.serves) {
                return Some(at);
            }
        }
        None
    })
    .await
}

/// Looks again and again, for a minute at most.
pub(super) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..6_000 {
        if let Some(found) = look().await {
            return found;
        }
        executor::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within a minute: {what}");
}
