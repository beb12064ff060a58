//! A replica whose partition is damaged, met when it is opened or while it delivers. It must not answer from what it does not have, nobody may
//! take it for new, and its log and vote must go on to count: what it has acknowledged is on no other disk of the majority.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use z4_model::command::{Command, Create, Op};
use z4_model::encoding::Malformed;
use z4_model::ids::{Namespace, PeerNumber, SLOTS, TaskKey};
use z4_model::rows::metadata::pack_metadata;

use super::testing::{GROUP, Peer, connect, leader, start_alone, three, until};
use crate::partition::PartitionError;
use crate::runtime::testing::run;
use crate::shard::OpenError;
use crate::shard::api::Rejection;
use crate::shard::delivery::Action;

fn namespace() -> Namespace {
    Namespace::new("a").expect("valid")
}

fn create() -> Command {
    let create = Create {
        request: None,
        due_ms: 200_000_000_000_000,
        asked_ms: None,
        sequence: 0,
        metadata: pack_metadata([].into_iter()),
        payload: Bytes::from_static(b"x"),
    };
    Command { namespace: namespace(), ops: vec![Op::Create(create)] }
}

/// Flips a bit in a file without which the database of the group does not open.
fn damage(dir: &Path, number: PeerNumber) {
    let group = dir.join(format!("peer-{number}/partitions/group-00001"));
    let current = fs::read_to_string(group.join("current")).expect("there is one");
    let file = group.join(current.lines().next().expect("a name")).join("version");
    let mut bytes = fs::read(&file).expect("it is there");
    bytes[0] ^= 0x10;
    fs::write(file, bytes).expect("written");
}

async fn start(number: PeerNumber, dir: &Path) -> Peer {
    let peer = Peer::start(number, dir).await;
    peer.shards.open(GROUP, Vec::new()).await.expect("it opens");
    peer.shards.set_slots(&vec![GROUP; usize::from(SLOTS)]);
    peer
}

async fn live(peer: &Peer) -> Option<u64> {
    Some(peer.shards.namespace(namespace()).await.ok()?.row.live)
}

async fn state(peer: &Peer) -> Option<(Option<u64>, u64)> {
    peer.shards.state_hash(GROUP).await.ok()
}

async fn until_whole(damaged: &Peer, other: &Peer) {
    until("the rows of another one are here", async || (!damaged.shards.is_damaged(GROUP).await).then_some(())).await;
    until("both have the same", async || {
        let (here, there) = (state(damaged).await?, state(other).await?);
        (here == there).then_some(())
    })
    .await;
}

/// One of three is away, and what is acknowledged meanwhile is on the two others alone. Of these the one with the damaged partition and the
/// one that was away start again: the log of the first is all that is left. It is elected, for the other lacks entries, has that one take
/// over as soon as it has them, and gets its rows back from it.
#[test]
fn the_log_of_a_damaged_replica_is_not_forgotten() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir");
    run(async {
        let mut peers = three(dir.path()).await;
        let first = leader(&peers).await;
        let leads = peers.remove(first);
        let (follows, away) = (peers.remove(0), peers.remove(0));
        let (damaged, late) = (follows.number, away.number);
        leads.shards.submit(create()).await.expect("acknowledged");
        away.stop().await;
        for _ in 0..5 {
            leads.shards.submit(create()).await.expect("acknowledged by two of three");
        }
        follows.stop().await;
        leads.stop().await;
        damage(dir.path(), damaged);

        let (here, there) = (start(damaged, dir.path()).await, start(late, dir.path()).await);
        assert!(here.shards.is_damaged(GROUP).await, "it is told");
        assert!(matches!(here.shards.state_hash(GROUP).await, Err(Rejection::Storage(_))), "it has no state");
        connect(&here, &there);
        until_whole(&here, &there).await;
        let count = until("all of it is read", async || live(&there).await).await;
        assert_eq!(count, 6, "acknowledged tasks are lost");
        here.shards.submit(create()).await.expect("the two are a majority");
        assert_eq!(until("the new one is there as well", async || live(&here).await).await, 7);
        here.stop().await;
        there.stop().await;
    });
}

/// A peer that is alone has nobody whose rows could come: it does not go on without.
#[test]
fn a_damaged_partition_that_nobody_else_has_is_not_opened() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir");
    run(async {
        let peer = start_alone(dir.path()).await;
        peer.shards.submit(create()).await.expect("acknowledged");
        peer.stop().await;
        damage(dir.path(), 1);
        let again = Peer::start(1, dir.path()).await;
        let opened = again.shards.open(GROUP, vec![(1, "peer-1:1".to_owned())]).await;
        match opened.expect_err("nobody else has the rows") {
            OpenError::Partition(PartitionError::Damaged { group, .. }) => assert_eq!(group, GROUP),
            other => panic!("{other}"),
        }
        again.stop().await;
    });
}

/// The delivery engine of a leader cannot read a row. The leader goes on as a follower with the rows of another one, and does not end.
#[test]
fn a_row_that_a_leader_cannot_read_moves_the_leader_and_ends_nobody() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir");
    run(async {
        let peers = three(dir.path()).await;
        let first = leader(&peers).await;
        for _ in 0..3 {
            peers[first].shards.submit(create()).await.expect("acknowledged");
        }
        let group = peers[first].shard.group(GROUP).expect("it is open");
        let key = TaskKey { due_ms: 1, sequence: 1 };
        group.act(Action::Damaged { namespace: namespace(), key, cause: Malformed("unknown version") });
        assert!(peers[first].shards.is_damaged(GROUP).await);
        let other = until("another one leads", async || {
            let second = leader(&peers).await;
            (second != first).then_some(second)
        })
        .await;
        until_whole(&peers[first], &peers[other]).await;
        peers[first].shards.submit(create()).await.expect("the group goes on");
        for peer in peers {
            assert_eq!(*peer.fatal.lock().expect("nobody panics"), Vec::<String>::new());
            peer.stop().await;
        }
    });
}
