//! Views that plain threads make of the replicas of three peers while tasks come and go. What would be wrong: a view that is no state of
//! the group, one that lacks what a read barrier promised, a thread that hangs, a view of what is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use futures_util::future::join_all;
use z4_model::ids::{GroupId, SLOTS, TaskKey};

use super::forward_tests::{LATER, create, name};
use super::testing::{GROUP, leader, three};
use crate::partition::{Span, View};
use crate::runtime::testing::run;
use crate::shard::api::Rejection;
use crate::shard::handle::Shards;

/// Its tasks; what it says of their number must be true.
fn tasks(view: &View) -> usize {
    let mut rows = Vec::new();
    let mut left = Some(Span { namespace: name(), dead: false, from: TaskKey::MIN, until: TaskKey::MAX, backwards: false });
    while let Some(span) = left {
        left = view.read(&span, (50, 1 << 20), &mut rows).expect("it reads");
    }
    let live = view.namespace(&name()).expect("it reads").map_or(0, |row| row.live);
    assert_eq!(live, rows.len() as u64, "what is said of the rows, and the rows");
    rows.len()
}

/// A thread that looks until it is told to end; returns how often it saw something.
fn looking(shards: &Shards, ended: &Arc<AtomicBool>) -> JoinHandle<usize> {
    let (shards, ended) = (shards.clone(), Arc::clone(ended));
    std::thread::spawn(move || {
        let (mut last, mut looks) = (0, 0);
        while !ended.load(Ordering::Relaxed) {
            // A replica that has applied nothing yet has no view.
            let Ok(view) = shards.view(GROUP) else { continue };
            let now = tasks(&view);
            assert!(now >= last, "it went back from {last} to {now} tasks");
            (last, looks) = (now, looks + 1);
        }
        looks
    })
}

#[test]
fn threads_see_whole_states_while_they_change_and_nothing_afterwards() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir");
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        let ended = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = peers.iter().map(|peer| looking(&peer.shards, &ended)).collect();
        for _ in 0..30 {
            let made = join_all((0..10).map(|_| peers[at].shards.submit(create(LATER, None)))).await;
            made.into_iter().for_each(|made| assert!(made.is_ok()));
        }
        for peer in &peers {
            peer.shards.read_barrier(GROUP).await.expect("caught up");
            assert_eq!(tasks(&peer.shards.view(GROUP).expect("open")), 300, "peer {}", peer.number);
        }
        ended.store(true, Ordering::Relaxed);
        for thread in threads {
            assert!(thread.join().expect("no panic") > 0);
        }
        let view = peers[at].shards.view(GROUP).expect("open");
        for peer in peers {
            let shards = peer.shards.clone();
            assert_eq!(shards.view(GroupId(9)).err(), Some(Rejection::Behind { group: GroupId(9) }), "it has no such replica");
            peer.stop().await;
            assert_eq!(shards.view(GROUP).err(), Some(Rejection::Stopping));
            shards.set_removed();
            assert_eq!(shards.view(GROUP).err(), Some(Rejection::Removed));
        }
        assert_eq!(tasks(&view), 300, "what was seen stays");
    });
}

#[test]
fn a_peer_without_a_cluster_has_no_views() {
    let (shards, _inboxes) = Shards::new(1, 16);
    assert_eq!(shards.view(GROUP).err(), Some(Rejection::NotMember));
    assert_eq!(shards.slots_by_group().into_iter().collect::<Vec<_>>(), [(GroupId::REGISTRY, u64::from(SLOTS))]);
}
