//! Asking the peers who they are: in the background, and not too often.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until, timeout};
use z4_proto::ClusterInfo;

use super::Client;
use super::peers::Address;

/// Between two rounds, at least.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// After so long without failures the peers are asked again: some may have come.
const REFRESH: Duration = Duration::from_secs(30);

/// When it was done, and whether it is being done.
#[derive(Default)]
pub(super) struct Discovery {
    running: AtomicBool,
    last: Mutex<Option<Instant>>,
}

impl Discovery {
    fn last(&self) -> MutexGuard<'_, Option<Instant>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// A peer answered: who are the others? Asked the first time, and now and then.
    pub(super) fn discover_sometimes(&self) {
        let last = *self.shared.discovery.last();
        if last.is_none_or(|last| last.elapsed() >= REFRESH) {
            self.discover();
        }
    }

    /// Asks everyone who may be asked, unless that is under way. Returns at once.
    pub(super) fn discover(&self) {
        let discovery = &self.shared.discovery;
        if !self.options().learn_addresses || discovery.running.swap(true, Ordering::AcqRel) {
            return;
        }
        let client = self.clone();
        tokio::spawn(async move {
            let discovery = &client.shared.discovery;
            let last = *discovery.last();
            if let Some(last) = last {
                sleep_until(last + INTERVAL).await;
            }
            // A second round asks those that the first one told of: only who has answered is followed as a leader.
            for _ in 0..2 {
                let told = client.ask_everyone().await;
                client.peers().learn(&told);
                if told.is_empty() || !client.peers().has_unproven() {
                    break;
                }
            }
            *discovery.last() = Some(Instant::now());
            discovery.running.store(false, Ordering::Release);
        });
    }

    /// What each peer that answers says of the cluster, with the address at which it said so.
    async fn ask_everyone(&self) -> Vec<(Address, ClusterInfo)> {
        let addresses = self.peers().addresses(Instant::now());
        let anyone = !addresses.iter().any(|(_, may_be_asked)| *may_be_asked);
        let asked = addresses.into_iter().filter(|(_, may_be_asked)| *may_be_asked || anyone);
        let asking = asked.map(|(address, _)| async move {
            let info = timeout(PATIENCE, self.info_at(&address)).await.ok()?.ok()?;
            Some((address, info))
        });
        join_all(asking).await.into_iter().flatten().collect()
    }
}
