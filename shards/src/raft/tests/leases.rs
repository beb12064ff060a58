//! Leases over restarts. What would be wrong: a peer that starts again votes while a lease that it granted before goes on, and two leaders
//! deliver; or an ordinary restart waits for longer than the lease of a quick disk.

use std::io;
use std::thread;

use super::*;
use crate::raft::config::LEASE;
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
