//! What happens to a group once a second: gauges are set, and the log that is no longer needed goes.

use std::rc::Rc;

use crate::runtime::clock;
use crate::shard::group::Group;

/// A group that applied something is trimmed after this many seconds at the latest, so that a restart has little to apply again and a
/// quiet group's entries pin no segment.
const TRIM_SECONDS_MAX: u64 = 60;

impl Group {
    /// Sets the group's gauges.
    pub(super) async fn measure(self: &Rc<Self>) {
        self.lateness.borrow_mut().flush();
        let measured = self.read(|partition| Ok((partition.totals(), partition.disk_bytes()?))).await;
        let Ok((totals, bytes)) = measured else { return };
        self.gauges.partition_bytes.set(bytes as i64);
        self.gauges.dead.set(totals.dead as i64);
        let engine = self.engine.borrow();
        let Some(engine) = engine.as_ref() else { return };
        let (counts, now_ms) = (engine.counts(), clock::wall_ms());
        let leased = counts.leased as u64;
        self.gauges.leased.set(leased as i64);
        self.gauges.scheduled.set(totals.live.saturating_sub(leased) as i64);
        let oldest = counts.oldest_due_ms.map_or(0, |due_ms| now_ms.saturating_sub(due_ms));
        self.gauges.oldest_due_age_seconds.set(oldest as f64 / 1e3);
    }

    /// Makes the partition durable and lets the log go, when enough was applied or enough time has passed.
    pub(super) async fn trim(self: &Rc<Self>, bytes: u64, keep_entries: u64) {
        let applied = self.applied_since_trim.get();
        let waited = self.seconds_since_trim.get() + 1;
        self.seconds_since_trim.set(waited);
        if applied == 0 || (applied < bytes && waited < TRIM_SECONDS_MAX) {
            return;
        }
        self.applied_since_trim.set(0);
        self.seconds_since_trim.set(0);
        if let Some(replica) = self.replica() {
            replica.trim(keep_entries).await;
            self.metrics.last_fsm_snapshot.set(clock::wall_ms() as f64 / 1e3);
        }
    }
}
