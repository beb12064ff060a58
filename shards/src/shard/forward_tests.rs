//! Any peer takes any request: three peers in one process with real links. What would be wrong: a request that fails because it came to the
//! wrong peer, a task that is made twice because a request was tried again, an acknowledged one that is lost, or a request that is never
//! answered.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use z4_model::command::{Command, Create, Created, Op, OpReply, Update};
use z4_model::ids::{Namespace, RequestHash, TaskId};
use z4_model::rows::metadata::pack_metadata;
use z4_model::settings::SettingsPatch;

use super::testing::{GROUP, Peer, leader, three, three_with, until};
use crate::runtime::testing::run;
use crate::shard::BatchLimits;
use crate::shard::api::{Answered, Consistency, ListQuery, Rejection, TaskPage, TaskState};

pub(super) fn name() -> Namespace {
    Namespace::new("a").expect("valid")
}

pub(super) fn create(due_ms: u64, request: Option<u128>) -> Command {
    let metadata = pack_metadata([].into_iter());
    let payload = Bytes::from_static(b"x");
    let create = Create { request: request.map(RequestHash), due_ms, asked_ms: None, sequence: 0, metadata, payload };
    Command { namespace: name(), ops: vec![Op::Create(create)] }
}

/// Far in the future.
pub(super) const LATER: u64 = 1 << 46;

pub(super) fn created(replies: &[OpReply]) -> Created {
    match replies {
        [OpReply::Created(created)] => *created,
        other => panic!("{other:?}"),
    }
}

fn query() -> ListQuery {
    ListQuery {
        namespace: name(),
        due_from_ms: 0,
        due_until_ms: u64::MAX,
        state: None,
        after: None,
        limit: 10_000,
        bytes_max: 8 << 20,
        omit_payload: false,
        consistency: Consistency::Linearizable,
    }
}

async fn ids(peer: &Peer) -> Vec<TaskId> {
    let TaskPage { tasks, next } = peer.shards.list(query()).await.expect("listed");
    assert_eq!(next, None);
    tasks.into_iter().map(|view| view.row.id).collect()
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir")
}

#[test]
fn a_follower_has_its_leader_do_everything_and_says_who_did() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        let (first, other) = (&peers[at], &peers[(at + 1) % 3]);
        let done = other.shards.submit(create(LATER, None)).await.expect("forwarded");
        assert_eq!(done.by, Some(first.number));
        assert_eq!(first.shards.submit(create(LATER, None)).await.expect("led here").by, None);
        let id = created(&done.value).id;

        // Reads, each right after the write that it must see.
        for _ in 0..20 {
            let id = created(&first.shards.submit(create(LATER, None)).await.expect("done").value).id;
            let seen = other.shards.get(name(), id, Consistency::Linearizable).await.expect("read");
            assert_eq!(seen.expect("it is there").state, TaskState::Scheduled);
        }
        let change = Update { id, expected_version: 1, due_ms: None, metadata: None, payload: None, revive: false, fence: 0 };
        let update = Command { namespace: name(), ops: vec![Op::Update(change)] };
        let Answered { value, by } = other.shards.submit(update.clone()).await.expect("updated");
        assert!(matches!(&value[..], [OpReply::Updated(row)] if row.record.version == 2), "{value:?}");
        assert_eq!(by, Some(first.number));
        let refused = other.shards.submit(update).await.expect_err("the version has changed");
        assert!(refused.to_string().contains("has version 2, expected_version is 1"), "{refused}");

        let configure = Op::Configure(SettingsPatch { lease_ms: Some(777), ..Default::default() });
        other.shards.submit(Command { namespace: name(), ops: vec![configure] }).await.expect("configured");
        let seen = other.shards.namespace(name()).await.expect("read");
        assert_eq!((seen.row.settings.lease_ms, seen.row.live, seen.group), (777, 22, GROUP));
        assert_eq!(other.shards.namespaces(None, 10).await.expect("read"), [seen]);
        assert_eq!(ids(other).await, ids(first).await);

        let reserved = other.shards.submit_async(create(LATER, None)).await.expect("reserved");
        assert_eq!(reserved.by, Some(first.number));
        let id = reserved.value[0].id;
        let seen = async || other.shards.get(name(), id, Consistency::Linearizable).await.expect("read");
        until("the asynchronous create", async || seen().await).await;
        other.shards.read_barrier(GROUP).await.expect("caught up");
        assert!(
            other.shards.get(name(), id, Consistency::Stale).await.expect("read").is_some(),
            "after a barrier stale is fresh"
        );

        assert_eq!(other.shards.purge(name()).await.expect("purged"), 23);
        assert!(ids(first).await.is_empty());
        for peer in peers {
            peer.stop().await;
        }
    });
}

#[test]
fn many_commands_keep_their_order_through_a_follower() {
    let dir = dir();
    run(async {
        let peers = three_with(dir.path(), BatchLimits { commands_max: 100, ..BatchLimits::default() }).await;
        let at = leader(&peers).await;
        let other = &peers[(at + 1) % 3];
        let sent = futures_util::stream::iter((0..3_000).map(|_| other.shards.submit(create(LATER, None))));
        let done: Vec<_> = sent.buffered(900).collect().await;
        let sequences: Vec<u64> = done.into_iter().map(|d| created(&d.expect("done").value).id.sequence).collect();
        assert!(sequences.is_sorted(), "a stream's tasks come in the order in which they were sent");
        assert_eq!(ids(other).await.len(), 3_000);
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: producers at every peer create tasks with request ids while the leader is cut off. Whatever was acknowledged is there once, and so
/// is whatever was not, or it is not there.
#[test]
fn creates_with_request_ids_outlive_leaders_and_are_made_once() {
    let dir = dir();
    run(async {
        let limits = BatchLimits { forward_timeout: Duration::from_secs(5), ..BatchLimits::default() };
        let mut peers = three_with(dir.path(), limits).await;
        let at = leader(&peers).await;
        let round = async |peers: &[Peer], first: u128| {
            let sent = (first..first + 300).map(|n| {
                let peer = &peers[n as usize % peers.len()];
                async move { (n, peer.shards.submit(create(LATER, Some(n))).await) }
            });
            let cut = async { peers[at].isolate() };
            let (done, ()) = futures_util::join!(join_all(sent), cut);
            done
        };
        let done = round(&peers, 0).await;
        let cut_off = peers.remove(at);
        for (n, result) in &done {
            // Requests that came to the peer that was cut off may fail; the others find the next leader.
            let its_own = *n as usize % 3 == at;
            assert!(its_own || result.is_ok(), "{n}: {result:?}");
        }
        let next = leader(&peers).await;
        let mut expected: Vec<TaskId> = done.into_iter().filter_map(|(_, d)| Some(created(&d.ok()?.value).id)).collect();
        let there = ids(&peers[next]).await;
        assert!(expected.iter().all(|id| there.contains(id)), "what was acknowledged is there");
        assert!(there.len() <= 300, "{} tasks of 300 requests", there.len());
        expected.sort_unstable();
        expected.dedup();
        assert!(expected.len() >= 200, "each request made a task of its own");
        drop(cut_off);
    });
}

/// Without a quorum openraft never calls back: whoever waits must hear within the time that a request may take, and stale reads go on.
#[test]
fn without_a_quorum_everybody_is_answered_in_time() {
    let dir = dir();
    run(async {
        let limits = BatchLimits { forward_timeout: Duration::from_secs(1), ..BatchLimits::default() };
        let peers = three_with(dir.path(), limits).await;
        let at = leader(&peers).await;
        let id = created(&peers[at].shards.submit(create(LATER, None)).await.expect("done").value).id;
        for peer in &peers {
            peer.shards.read_barrier(GROUP).await.expect("caught up");
        }
        peers.iter().for_each(Peer::isolate);
        for peer in &peers {
            let refused = peer.shards.submit(create(LATER, None)).await.expect_err("no quorum");
            assert!(matches!(refused, Rejection::Unknown { .. } | Rejection::NoLeader { .. }), "{refused:?}");
            assert!(refused.to_string().contains("group 1"), "{refused}");
            peer.shards.get(name(), id, Consistency::Linearizable).await.expect_err("no quorum");
            peer.shards.read_barrier(GROUP).await.expect_err("no quorum");
            assert!(peer.shards.get(name(), id, Consistency::Stale).await.expect("stale").is_some());
            let stale = ListQuery { consistency: Consistency::Stale, ..query() };
            assert_eq!(peer.shards.list(stale).await.expect("stale").tasks.len(), 1);
        }
        for peer in peers {
            peer.stop().await;
        }
    });
}

#[test]
fn a_peer_without_a_cluster_says_so_and_asks_nobody() {
    let dir = dir();
    run(async {
        let peer = Peer::start(1, dir.path()).await;
        let refused = [
            peer.shards.submit(create(LATER, None)).await.map(|_| ()),
            peer.shards.submit_async(create(LATER, None)).await.map(|_| ()),
            peer.shards.list(query()).await.map(|_| ()),
            peer.shards.namespace(name()).await.map(|_| ()),
            peer.shards.namespaces(None, 1).await.map(|_| ()),
            peer.shards.purge(name()).await.map(|_| ()),
            peer.shards.consume(vec![name()], 0, 1 << 20).map(|_| ()),
        ];
        assert!(refused.iter().all(|r| *r == Err(Rejection::NotMember)), "{refused:?}");
        peer.stop().await;
    });
}
