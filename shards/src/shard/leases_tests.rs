//! What is with consumers, asked of the leader and of its followers, and how stale a replica says that it is. What would be wrong: leased
//! tasks that a follower's reader takes for ready without a word, an answer that never comes, a replica that claims to be fresh.

use std::collections::BTreeSet;
use std::time::Duration;

use z4_model::ids::{Namespace, TaskKey};

use super::forward_tests::{create, name};
use super::testing::{GROUP, Peer, leader, three, until};
use crate::runtime::clock;
use crate::runtime::testing::run;
use crate::shard::api::{GroupInfo, Leased, Rejection};

fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir")
}

fn keys(leased: Leased) -> BTreeSet<TaskKey> {
    assert!(!leased.truncated);
    leased.keys.into_iter().collect()
}

async fn info(peer: &Peer) -> GroupInfo {
    peer.shards.groups().await.into_iter().find(|group| group.group == GROUP).expect("it is open")
}

#[test]
fn every_peer_tells_what_is_leased_and_a_lonely_one_that_it_cannot() {
    let dir = dir();
    run(async {
        let mut peers = three(dir.path()).await;
        let at = leader(&peers).await;
        for _ in 0..5 {
            peers[at].shards.submit(create(1, None)).await.expect("made");
        }
        let mut consumer = peers[(at + 1) % 3].shards.consume(vec![name()], 60_000, 1 << 20).expect("a consumer");
        consumer.add_credit(3);
        let mut taken = BTreeSet::new();
        while taken.len() < 3 {
            taken.extend(consumer.next().await.expect("the stream goes on").into_iter().map(|task| task.key));
        }
        for peer in &peers {
            let other = Namespace::new("b").expect("valid");
            let many: Vec<_> = (0..2_000).map(|n| Namespace::new(&format!("n{n}")).expect("valid")).collect();
            for (asked, want) in [(vec![name()], &taken), (vec![], &taken), (vec![other], &BTreeSet::new()), (many, &taken)] {
                let count = asked.len();
                let told = keys(peer.shards.leased(GROUP, asked).await.expect("told"));
                assert_eq!(&told, want, "peer {} asked about {count} namespaces", peer.number);
            }
        }
        let lonely = peers.remove((at + 2) % 3);
        lonely.isolate();
        let since = clock::monotonic();
        let answer = lonely.shards.leased(GROUP, vec![name()]).await;
        assert_eq!(answer, Err(Rejection::NoLeader { group: GROUP }));
        assert!(since.elapsed() < Duration::from_secs(8), "it is not waited for as long as for a request");
        drop(consumer);
        lonely.stop().await;
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: three peers at rest are as fresh as heartbeats make them; the one that is cut off says for how long it heard nothing.
#[test]
fn a_replica_says_how_stale_it_is() {
    let dir = dir();
    run(async {
        let mut peers = three(dir.path()).await;
        let at = leader(&peers).await;
        peers[at].shards.submit(create(1, None)).await.expect("made");
        let upto = info(&peers[at]).await.committed_index.expect("something is committed");
        assert_eq!(info(&peers[at]).await.stale_ms, Some(0));
        for peer in &peers {
            until("it knows what is committed, has applied it, and was measured", async || {
                let info = info(peer).await;
                (info.applied_index >= Some(upto) && info.committed_index == info.applied_index && info.bytes > 0).then_some(())
            })
            .await;
            until("it hears from its leader", async || info(peer).await.stale_ms.filter(|ms| *ms < 1_000)).await;
        }
        let lonely = peers.remove((at + 1) % 3);
        lonely.isolate();
        until("it hears nothing any more", async || info(&lonely).await.stale_ms.filter(|ms| *ms > 2_000)).await;
        lonely.stop().await;
        for peer in peers {
            peer.stop().await;
        }
    });
}
