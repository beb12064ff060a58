//! What happens to a group once a second: gauges are set, and the log that is no longer needed goes.

use std::rc::Rc;
use std::time::Duration;

use z4_model::ids::Namespace;
use z4_model::machine::Totals;

use crate::partition::{Due, DuePart, PartitionError};
use crate::raft::{Purge, Retention};
use crate::runtime::clock::Instant;
use crate::runtime::{clock, executor};
use crate::shard::delivery::Engine;
use crate::shard::group::Group;

/// A group that applied something is trimmed after this many seconds at the latest, so that a restart has little to apply again and a
/// quiet group's entries pin no segment.
const TRIM_SECONDS_MAX: u64 = 60;

/// Due rows are counted again after this at the soonest, and after so many times as long as it took: counting takes a small part of a core
/// at most.
const COUNT_DUE_AGAIN: Duration = Duration::from_millis(4_500);
const COUNT_DUE_TIMES: u32 = 50;

/// A count of due rows, in parts: each second one.
#[derive(Default)]
pub(super) struct DueCount {
    /// What the last whole count found.
    due: Due,
    /// What this one has found.
    part: Due,
    /// Where it goes on.
    after: Option<Namespace>,
    running: bool,
    /// How long this one has taken.
    took: Duration,
    /// The next one begins then.
    again: Option<Instant>,
}

impl DueCount {
    /// A part was counted, at `now`.
    fn add(&mut self, counted: DuePart, took: Duration, now: Instant) {
        self.took += took;
        self.part.rows += counted.due.rows;
        self.part.oldest_ms = [self.part.oldest_ms, counted.due.oldest_ms].into_iter().flatten().min();
        self.after = counted.last.filter(|_| counted.full);
        if self.after.is_none() {
            self.due = std::mem::take(&mut self.part);
            self.again = Some(now + COUNT_DUE_AGAIN.max(std::mem::take(&mut self.took) * COUNT_DUE_TIMES));
        }
    }
}

impl Group {
    /// Sets the group's gauges, from what its partition holds and takes on disk. Waits for nothing.
    pub(super) fn measure(self: &Rc<Self>, (totals, bytes): (Totals, u64)) {
        self.lateness.borrow_mut().flush();
        self.gauges.partition_bytes.set(bytes as i64);
        self.gauges.dead.set(totals.dead as i64);
        let awaits_claims = self.engine.borrow().as_ref().is_some_and(Engine::awaits_claims);
        self.gauges.awaits_claims.set(i64::from(awaits_claims));
        let leased = self.engine.borrow().as_ref().map(|engine| engine.leases_len() as u64);
        let Some(leased) = leased else { return };
        let due = if totals.live == 0 { Due::default() } else { self.count_due() };
        let ready = due.rows.min(totals.live).saturating_sub(leased);
        self.gauges.leased.set(leased as i64);
        self.gauges.ready.set(ready as i64);
        self.gauges.scheduled.set(totals.live.saturating_sub(leased + ready) as i64);
        let age_ms = due.oldest_ms.map_or(0, |due_ms| self.now_ms().saturating_sub(due_ms));
        self.gauges.oldest_due_age_seconds.set(age_ms as f64 / 1e3);
    }

    /// What is due, as last counted. Counting reads rows, so it happens now and then, on a thread of its own.
    fn count_due(self: &Rc<Self>) -> Due {
        let mut count = self.due_count.borrow_mut();
        if !count.running && count.again.is_none_or(|again| again <= clock::monotonic()) {
            count.running = true;
            let (group, after) = (Rc::clone(self), count.after.clone());
            executor::spawn(async move {
                let counted = group.count_some(after).await;
                let mut count = group.due_count.borrow_mut();
                count.running = false;
                // What cannot be read here fails a read that somebody waits for soon enough.
                if let Some((counted, took)) = counted {
                    count.add(counted, took, clock::monotonic());
                }
            });
        }
        count.due
    }

    async fn count_some(&self, after: Option<Namespace>) -> Option<(DuePart, Duration)> {
        let view = self.read(|partition| Ok(partition.view())).await.ok()?;
        let (since, now_ms) = (clock::monotonic(), self.now_ms());
        let counted = executor::run_blocking(move || view.due(now_ms, after.as_ref())).await;
        Some((counted.ok()?.ok()?, since.elapsed()))
    }

    /// Makes the partition durable and lets the log go, when enough was applied or enough time has passed. Groups do not wait for
    /// each other; one that is at it is not asked again.
    pub(super) fn trim(self: &Rc<Self>, bytes: u64, retention: Retention) {
        let applied = self.applied_since_trim.get();
        let waited = self.seconds_since_trim.get() + 1;
        self.seconds_since_trim.set(waited);
        // While writers wait it is looked every second whether they still have to.
        let is_due = applied >= bytes || waited >= TRIM_SECONDS_MAX || self.brakes.get();
        if self.trims.get() || self.damage.is_found() || applied == 0 || !is_due {
            return;
        }
        let Some(replica) = self.replica() else { return };
        self.applied_since_trim.set(0);
        self.seconds_since_trim.set(0);
        self.trims.set(true);
        let group = Rc::clone(self);
        executor::spawn(async move {
            let trimmed = replica.trim(retention).await;
            group.trims.set(false);
            match trimmed {
                Ok(purge) => group.trimmed(purge),
                // Nothing of the log goes before other rows are here.
                Err(PartitionError::Damaged { .. }) => {}
                Err(error) => (group.on_fatal)(&format!("group {} cannot be made durable: {error}", group.id)),
            }
        });
    }

    fn trimmed(&self, purge: Purge) {
        self.metrics.last_fsm_snapshot.set(clock::wall_ms() as f64 / 1e3);
        self.gauges.log_held.set(i64::from(purge.held));
        self.gauges.log_full.set(i64::from(purge.brakes));
        if self.brakes.replace(purge.brakes) != purge.brakes {
            match purge.brakes {
                true => {
                    tracing::warn!(group = %self.id, "a peer gets a snapshot, or catches up from one, and the log that is kept for it has nearly \
                    reached its bound: creates are refused until it is there")
                }
                false => tracing::info!(group = %self.id, "creates are taken again"),
            }
        }
        if purge.in_vain > 0 {
            self.metrics.snapshots_in_vain.inc_by(purge.in_vain as u64);
            tracing::error!(group = %self.id, "a peer takes longer for a snapshot than writers need to fill what is kept of \
                the log for it: it starts over; raise log_held_bytes_max, or give the disk more space");
        }
        if purge.held || purge.brakes {
            // What a follower held must go once it has caught up, and writers go on, also when nothing more is applied.
            self.applied_since_trim.set(self.applied_since_trim.get().max(1));
        }
    }
}
