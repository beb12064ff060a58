//! A partition in which damage was found, by a read, by an apply, or when it was opened. What is read is checked block by block, so nothing wrong is ever answered; but what is
//! damaged cannot be answered, and this replica may be the last one that is asked. So it leads no more, and gets the rows of another
//! replica while it goes on to apply. Where there is no other one, the process ends.

use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use z4_model::encoding::Malformed;
use z4_model::ids::{GroupId, Namespace, PeerNumber, TaskKey};

use crate::metrics::DiskMetrics;
use crate::partition::PartitionError;
use crate::raft::Replica;
use crate::runtime::{executor, pace};
use crate::shard::group::Group;
use crate::shard::hand_over::TAKE_OVER_MAX;

/// Between two attempts.
const AGAIN: Duration = Duration::from_secs(1);

/// A leader that finds nobody to hand over to in so many attempts ends its process: then another one leads.
const HAND_OVERS_MAX: u32 = 30;

/// Whether damage was found, whoever found it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Damage(Arc<AtomicBool>);

impl Damage {
    /// What a partition is to call with the damage that it finds.
    pub(super) fn note(&self, metrics: &DiskMetrics) -> impl Fn(&PartitionError) + Send + Sync + 'static {
        let (damage, metrics) = (self.clone(), metrics.clone());
        move |error| damage.find(&metrics, error)
    }

    /// Some was found just now. Told once, until it is mended.
    fn find(&self, metrics: &DiskMetrics, error: &(dyn Error + 'static)) {
        if self.0.swap(true, Ordering::SeqCst) {
            return;
        }
        metrics.damage.inc();
        metrics.damaged.inc();
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%error, cause, "damage was found on disk");
    }

    /// There is some.
    pub(super) fn is_found(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn mended(&self, metrics: &DiskMetrics) {
        self.0.store(false, Ordering::SeqCst);
        metrics.damaged.dec();
    }
}

/// A task's row that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("the row {}/{} of namespace {namespace} in group {group} cannot be understood", key.due_ms, key.sequence)]
pub(super) struct RowDamaged {
    pub(super) group: GroupId,
    pub(super) namespace: Namespace,
    pub(super) key: TaskKey,
    pub(super) source: Malformed,
}

/// What to do next about damage.
enum Step {
    /// Nobody else has the rows.
    End,
    HandOver(Vec<PeerNumber>),
    Rebuild(PeerNumber),
    /// Nobody leads now.
    Wait,
}

impl Group {
    /// Sees to damage that was found since the last look.
    pub(super) fn look_at_damage(self: &Rc<Self>) {
        if self.damage.is_found() && !self.rebuilds.replace(true) {
            let group = Rc::clone(self);
            executor::spawn(async move {
                group.mend().await;
                group.rebuilds.set(false);
            });
        }
    }

    async fn mend(self: &Rc<Self>) {
        let Some(replica) = self.replica() else { return };
        let mut hand_overs = 0;
        loop {
            match self.step(&replica) {
                Step::End => {
                    return (self.on_fatal)(&format!("the partition of group {} is damaged, and no other peer has it", self.id));
                }
                Step::HandOver(_) if hand_overs >= HAND_OVERS_MAX => {
                    let what = format!("the partition of group {} is damaged, and no other peer can lead the group now", self.id);
                    return (self.on_fatal)(&what);
                }
                Step::HandOver(peers) => {
                    hand_overs += 1;
                    for peer in peers {
                        let moved = match replica.waits_for_rows() {
                            true => self.leave_to(&replica, peer).await,
                            false => self.hand_over(peer).await.is_ok(),
                        };
                        if moved {
                            break;
                        }
                    }
                }
                Step::Rebuild(leader) => match replica.rebuild_from(leader).await {
                    Ok(()) => {
                        self.damage.mended(&self.metrics.disk);
                        tracing::info!(group = %self.id, peer = leader, "the damaged partition was rebuilt");
                        return;
                    }
                    Err(error) => {
                        tracing::warn!(group = %self.id, peer = leader, %error, "the damaged partition is not rebuilt yet")
                    }
                },
                Step::Wait => {}
            }
            executor::sleep(AGAIN).await;
        }
    }

    /// What is on its way cannot be applied here, so it cannot be waited for as in a [hand-over](Group::hand_over): a voter that has all of it
    /// in its log leads at once, and those who wait for answers hear that nobody knows.
    async fn leave_to(self: &Rc<Self>, replica: &Replica, to: PeerNumber) -> bool {
        if replica.members().lag(to) != Some(0) || !self.links.reach().is_up(to) || replica.hangs(to) {
            return false;
        }
        tracing::warn!(group = %self.id, to, "a leader that cannot apply any more has another peer lead");
        self.step_aside();
        let asked = replica.ask_to_lead(to).await.is_ok();
        asked && replica.other_leader(pace::stretch(TAKE_OVER_MAX)).await == Some(to)
    }

    fn step(&self, replica: &Replica) -> Step {
        let (status, members) = (replica.status(), replica.members());
        let others: Vec<PeerNumber> = members.voters().into_iter().filter(|peer| *peer != self.me).collect();
        match status.leader {
            // It is not known yet.
            _ if members.nodes.is_empty() => Step::Wait,
            _ if others.is_empty() && members.nodes.len() <= 1 => Step::End,
            Some(leader) if leader == self.me && others.is_empty() => Step::End,
            Some(leader) if leader == self.me => Step::HandOver(others),
            Some(leader) => Step::Rebuild(leader),
            None => Step::Wait,
        }
    }

    /// A row whose block is whole says something that no row says.
    pub(super) fn row_damaged(self: &Rc<Self>, row: &RowDamaged) {
        self.damage.find(&self.metrics.disk, row);
        self.look_at_damage();
    }

    /// A read for the delivery engine failed. Damage is seen to elsewhere; anything else ends the process.
    pub(super) fn read_failed(&self, error: &PartitionError) {
        if !matches!(error, PartitionError::Damaged { .. }) {
            self.fail(&error.to_string());
        }
    }

    /// Sends this replica's rows to a peer whose own are damaged.
    pub(super) fn send_rebuild(self: &Rc<Self>, to: PeerNumber) -> bool {
        let Some(replica) = self.replica().filter(|replica| replica.leads() && !self.damage.is_found()) else { return false };
        let group = self.id;
        executor::spawn(async move {
            if let Err(error) = replica.send_rebuild(to).await {
                tracing::warn!(%group, peer = to, %error, "a peer whose partition is damaged did not get this one's rows");
            }
        });
        true
    }
}
