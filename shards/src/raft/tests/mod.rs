//! Replicas of one group in one process, on one executor: real logs, partitions and TCP connections, and a door at which a test sees,
//! changes, holds or loses what comes over the links.

mod leases;
mod measure;
mod rebuild;
mod retention;
mod snapshot;
mod steps;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_channel::oneshot;
use openraft::impls::BasicNode;
use tempfile::TempDir;
use z4_model::ids::{GroupId, PeerNumber};
use z4_model::machine::testing::{command, create, entry};
use z4_proto::peer::Done;

use super::{Replica, Retention};
use crate::link::{Body, Established, Inbound, Links, Reach};
use crate::log::{Log, LogOptions};
use crate::partition::{Partition, PartitionOptions};
use crate::runtime::executor;
use crate::runtime::files::Disk;
pub(super) use crate::runtime::testing::run;
use crate::storage::Storage;

const GROUP: GroupId = GroupId(1);

/// Tasks of one entry, and the bytes of each.
const TASKS: usize = 20;
const PAYLOAD_BYTES: usize = 1_200;

/// Keeps nothing that is not needed.
const NOTHING: Retention = Retention { retained_bytes: 0, held_bytes_max: 1 << 30 };

/// What becomes of a request at the door.
enum Fate {
    Pass,
    /// Until [`Door::release`].
    Hold,
    /// Without an answer.
    Lose,
}

type Watch = Box<dyn FnMut(&mut Body) -> Fate>;

#[derive(Default)]
struct Door {
    replica: RefCell<Option<Replica>>,
    watch: RefCell<Option<Watch>>,
    held: RefCell<Vec<(Body, oneshot::Sender<Body>)>>,
    begins: Cell<u64>,
    chunks: Cell<u64>,
}

impl Door {
    fn watch(&self, watch: impl FnMut(&mut Body) -> Fate + 'static) {
        *self.watch.borrow_mut() = Some(Box::new(watch));
    }

    /// Everything passes from now on, what was held first.
    fn release(&self) {
        self.watch.borrow_mut().take();
        for (body, answer) in self.held.take() {
            self.pass(body, answer);
        }
    }

    fn pass(&self, body: Body, answer: oneshot::Sender<Body>) {
        if let Some(replica) = &*self.replica.borrow() {
            replica.inbound(body, answer);
        }
    }
}

impl Inbound for Door {
    fn ask(&self, from: PeerNumber, _: GroupId, mut body: Body, answer: oneshot::Sender<Body>) {
        match &body {
            Body::Rebuild(_) => {
                let replica = self.replica.borrow().clone().expect("it is open");
                executor::spawn(async move { drop(replica.send_rebuild(from).await) });
                return drop(answer.send(Body::Done(Done::default())));
            }
            Body::SnapshotBegin(_) => self.begins.set(self.begins.get() + 1),
            Body::SnapshotChunk(_) => self.chunks.set(self.chunks.get() + 1),
            _ => {}
        }
        let fate = self.watch.borrow_mut().as_mut().map_or(Fate::Pass, |watch| watch(&mut body));
        match fate {
            Fate::Pass => self.pass(body, answer),
            Fate::Hold => self.held.borrow_mut().push((body, answer)),
            Fate::Lose => {}
        }
    }

    fn tell(&self, from: PeerNumber, group: GroupId, body: Body) {
        self.ask(from, group, body, oneshot::channel().0);
    }

    fn up(&self, _: PeerNumber) {}

    fn down(&self, _: PeerNumber) {}
}

struct Peer {
    number: PeerNumber,
    dir: PathBuf,
    log: Log,
    storage: Storage,
    links: Links,
    replica: Replica,
    door: Rc<Door>,
}

/// What must be equal on all replicas.
type State = (Option<u64>, u64, u64);

impl Peer {
    async fn start(number: PeerNumber, dir: &Path) -> Peer {
        Peer::start_on(number, dir, Disk::default()).await
    }

    /// The same with its log on another disk.
    async fn start_on(number: PeerNumber, dir: &Path, disk: Disk) -> Peer {
        let dir = dir.join(format!("peer-{number}"));
        let options = LogOptions { segment_bytes: 1 << 20, disk, ..LogOptions::default() };
        let log = Log::open(dir.join("log"), options).await.expect("log");
        let storage = Storage::start("test-store").expect("storage thread");
        let base = dir.join("group");
        let opened = storage.call(move |partitions| {
            // Small: rows reach tables.
            let options = PartitionOptions { memtable_bytes: 1 << 20, ..PartitionOptions::default() };
            let partition = Partition::open_current(&base, GROUP, &options).expect("partition");
            partitions.insert(GROUP, partition);
        });
        opened.await.expect("opened");
        let links = Links::new(Reach::default(), 0);
        let door = Rc::new(Door::default());
        let weak: Weak<dyn Inbound> = Rc::downgrade(&(Rc::clone(&door) as Rc<dyn Inbound>));
        links.deliver_to(weak);
        let ways = (log.group(GROUP), links.clone());
        let replica = Replica::open((GROUP, number), "test", ways, storage.clone(), Rc::new(|_| {})).await.expect("replica");
        *door.replica.borrow_mut() = Some(replica.clone());
        Peer { number, dir, log, storage, links, replica, door }
    }

    /// The first voter of a new group, leading.
    async fn lead(dir: &Path) -> Peer {
        let peer = Peer::start(1, dir).await;
        peer.become_leader().await;
        peer
    }

    async fn become_leader(&self) {
        self.replica.initialize(&[(1, "peer-1:1".to_owned())]).await.expect("initialized");
        self.replica.elect_if_alone().await;
        until("it leads", async || self.replica.status().leads.then_some(())).await;
    }

    async fn stop(self) {
        self.door.replica.take();
        self.replica.shutdown().await;
        self.links.close();
        self.log.close().await.expect("the log closes");
        self.storage.stop().await;
    }

    /// Writes entries of about 25 KiB, and waits until all are applied.
    async fn write(&self, entries: u64) {
        let answers: Vec<_> = (0..entries).map(|_| self.propose()).collect();
        for answer in answers {
            answer.await.await.expect("it is answered").expect("it is applied");
        }
    }

    async fn propose(&self) -> oneshot::Receiver<Result<(), super::ProposeError>> {
        let (tx, rx) = oneshot::channel();
        let payload: Vec<u8> = (0..PAYLOAD_BYTES).map(|_| rand::random()).collect();
        let creates = (0..TASKS as u64).map(|n| create(2_000_000 + n, &payload)).collect();
        let bytes = entry(1_000_000, vec![command("letters", creates)]);
        let done = move |result: Result<Vec<_>, _>| drop(tx.send(result.map(drop)));
        self.replica.propose(bytes, self.replica.status().term, done).await;
        rx
    }

    /// Purges everything that nobody needs.
    async fn trim(&self, retention: Retention) -> bool {
        self.replica.trim(retention).await.expect("the partition is durable").held
    }

    async fn add_learner(&self, number: PeerNumber) {
        let node = BasicNode { addr: format!("peer-{number}:1") };
        self.replica.raft.add_learner(number, node, false).await.expect("the leader takes it");
    }

    async fn state(&self) -> State {
        let read = self.storage.call(|partitions| {
            let partition = partitions.get(&GROUP).expect("open");
            (partition.applied().map(|at| at.index), partition.state_hash(), partition.totals().live)
        });
        read.await.expect("the storage thread runs")
    }

    async fn view(&self) -> crate::partition::View {
        self.storage.call(|partitions| partitions.get(&GROUP).expect("open").view()).await.expect("it runs")
    }

    /// How many directories of partitions there are.
    fn generations(&self) -> usize {
        let entries = std::fs::read_dir(self.dir.join("group")).expect("read");
        entries.filter(|entry| entry.as_ref().expect("entry").path().is_dir()).count()
    }

    fn purged(&self) -> Option<u64> {
        self.log.group(GROUP).state().purged.map(|at| at.index)
    }
}

/// Connects two peers.
fn connect(a: &Peer, b: &Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let here = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let (there, _) = listener.accept().expect("accepted");
    a.links.adopt(Established { peer: b.number, remote_shard: 0, disk: None, stream: here, open: oneshot::channel().0 });
    b.links.adopt(Established { peer: a.number, remote_shard: 0, disk: None, stream: there, open: oneshot::channel().0 });
}

/// Waits until a follower is where the leader is.
async fn until_equal(leader: &Peer, follower: &Peer) {
    until("the follower is where the leader is", async || (leader.state().await == follower.state().await).then_some(())).await;
}

/// Looks again and again, for a minute at most.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..6_000 {
        if let Some(found) = look().await {
            return found;
        }
        executor::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within a minute: {what}");
}

fn temp() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a directory on a disk")
}

/// Rows by key, for comparisons.
fn rows(view: &crate::partition::View) -> BTreeMap<u32, Bytes> {
    view.chunks().map(|chunk| chunk.expect("it reads")).map(|chunk| (chunk.crc, chunk.rows)).collect()
}
