//! Disks that are slow, partitions that hang, peers that are cut off. What would be wrong: a group that has no leader although its peers
//! live, a leader that serves nothing and does not let another one lead, memory that grows with what a disk has not taken yet, a peer that
//! says it serves and does not.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use futures_channel::oneshot;
use futures_util::future::join_all;
use z4_model::command::Op;
use z4_model::ids::{GroupId, SLOTS};
use z4_proto::peer::{Ballot, LogPosition, RaftVote};

use super::forward_tests::create;
use super::serving::NotServing;
use super::testing::{GROUP, Peer, connect, leader, start_alone, three, three_on, until};
use crate::link::Body;
use crate::runtime::files::{Disk, Faults};
use crate::runtime::testing::run;
use crate::runtime::{clock, executor};
use crate::shard::BatchLimits;
use crate::storage::Partitions;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir")
}

/// A disk whose syncs take so long.
#[derive(Default)]
struct Slow(Cell<Duration>);

impl Faults for Slow {
    fn before_write(&self, _: &Path, _: u64, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn before_sync(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_delay(&self, _: &Path) -> Duration {
        self.0.get()
    }
}

async fn created(peer: &Peer) {
    until("a task is made", async || peer.shards.submit(create(1, None)).await.ok()).await;
}

/// Story: three peers whose disks take 450 ms for each sync. They find a leader, and tasks are made; then the disks take two seconds, and
/// then they are quick again.
#[test]
fn slow_disks_make_three_peers_slow_and_not_leaderless() {
    let dir = dir();
    run(async {
        let slow = Rc::new(Slow::default());
        slow.0.set(Duration::from_millis(450));
        let disk = Disk::with_faults(Rc::clone(&slow) as Rc<dyn Faults>);
        let peers = three_on(dir.path(), BatchLimits::default(), &[disk.clone(), disk.clone(), disk]).await;
        leader(&peers).await;
        for (millis, peer) in [(450, 0), (450, 1), (2_000, 2), (2_000, 0), (0, 1), (0, 2)] {
            slow.0.set(Duration::from_millis(millis));
            created(&peers[peer]).await;
            created(&peers[peer]).await;
        }
        leader(&peers).await;
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: the leader's partition hangs, as on a disk that answers nothing, while its log and its links are well. Another peer leads, and
/// takes tasks; the one that hangs says so. When its partition goes on, so does the peer.
#[test]
fn a_leader_whose_partition_hangs_lets_another_one_lead() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        created(&peers[at]).await;
        let (go, stays) = mpsc::channel::<()>();
        let hang = move |_: &mut Partitions| {
            let _ = stays.recv();
        };
        peers[at].shard.storage.run(hang, |()| {});
        let other = &peers[(at + 1) % 3];
        created(other).await;
        let now = leader(&peers).await;
        assert_ne!(now, at, "the one that hangs does not lead");
        let hung = || peers[at].shard.group(GROUP).is_some_and(|group| group.trouble.borrow().is_some());
        until("it says that it hangs", async || hung().then_some(())).await;
        drop(go);
        until("it is well again", async || (!hung()).then_some(())).await;
        created(&peers[at]).await;
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: the leader's partition hangs, and nobody is there who could lead. Its heartbeats would keep everybody else from leading when they
/// come back, so after a minute its process ends; one that is alone goes on, for nobody else has the data. Nobody waits for the minute here.
#[test]
fn a_leader_that_hangs_for_a_minute_and_finds_no_heir_ends_its_process() {
    let dirs = [dir(), dir()];
    run(async {
        let mut peers = three(dirs[0].path()).await;
        let at = leader(&peers).await;
        let peer = peers.remove(at);
        for other in peers {
            other.stop().await;
        }
        let ends_after = |peer: &Peer, seconds| {
            let group = peer.shard.group(GROUP).expect("it is open");
            let replica = group.replica().expect("it is open");
            assert!(replica.leads(), "nobody else can have been elected");
            group.stalled(&replica, Duration::from_secs(seconds));
            peer.fatal.lock().expect("nobody panics").clone()
        };
        assert_eq!(ends_after(&peer, 59), Vec::<String>::new());
        let told = ends_after(&peer, 60);
        assert!(told.len() == 1 && told[0].contains("hangs") && told[0].contains("no other peer takes over"), "{told:?}");
        peer.stop().await;

        let alone = start_alone(dirs[1].path()).await;
        assert_eq!(ends_after(&alone, 600), Vec::<String>::new());
        alone.stop().await;
    });
}

/// What was applied is not on the disk, and the disk refuses to take it: a stop that said nothing of that would look like a good one.
#[test]
fn a_stop_that_cannot_make_a_partition_durable_says_so() {
    let dir = dir();
    run(async {
        let peer = start_alone(dir.path()).await;
        created(&peer).await;
        // Where the manifest is drafted no file can be made.
        let generation = dir.path().join("peer-1/partitions/group-00001/generation-1");
        std::fs::create_dir(generation.join("manifest.draft")).expect("made");
        let told = peer.stopped().await.expect_err("it is not durable");
        assert!(told.contains("a partition cannot be made durable"), "{told}");
    });
}

/// Story: two quick followers commit what the leader's own disk has not taken by far. What waits there stays bounded, and nothing is lost.
#[test]
fn a_leader_with_a_slow_log_disk_does_not_collect_entries_without_bound() {
    let dir = dir();
    run(async {
        let slow = [Rc::new(Slow::default()), Rc::new(Slow::default()), Rc::new(Slow::default())];
        let disk = |n: usize| Disk::with_faults(Rc::clone(&slow[n]) as Rc<dyn Faults>);
        let batch = BatchLimits { bytes_max: 256 << 10, in_flight_max: 8, ..BatchLimits::default() };
        let peers = three_on(dir.path(), batch, &[disk(0), disk(1), disk(2)]).await;
        let at = leader(&peers).await;
        created(&peers[at]).await;
        slow[at].0.set(Duration::from_millis(1_000));
        let log = peers[at].shard.log_of(GROUP);
        let most = Cell::new(0);
        let make = async |n: usize| {
            let mut command = create(1, Some(n as u128));
            if let [Op::Create(create)] = &mut command.ops[..] {
                create.payload = Bytes::from(vec![7; 200 << 10]);
            }
            let made = peers[at].shards.submit(command).await;
            most.set(log.waiting_bytes().max(most.get()));
            made.is_ok()
        };
        // 200 KiB each, 60 MiB together.
        let made: usize = join_all((0..300).map(&make)).await.into_iter().map(usize::from).sum();
        assert!(made > 0, "some were taken");
        // The bound, and the entries that were on their way when it was reached.
        assert!(most.get() <= (16 << 20) + 8 * (256 << 10), "{} bytes waited for the disk", most.get());
        slow[at].0.set(Duration::ZERO);
        created(&peers[at]).await;
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: of three peers one is cut off. It says that it has no leader and names none, the others serve; connected again it serves, too.
#[test]
fn a_peer_without_a_quorum_says_so_and_names_no_leader() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        assert_eq!(peers[0].shards.serving(), Err(NotServing::Starting { group: Some(GroupId::REGISTRY) }));
        for peer in &peers {
            let voters = (1..=3).map(|number| (number, format!("peer-{number}:1"))).collect();
            let voters = if peer.number == 1 { voters } else { Vec::new() };
            peer.shards.open(GroupId::REGISTRY, voters).await.expect("open");
        }
        let all_serve = async || peers.iter().all(|peer| peer.shards.serving().is_ok()).then_some(());
        until("all serve", all_serve).await;
        peers[2].isolate();
        let no_leader = NotServing::NoLeader { groups: vec![GroupId::REGISTRY, GROUP] };
        until("the one that is cut off does not serve", async || {
            (peers[2].shards.serving() == Err(no_leader.clone())).then_some(())
        })
        .await;
        assert!(peers[2].shards.groups().await.iter().all(|group| group.leader.is_none()), "no leader is named");
        until("the others serve", async || peers[..2].iter().all(|peer| peer.shards.serving().is_ok()).then_some(())).await;
        connect(&peers[0], &peers[2]);
        connect(&peers[1], &peers[2]);
        until("all serve again", all_serve).await;
        let leaders = peers[2].shards.groups().await.into_iter().map(|group| group.leader.is_some());
        assert_eq!(leaders.collect::<Vec<_>>(), [true, true]);
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: a follower is started again. The lease that it granted its leader before is not over, so it votes for nobody at first, unless its
/// leader itself wants another one. Afterwards it votes.
#[test]
fn a_follower_that_was_just_started_votes_for_nobody_until_its_lease_is_over() {
    let dir = dir();
    run(async {
        let mut peers = three(dir.path()).await;
        let at = leader(&peers).await;
        created(&peers[at]).await;
        let number = peers[(at + 1) % 3].number;
        let (place, others) = ((at + 1) % 3, [at, (at + 2) % 3]);
        peers.remove(place).stop().await;
        let again = Peer::start(number, dir.path()).await;
        again.shards.open(GROUP, Vec::new()).await.expect("open");
        again.shards.set_slots(&vec![GROUP; usize::from(SLOTS)]);
        peers.insert(place, again);
        // Nobody is connected with it: no leader renews the lease.
        let replica = peers[place].shard.group(GROUP).and_then(|group| group.replica()).expect("open");
        let ask = async |transfer: bool| {
            let (answer, answered) = oneshot::channel();
            let vote = RaftVote { term: 1_000, leader: 9, committed: false };
            let last = LogPosition { term: 999, leader: 9, index: 1_000 };
            replica.inbound(Body::Ballot(Ballot { vote: Some(vote), last: Some(last), pre: true, transfer }), answer);
            answered.await.expect("answered")
        };
        assert!(matches!(ask(false).await, Body::Failure(_)), "the lease is not over");
        assert!(matches!(ask(true).await, Body::Vote(_)), "its leader wants it");
        until("it votes", async || matches!(ask(false).await, Body::Vote(_)).then_some(())).await;
        others.into_iter().for_each(|other| connect(&peers[place], &peers[other]));
        created(&peers[place]).await;
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: all peers are started again at the same time. Each of them may have granted a lease, and they find a leader all the same.
#[test]
fn peers_that_are_all_started_again_find_a_leader() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        created(&peers[at]).await;
        for peer in peers {
            peer.stop().await;
        }
        let since = clock::monotonic();
        let peers = three(dir.path()).await;
        leader(&peers).await;
        println!("a leader after {} ms", since.elapsed().as_millis());
        created(&peers[0]).await;
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: a reader waits for an entry, and the replica stops. It must not take what is there for what it waited for.
#[test]
fn a_reader_hears_that_the_replica_stopped() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        let replica = peers[at].shard.group(GROUP).and_then(|group| group.replica()).expect("open");
        let (tx, rx) = oneshot::channel();
        let waiting = replica.clone();
        executor::spawn(async move {
            let _ = tx.send(waiting.applied(1 << 40).await);
        });
        executor::yield_now().await;
        replica.shutdown().await;
        assert_eq!(rx.await, Ok(false));
    });
}
