//! A group over three peers: what is acknowledged is on all of them, and another one takes over when the leader goes.

use bytes::Bytes;
use z4_model::command::{Command, Create, Op};
use z4_model::ids::Namespace;
use z4_model::rows::metadata::pack_metadata;

use super::testing::{GROUP, Peer, leader, three, until};
use crate::runtime::testing::run;

fn create() -> Command {
    let create = Create {
        request: None,
        due_ms: 200_000_000_000_000,
        asked_ms: None,
        sequence: 0,
        metadata: pack_metadata([].into_iter()),
        payload: Bytes::from_static(b"x"),
    };
    Command { namespace: Namespace::new("a").expect("valid"), ops: vec![Op::Create(create)] }
}

async fn applied(peer: &Peer) -> Option<u64> {
    peer.shards.groups().await.iter().find(|info| info.group == GROUP)?.applied_index
}

#[test]
fn what_is_acknowledged_is_on_every_peer_and_survives_the_leader() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir");
    run(async {
        let mut peers = three(dir.path()).await;
        let first = leader(&peers).await;
        for _ in 0..20 {
            peers[first].shards.submit(create()).await.expect("acknowledged");
        }
        let upto = applied(&peers[first]).await;
        for peer in &peers {
            until("every replica has applied it", async || (applied(peer).await >= upto).then_some(())).await;
        }
        peers.remove(first).stop().await;
        let second = leader(&peers).await;
        peers[second].shards.submit(create()).await.expect("acknowledged by a majority of two");
        for peer in peers {
            peer.stop().await;
        }
    });
}
