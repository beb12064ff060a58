//! Consumers of namespaces that are not there. Each name costs a kilobyte where the consumer is known, before anything is delivered: a thousand
//! of them on each of a thousand streams were memory that nobody counted.

use std::time::Duration;

use z4_model::ids::Namespace;

use super::lists_tests::alone;
use super::testing::{GROUP, Peer, connect, leader, three, until};
use crate::account::{Account, CLIENT_PARTS, Holder};
use crate::runtime::executor;
use crate::runtime::testing::run;
use crate::shard::api::Rejection;
use crate::shard::handle::Consumer;

const NAMES: usize = 500;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir")
}

fn consume(peer: &Peer, number: usize, memory: Option<Holder>) -> Result<Consumer, Rejection> {
    let names = (0..NAMES).map(|n| Namespace::new(&format!("{number}-{n}")).expect("valid")).collect();
    peer.shards.consume_on(names, (0, 1 << 20), (Vec::new(), memory))
}

#[test]
fn names_of_consumers_are_charged_and_refused_when_there_are_too_many() {
    let dir = dir();
    run(async {
        let peers = alone(dir.path()).await;
        let account = Account::new(16 << 20);
        let connection = account.holder(CLIENT_PARTS);
        let mut consumers = Vec::new();
        let refused = loop {
            match consume(&peers[0], consumers.len(), Some(connection.clone())) {
                Ok(consumer) => consumers.push(consumer),
                Err(refused) => break refused,
            }
        };
        assert!(refused.to_string().contains("request_memory_bytes_max"), "{refused}");
        assert!(refused.passes(), "who is told so may try again");
        assert!((2..=4).contains(&consumers.len()), "{} of the connection's part", consumers.len());
        assert!(account.used() >= consumers.len() * NAMES * 1_024, "{}", account.used());
        consumers.clear();
        assert_eq!(account.used(), 0);
        consume(&peers[0], 0, Some(connection)).expect("there is room again");
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// The leader remembers the names of consumers of other peers as well. One for which there is no memory waits until there is.
#[test]
fn names_are_charged_to_the_link_at_the_leader() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        let accounts: Vec<Account> = peers.iter().map(|_| Account::new(16 << 20)).collect();
        peers.iter().zip(&accounts).for_each(|(peer, account)| peer.shards.reach().charge_to(account.clone()));
        // A link is charged from when it is made.
        peers.iter().for_each(Peer::isolate);
        let is_up = |here: &Peer, there: &Peer| here.shard.links().is_up(there.number);
        let pairs = [(&peers[0], &peers[1]), (&peers[0], &peers[2]), (&peers[1], &peers[2])];
        until("the links are down", async || pairs.iter().all(|(a, b)| !is_up(a, b) && !is_up(b, a)).then_some(())).await;
        pairs.iter().for_each(|(a, b)| connect(a, b));
        until("there are others", async || pairs.iter().all(|(a, b)| is_up(a, b) && is_up(b, a)).then_some(())).await;
        let first = leader(&peers).await;
        let (here, there, account) = (&peers[first], &peers[(first + 1) % 3], &accounts[first]);
        let idle = account.used();
        let seats = || here.shard.group(GROUP).expect("open").subscriptions.borrow().len();
        let consumers: Vec<Consumer> = (0..40).map(|n| consume(there, n, None).expect("nobody is charged there")).collect();
        until("some have a seat", async || (seats() > 0).then_some(())).await;
        for _ in 0..20 {
            executor::sleep(Duration::from_millis(50)).await;
            assert!(account.used() <= 9 << 20, "half of what is free: {}", account.used());
            assert!(account.used() - idle >= seats() * NAMES * 1_024, "{} seats, {} bytes", seats(), account.used());
        }
        let seated = seats();
        assert!((5..40).contains(&seated), "{seated} of 40");
        drop(consumers);
        until("all have gone", async || (seats() == 0).then_some(())).await;
        let last = consume(there, 99, None).expect("taken");
        until("there is room again", async || (seats() == 1).then_some(())).await;
        drop(last);
        for peer in peers {
            peer.stop().await;
        }
    });
}
