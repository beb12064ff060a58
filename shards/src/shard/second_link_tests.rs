//! Somebody makes a second connection in the name of a peer whose link lives. Were it to take the link's place, whoever knows a peer's name
//! could cut it off, and speak for it.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};

use futures_channel::oneshot;

use super::forward_tests::create;
use super::testing::{leader, three, until};
use crate::link::Established;
use crate::runtime::testing::run;

#[test]
fn a_second_connection_takes_nothing_from_a_link_that_lives() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir");
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        let other = peers[(at + 1) % 3].number;
        let links = || peers[at].shards.reach().table().get(&other).map(|reach| (reach.links, reach.since));
        let before = links();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut stranger = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        stranger.set_nonblocking(true).expect("a socket");
        let (stream, _) = listener.accept().expect("accepted");
        peers[at].shards.adopt(0, Established { peer: other, remote_shard: 0, disk: None, stream, open: oneshot::channel().0 });
        until("the second one is closed", async || match stranger.read(&mut [0; 64]) {
            Ok(0) => Some(()),
            Ok(_) => panic!("it was spoken to"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(_) => Some(()),
        })
        .await;
        assert_eq!(links(), before, "the link is the one that it was");
        peers[at].shards.submit(create(1, None)).await.expect("acknowledged");
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// The other peer has another shard, and a link to that comes while the first one is in use. Appends that went over it would overtake those that
/// are under way on the first: the follower would say that it lacks what it is about to get, after it has said that it has it.
#[test]
fn a_link_to_another_shard_overtakes_nothing() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir");
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        let other = peers[(at + 1) % 3].number;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut second = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        second.set_nonblocking(true).expect("a socket");
        let (stream, _) = listener.accept().expect("accepted");
        peers[at].shards.adopt(0, Established { peer: other, remote_shard: 1, disk: None, stream, open: oneshot::channel().0 });
        let links = || peers[at].shards.reach().table().get(&other).map(|reach| reach.links);
        until("there are two", async || (links() == Some(2)).then_some(())).await;
        let command = create(1, None);
        let name = command.namespace.clone();
        for n in 1..=20 {
            peers[at].shards.submit(create(n, None)).await.expect("acknowledged");
        }
        let mut got = vec![0; 1 << 20];
        let read = second.read(&mut got).unwrap_or(0);
        let told = got[..read].windows(name.as_bytes().len()).any(|some| some == name.as_bytes());
        assert!(!told, "what is replicated went over the second link");
        drop(second);
        for peer in peers {
            peer.stop().await;
        }
    });
}
