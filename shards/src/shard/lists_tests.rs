//! A page of a list does a bounded amount of work, and none that nobody waits for.

use bytes::Bytes;
use z4_model::command::{Command, Create, Op};
use z4_model::ids::SLOTS;
use z4_model::rows::metadata::pack_metadata;

use super::forward_tests::{LATER, name};
use super::lists::LISTS;
use super::testing::{GROUP, Peer, leader, until};
use crate::runtime::executor;
use crate::runtime::testing::run;
use crate::shard::api::{Consistency, ListQuery, Rejection, TaskPage, TaskState};

fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir")
}

/// One peer that leads [`GROUP`].
pub(super) async fn alone(dir: &std::path::Path) -> Vec<Peer> {
    let peer = Peer::start(1, dir).await;
    peer.shards.open(GROUP, vec![(1, "peer-1:1".to_owned())]).await.expect("open");
    peer.shards.set_slots(&vec![GROUP; usize::from(SLOTS)]);
    let peers = vec![peer];
    leader(&peers).await;
    peers
}

async fn create(peer: &Peer, due_ms: u64, count: usize, payload: usize) {
    let metadata = pack_metadata([("key", "value")].into_iter());
    let payload = Bytes::from(vec![0; payload]);
    let create = Create { request: None, due_ms, asked_ms: None, sequence: 0, metadata, payload };
    peer.shards.submit(Command { namespace: name(), ops: vec![Op::Create(create); count] }).await.expect("created");
}

fn query(state: Option<TaskState>, limit: usize) -> ListQuery {
    ListQuery {
        namespace: name(),
        due_from_ms: 0,
        due_until_ms: u64::MAX,
        state,
        after: None,
        limit,
        bytes_max: 1 << 20,
        omit_payload: false,
        consistency: Consistency::Linearizable,
    }
}

/// Pages until the end: how many tasks, how many pages, how often rows were read.
async fn list(peer: &Peer, mut query: ListQuery) -> (usize, usize, usize) {
    let lists = &peer.shard.group(GROUP).expect("open");
    let before = lists.lists.steps.get();
    let (mut tasks, mut pages) = (0, 0);
    loop {
        let page = peer.shards.list(query.clone()).await.expect("listed");
        assert!(page.tasks.iter().all(|view| query.state.is_none_or(|wanted| wanted == view.state)));
        assert!(page.tasks.len() <= query.limit);
        tasks += page.tasks.len();
        pages += 1;
        match page.next {
            Some(next) => query.after = Some(next),
            None => return (tasks, pages, lists.lists.steps.get() - before),
        }
    }
}

/// Few tasks are leased, or scheduled, among many that are ready: each of these was found by reading all of them, in the end one row at a
/// time.
#[test]
fn a_rare_state_is_found_without_reading_all_the_others() {
    let dir = dir();
    run(async {
        let peers = alone(dir.path()).await;
        let peer = &peers[0];
        for _ in 0..15 {
            create(peer, 0, 1_000, 10).await;
        }
        create(peer, LATER, 2, 10).await;
        let mut consumer = peer.shards.consume(vec![name()], 60_000, 1 << 20).expect("taken");
        consumer.add_credit(7);
        let mut leased = 0;
        while leased < 7 {
            leased += consumer.next().await.expect("delivered").len();
        }
        assert_eq!(list(peer, query(Some(TaskState::Leased), 5)).await, (7, 2, 2));
        assert_eq!(list(peer, query(Some(TaskState::Scheduled), 5)).await.0, 2);
        let (tasks, _, steps) = list(peer, query(Some(TaskState::Scheduled), 5)).await;
        assert!(tasks == 2 && steps <= 2, "{steps} reads for two scheduled tasks");
        let (tasks, _, steps) = list(peer, query(Some(TaskState::Ready), 1_000)).await;
        assert!(tasks == 14_993 && steps <= 40, "{steps} reads for 15 pages");
        assert_eq!(list(peer, query(Some(TaskState::Dead), 1_000)).await, (0, 1, 1));
        assert_eq!(list(peer, query(None, 1_000)).await.0, 15_002);
        let stale = ListQuery { consistency: Consistency::Stale, ..query(Some(TaskState::Leased), 100) };
        assert_eq!(list(peer, stale).await.0, 7);
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// A page of large tasks ends at the bytes that fit into an answer, and does not read eight times as many.
#[test]
fn a_page_reads_about_what_it_answers() {
    let dir = dir();
    run(async {
        let peers = alone(dir.path()).await;
        let peer = &peers[0];
        for _ in 0..4 {
            create(peer, LATER, 10, 300 << 10).await;
        }
        let TaskPage { tasks, next } = peer.shards.list(query(None, 1_000)).await.expect("listed");
        assert!(tasks.len() == 4 && next.is_some(), "{} tasks", tasks.len());
        let (tasks, pages, _) = list(peer, query(None, 1_000)).await;
        // The last page is empty: whether there are dead ones was not known before.
        assert_eq!((tasks, pages), (40, 11));
        let omit = ListQuery { omit_payload: true, ..query(None, 1_000) };
        let page = peer.shards.list(omit).await.expect("listed");
        assert_eq!((page.tasks.len(), page.next), (40, None));
        for view in page.tasks {
            assert!(view.row.record.payload.is_empty());
            assert!(view.row.record.metadata.is_unique(), "it holds the memory of the payload");
        }
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Lists wait for each other, not without a bound; and one whose client is gone is not read.
#[test]
fn few_lists_read_at_a_time_and_none_that_nobody_waits_for() {
    let dir = dir();
    run(async {
        let peers = alone(dir.path()).await;
        let peer = &peers[0];
        create(peer, LATER, 10, 10).await;
        let group = peer.shard.group(GROUP).expect("open");
        let mut turns = Vec::new();
        for _ in 0..4 {
            turns.push(group.lists.turn().await.expect("a turn"));
        }
        let (gone, kept) = (peer.shards.clone(), peer.shards.clone());
        let mut gone = Box::pin(async move { gone.list(query(None, 10)).await });
        assert!(futures_util::poll!(&mut gone).is_pending());
        until("the list waits", async || (group.lists.waiting() == 1).then_some(())).await;
        drop(gone);
        until("nobody waits", async || (group.lists.waiting() == 0).then_some(())).await;
        let mut waiting: Vec<_> = (0..1_024).map(|_| Box::pin(kept.list(query(None, 10)))).collect();
        for list in &mut waiting {
            assert!(futures_util::poll!(list).is_pending());
        }
        until("they wait", async || (group.lists.waiting() == 1_024).then_some(())).await;
        let refused = peer.shards.list(query(None, 10)).await.expect_err("too many wait");
        assert_eq!(refused, Rejection::Overloaded { what: LISTS, limit: 1_024 });
        assert_eq!(group.lists.steps.get(), 0);
        let last = waiting.pop().expect("one");
        drop(waiting);
        drop(turns);
        assert_eq!(last.await.expect("listed").tasks.len(), 10);
        executor::yield_now().await;
        assert!(group.lists.steps.get() <= 2, "{} reads for one list", group.lists.steps.get());
        for peer in peers {
            peer.stop().await;
        }
    });
}
