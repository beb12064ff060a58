//! Three peers in one process: one is away, one loses its disk, one goes. What the second and the third have together is not what was
//! acknowledged, so they must not be a majority.

use std::time::Duration;

use bytes::Bytes;
use z4_model::command::{Command, Create, Op};
use z4_model::ids::{GroupId, Namespace, PeerNumber, SLOTS};
use z4_model::rows::incarnation::Incarnation;
use z4_model::rows::metadata::pack_metadata;
use z4_model::rows::peer_row::PeerRow;
use z4_model::rows::registry;

use super::testing::{GROUP, Peer, connect, leader, three, until};
use crate::runtime::executor;
use crate::runtime::testing::run;

const TASKS: u64 = 200;

/// The disk of a peer that has lost its own.
const EMPTY: Incarnation = Incarnation::new(99);

/// Several election timeouts.
const LONG_ENOUGH_TO_ELECT: Duration = Duration::from_secs(6);

fn disk(number: PeerNumber) -> Incarnation {
    Incarnation::new(u128::from(number))
}

fn namespace() -> Namespace {
    Namespace::new("a").expect("valid")
}

fn create() -> Command {
    let metadata = pack_metadata([].into_iter());
    let payload = Bytes::from_static(b"x");
    let create = Create { request: None, due_ms: 200_000_000_000_000, asked_ms: None, sequence: 0, metadata, payload };
    Command { namespace: namespace(), ops: vec![Op::Create(create)] }
}

/// Opens what each peer of [`three`] has, on a disk that has it or has nothing.
async fn open(peer: &Peer) {
    for group in [GroupId::REGISTRY, GROUP] {
        peer.shards.open(group, Vec::new()).await.expect("open");
    }
    peer.shards.set_slots(&vec![GROUP; usize::from(SLOTS)]);
}

/// Gives the three a registry in which each has its disk.
async fn register(peers: &[Peer]) {
    let voters: Vec<_> = (1..=3).map(|number| (number, format!("peer-{number}:1"))).collect();
    for peer in peers {
        let voters = if peer.number == 1 { voters.clone() } else { Vec::new() };
        peer.shards.open(GroupId::REGISTRY, voters).await.expect("open");
    }
    let row = |n: u64| PeerRow { id: format!("peer-{n}"), address: format!("peer-{n}:1"), removed: false }.encode();
    until("the registry is written", async || {
        let rows = vec![
            (registry::CLUSTER_ID, Bytes::from_static(b"test")),
            (registry::PEERS_REVISION, Bytes::from_static(b"1")),
            ("peer/1", row(1)),
            ("peer/2", row(2)),
            ("peer/3", row(3)),
        ];
        peers[0].shards.registry_create(rows).await.ok()
    })
    .await;
    for peer in peers {
        until("its disk is written down", async || peer.shards.claim(peer.number, disk(peer.number), false).await.ok()?).await;
    }
}

/// What a member does when an empty disk answers where a peer should be: `true`, it was let in.
async fn meet(member: &Peer, empty: &Peer) -> bool {
    let invited = member.shards.claim(empty.number, EMPTY, true).await.is_ok_and(|registry| registry.is_some());
    if invited {
        connect(member, empty);
    }
    invited
}

#[test]
fn an_emptied_disk_is_no_majority_with_one_that_was_away() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir");
    run(async {
        let mut peers = three(dir.path()).await;
        register(&peers).await;
        let first = leader(&peers).await;
        let has_it_all = peers.remove(first);
        let (emptied, away) = (peers.remove(0), peers.remove(0));
        let other = until("the registry is read", async || has_it_all.shards.claim(emptied.number, EMPTY, true).await.ok());
        assert_eq!(other.await, None, "the registry has another disk");
        away.isolate();
        for _ in 0..TASKS {
            has_it_all.shards.submit(create()).await.expect("acknowledged by two of three");
        }
        let number = emptied.number;
        emptied.stop().await;
        std::fs::remove_dir_all(dir.path().join(format!("peer-{number}"))).expect("removed");
        let emptied = Peer::start(number, dir.path()).await;
        open(&emptied).await;

        let number = has_it_all.number;
        has_it_all.stop().await;
        assert!(!meet(&away, &emptied).await, "nobody can say that this disk is the one");
        executor::sleep(LONG_ENOUGH_TO_ELECT).await;
        for peer in [&away, &emptied] {
            let groups = peer.shards.groups().await;
            assert!(groups.iter().all(|group| !group.serves && group.leader != Some(peer.number)), "{groups:?}");
        }

        let back = Peer::start(number, dir.path()).await;
        open(&back).await;
        connect(&back, &away);
        let live =
            until("a leader that has it all", async || Some(back.shards.namespace(namespace()).await.ok()?.row.live)).await;
        assert_eq!(live, TASKS);
        for peer in [back, away, emptied] {
            peer.stop().await;
        }
    });
}
