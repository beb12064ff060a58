//! Peers of a simulated cluster: how they start, how they are linked, and how they end.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use z4_model::ids::{GroupId, PeerNumber, SLOTS};
use z4_simulated::link::Established;
use z4_simulated::log::{Log, LogOptions};
use z4_simulated::metrics::Metrics;
use z4_simulated::partition::PartitionOptions;
use z4_simulated::raft::Retention;
use z4_simulated::runtime::executor;
use z4_simulated::runtime::net;
use z4_simulated::runtime::sim::{host, world};
use z4_simulated::shard::handle::Shards;
use z4_simulated::shard::{BatchLimits, Shard, ShardOptions, delivery};
use z4_simulated::storage::Storage;

/// The group that holds the tasks.
pub const GROUP: GroupId = GroupId(1);

/// How long two peers without a link wait until they try again.
const DIAL: Duration = Duration::from_millis(250);

/// Messages that a shard's mailbox holds.
const MAILBOX: usize = 1_024;

/// A peer, running or not.
pub struct Peer {
    /// Its number, from 1 on.
    pub number: PeerNumber,
    /// Where it runs.
    pub place: world::Place,
    /// The handle to its shards; `None`: it does not run.
    shards: RefCell<Option<Shards>>,
    /// How many processes it has had.
    pub life: Cell<u64>,
    /// Dropped when its process ends.
    ends: RefCell<Vec<oneshot::Sender<()>>>,
    /// Why it ended by itself.
    pub fatal: Rc<RefCell<Vec<String>>>,
}

/// All peers.
pub struct Cluster {
    /// In the order of their numbers.
    pub peers: Vec<Rc<Peer>>,
}

fn options(fatal: impl Fn(&str) + Send + Sync + 'static) -> ShardOptions {
    ShardOptions {
        partitions_dir: PathBuf::from("/z4/partitions"),
        partition: PartitionOptions::default(),
        batch: BatchLimits::default(),
        delivery: delivery::Limits::default(),
        trim_bytes: 64 << 10,
        clock_skew_warn_ms: 500,
        clock_skew_max_ms: 2_000,
        retention: Retention { retained_bytes: 16 << 10, held_bytes_max: 1 << 30 },
        metrics: Metrics::new("simulated").expect("names of metrics"),
        on_fatal: Arc::new(fatal),
    }
}

impl Peer {
    /// The handle to its shards, while it runs.
    pub fn shards(&self) -> Option<Shards> {
        self.shards.borrow().clone()
    }

    /// What a client of the present process gets; `None`: the process has ended meanwhile, and its connections with it.
    pub async fn call<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let (tx, rx) = oneshot::channel();
        self.ends.borrow_mut().retain(|end| !end.is_canceled());
        self.ends.borrow_mut().push(tx);
        match select(pin!(work), rx).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }

    /// Starts its process on what is on its disk.
    fn start(self: &Rc<Self>, voters: Vec<(PeerNumber, String)>) {
        self.life.set(self.life.get() + 1);
        let peer = Rc::clone(self);
        world::start(self.place, async move {
            let (shards, mut inboxes) = Shards::new(1, MAILBOX);
            let settings = LogOptions { segment_bytes: 1 << 20, ..LogOptions::default() };
            let log = match Log::open("/z4/log".into(), settings).await {
                Ok(log) => log,
                Err(error) => return peer.failed(&format!("the log: {error}")),
            };
            let storage = Storage::start("store").expect("nothing can fail");
            let (told, fatal) = std::sync::mpsc::channel::<String>();
            let options = options(move |what| {
                let _ = told.send(what.to_owned());
            });
            let shard = Shard::new(0, options, log, storage, shards.reach().clone());
            shards.bind(0, Rc::clone(&shard));
            shards.identify(peer.number, "simulated");
            let inbox = inboxes.pop().expect("one shard");
            let running = shards.clone();
            executor::spawn(async move { shard.run(inbox, &running).await });
            let watched = Rc::clone(&peer);
            executor::spawn(async move {
                loop {
                    executor::sleep(Duration::from_millis(100)).await;
                    if let Ok(what) = fatal.try_recv() {
                        return watched.failed(&what);
                    }
                }
            });
            if let Err(error) = shards.open(GROUP, voters).await {
                return peer.failed(&format!("group {GROUP}: {error}"));
            }
            shards.set_slots(&vec![GROUP; usize::from(SLOTS)]);
            *peer.shards.borrow_mut() = Some(shards);
        });
    }

    /// Its process ends by itself.
    fn failed(&self, what: &str) {
        self.fatal.borrow_mut().push(what.to_owned());
        self.end();
    }

    fn end(&self) {
        self.shards.borrow_mut().take();
        self.ends.take();
    }

    /// Kills its process.
    pub fn kill(&self) {
        self.end();
        host::kill(self.place);
    }

    /// Cuts its power.
    pub fn cut_power(&self) {
        self.end();
        host::cut_power(self.place);
    }
}

impl Cluster {
    /// Starts so many peers, which are the voters of the group.
    pub fn start(peers: u64) -> Rc<Self> {
        let peer = |number| {
            let (place, life) = (world::add_place(), Cell::new(0));
            Rc::new(Peer { number, place, shards: RefCell::default(), life, ends: RefCell::default(), fatal: Rc::default() })
        };
        let cluster = Rc::new(Cluster { peers: (1..=peers).map(peer).collect() });
        let voters: Vec<_> = (1..=peers).map(|number| (number, format!("peer-{number}:1"))).collect();
        for peer in &cluster.peers {
            peer.start(if peer.number == 1 { voters.clone() } else { Vec::new() });
        }
        for a in 0..cluster.peers.len() {
            for b in a + 1..cluster.peers.len() {
                let cluster = Rc::clone(&cluster);
                executor::spawn(async move { cluster.dial(a, b).await });
            }
        }
        cluster
    }

    /// Starts a peer again.
    pub fn restart(&self, at: usize) {
        self.peers[at].start(Vec::new());
    }

    /// Has a link between two peers whenever both run. Never ends.
    async fn dial(&self, a: usize, b: usize) {
        let (a, b) = (&self.peers[a], &self.peers[b]);
        loop {
            if let (Some(here), Some(there)) = (a.shards(), b.shards()) {
                let (to, from) = net::connect(a.place, b.place);
                let ((here_open, here_gone), (there_open, there_gone)) = (oneshot::channel(), oneshot::channel());
                here.adopt(0, Established { peer: b.number, remote_shard: 0, disk: None, stream: to, open: here_open });
                there.adopt(0, Established { peer: a.number, remote_shard: 0, disk: None, stream: from, open: there_open });
                drop((here, there));
                // Either end has it down: both try again.
                let down = async { select(here_gone, there_gone).await };
                a.call(b.call(down)).await;
            }
            executor::sleep(DIAL).await;
        }
    }
}
