//! Leases over restarts. What would be wrong: a peer that starts again votes while a lease that it granted before goes on, and two leaders
//! deliver, or helps itself to the lead with its own vote; or an ordinary restart waits for longer than the lease of a quick disk.

use std::io;
use std::thread;

use super::*;
use crate::raft::config::LEASE;
use crate::runtime::clock::Instant;
use crate::runtime::files::Faults;
use crate::runtime::{clock, pace};

/// Each sync takes 300 ms: leases last four times as long.
struct Slow;

impl Faults for Slow {
    fn before_write(&self, _: &Path, _: u64, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn before_sync(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_delay(&self, _: &Path) -> Duration {
        Duration::from_millis(300)
    }
}

impl Peer {
    /// It knows that it is one of several voters.
    fn votes(&self) -> bool {
        self.replica.status().voters.len() > 1
    }

    /// The term of the vote that is in its log.
    fn voted_in(&self) -> u64 {
        self.log.group(GROUP).state().vote.expect("it voted").term
    }
}

/// As in a process of its own: what a thread knows of its disk ends with it.
fn process<T: Send>(story: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(story).join().expect("no panic"))
}

/// Story: a peer's disk is slow, and its leases are long. When it starts again the disk is quick.
#[test]
fn a_peer_that_starts_again_waits_for_leases_of_a_slow_disk() {
    let dir = temp();
    let told = process(|| {
        run(async {
            let peer = Peer::start_on(1, dir.path(), Disk::with_faults(Rc::new(Slow))).await;
            peer.become_leader().await;
            let told = until("long leases are told", async || {
                peer.write(1).await;
                Some(pace::granted(LEASE)).filter(|told| *told >= 4 * LEASE)
            })
            .await;
            peer.stop().await;
            told
        })
    });
    process(|| {
        run(async {
            let before = clock::monotonic();
            let peer = Peer::start(1, dir.path()).await;
            let from = peer.replica.votes_from.expect("it voted, so it may have granted something");
            assert!(from >= before + told, "it votes while a lease of {told:?} may go on");
            assert_eq!(pace::granted(LEASE), LEASE, "the disk is quick");
            peer.stop().await;
        });
    });
}

/// Story: the same with a quick disk: one lease is waited for, the ordinary one.
#[test]
fn an_ordinary_restart_waits_for_one_ordinary_lease() {
    let dir = temp();
    process(|| {
        run(async {
            let peer = Peer::lead(dir.path()).await;
            peer.write(3).await;
            peer.stop().await;
        });
    });
    process(|| {
        run(async {
            let peer = Peer::start(1, dir.path()).await;
            let from = peer.replica.votes_from.expect("it voted");
            assert!(from <= clock::monotonic() + LEASE);
            peer.stop().await;
        });
    });
}

/// Story: both voters of a group start again, and may have granted leases that last four times as long as an ordinary one. Neither asks for a vote,
/// its own included, before those are over; then they elect.
#[test]
fn a_peer_that_starts_again_stands_for_no_election_while_its_lease_may_go_on() {
    let dir = temp();
    let both = [(1, "peer-1:1".to_owned()), (2, "peer-2:1".to_owned())];
    process(|| {
        run(async {
            let (one, two) = (Peer::start(1, dir.path()).await, Peer::start(2, dir.path()).await);
            connect(&one, &two);
            one.replica.initialize(&both).await.expect("initialized");
            until("one leads", async || (one.replica.status().leads || two.replica.status().leads).then_some(())).await;
            until("both know who votes", async || (one.votes() && two.votes()).then_some(())).await;
            one.stop().await;
            two.stop().await;
        });
    });
    process(|| {
        pace::remember(4);
        run(async {
            let peers = [Peer::start(1, dir.path()).await, Peer::start(2, dir.path()).await];
            let from = peers.each_ref().map(|peer| peer.replica.votes_from.expect("it voted"));
            let terms = peers.each_ref().map(Peer::voted_in);
            let asked: Rc<RefCell<Vec<(usize, Instant)>>> = Rc::default();
            for (by, door) in [(0, &peers[1].door), (1, &peers[0].door)] {
                let asked = Rc::clone(&asked);
                door.watch(move |body| {
                    if let Body::Ballot(_) = body {
                        asked.borrow_mut().push((by, clock::monotonic()));
                    }
                    Fate::Pass
                });
            }
            connect(&peers[0], &peers[1]);
            until("one leads", async || {
                for (n, peer) in peers.iter().enumerate() {
                    let term = peer.replica.status().term;
                    assert!(term <= terms[n] || clock::monotonic() >= from[0].min(from[1]), "an early term");
                }
                peers.iter().any(|peer| peer.replica.status().leads).then_some(())
            })
            .await;
            let asked = asked.take();
            assert!(!asked.is_empty(), "nobody leads without a vote of the other one");
            assert!(asked.iter().all(|(by, at)| *at >= from[*by]), "its own lease may go on: {asked:?}, {from:?}");
            for peer in peers {
                peer.stop().await;
            }
        });
    });
}
