//! Machines that are not as they should be: clocks that are wrong, disks that are slow.

use std::time::Duration;

use tokio::time::sleep;

use super::Injector;
use crate::faults::Who;
use crate::harness::http;
use crate::harness::members::info;
use crate::harness::wait::until;

impl Injector<'_> {
    /// A clock is wrong for a while. Its peer knows, and so do the others: nothing is early, nothing waits for hours.
    pub(super) async fn set_clock(&mut self, who: Who, by_ms: i64, down: bool, hold: Duration) {
        let id = self.find(who).await;
        if down {
            self.cluster.member(&id).peer.kill().await;
            self.clocks.set(&id, by_ms);
            self.cluster.restart(&id).await;
        } else {
            self.clocks.set(&id, by_ms);
        }
        let client = self.cluster.client(&id);
        until(&format!("{id} knows that its clock is wrong"), async || (info(&client).await.clock_outside_ms != 0).then_some(()))
            .await;
        sleep(hold).await;
        self.clocks.set(&id, 0);
        until(&format!("{id} knows that its clock is right"), async || (info(&client).await.clock_outside_ms == 0).then_some(()))
            .await;
    }

    /// Disks are slow for a while, and so is everything; nothing else is wrong.
    pub(super) async fn slow_down(&mut self, who: Option<Who>, by_ms: i64, hold: Duration) {
        let ids = match who {
            Some(who) => vec![self.find(who).await],
            None => self.cluster.ids(),
        };
        for id in &ids {
            self.disks.set(id, by_ms);
        }
        for id in &ids {
            let address = self.cluster.member(id).peer.metrics_address();
            let (syncs, seconds) = syncs(&address).await;
            until(&format!("the disk of {id} is slow"), async || {
                let (syncs_now, seconds_now) = self::syncs(&address).await;
                let each = (seconds_now - seconds) / (syncs_now - syncs);
                (each * 1_000.0 >= by_ms as f64 / 2.0).then_some(())
            })
            .await;
        }
        sleep(hold).await;
        for id in &ids {
            self.disks.set(id, 0);
        }
    }
}

/// How many syncs of raft logs there were at a peer, and how long they took together, seconds.
async fn syncs(metrics_address: &str) -> (f64, f64) {
    let (_, metrics) = http::get(metrics_address, "/metrics").await;
    let read = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)).expect("the metric");
        line.trim().parse().expect("a number")
    };
    (read("z4_fdatasync_seconds_count "), read("z4_fdatasync_seconds_sum "))
}
