//! A leader that does not hear from a quorum: it delivers nothing while another one could have been elected, and after a while it
//! stops to serve altogether.
//!
//! Followers vote for nobody within a lease after the last heartbeat that they answered, so within the lease counted from the moment
//! when the last answered heartbeats were sent nobody else leads. Outside of it a task that this leader holds may have been
//! acknowledged through another one already.
//!
//! A leader whose partition applies nothing although entries are committed answers nothing either, while its heartbeats keep everybody
//! else from leading: it has another replica lead, and when none can, ends the process.

use std::rc::Rc;
use std::time::Duration;

use z4_model::ids::PeerNumber;

use crate::raft::Replica;
use crate::runtime::{clock, executor, pace};
use crate::shard::group::Group;
use crate::shard::hand_over::LAG_MAX;
use crate::shard::worker::Shard;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(100);

/// A leader that has not heard from a quorum for so many looks serves no more until it does.
const LOOKS_MAX: u32 = 20;

/// A replica that has applied nothing for so long, although something was committed, hangs. Shorter in the tests, which wait for it.
const HANGS_AFTER: Duration = Duration::from_secs(if cfg!(test) { 4 } else { 10 });

/// A leader that hangs for so long, and could not have another replica lead, ends the process: the others go on without it.
const HANGS_MAX: Duration = Duration::from_secs(60);

/// A leader that hangs asks another replica to lead so often.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// A transfer of leadership that has not happened after so many looks will not.
const HAND_OVER_LOOKS: u32 = 20;

/// So many looks on a quick disk, more of them on a slow one.
fn stretched(looks: u32) -> u32 {
    (pace::stretch(LOOK * looks).as_millis() / LOOK.as_millis()) as u32
}

impl Group {
    /// No other replica can have been elected: tasks may be delivered.
    pub(super) fn holds_lease(&self) -> bool {
        let now = clock::monotonic();
        if self.lease_until.get().is_some_and(|until| now < until) {
            return true;
        }
        let until = self.replica().and_then(|replica| replica.lease_until());
        self.lease_until.set(until);
        let holds = until.is_some_and(|until| now < until);
        if !holds {
            self.lease_missed.set(true);
        }
        holds
    }

    /// Stops to deliver before another replica is asked to lead: it may be elected without a lease's wait. Serves again when
    /// leadership has not moved after a while.
    pub(super) fn step_aside(self: &Rc<Self>) {
        self.follow();
        self.handing_over.set(stretched(HAND_OVER_LOOKS));
    }

    /// Looks whether what is committed is applied.
    fn look_at_apply(self: &Rc<Self>) {
        if let Some(replica) = self.replica() {
            self.stalled(&replica, replica.stalled());
        }
    }

    /// Nothing was applied for so long although something was committed.
    pub(super) fn stalled(self: &Rc<Self>, replica: &Replica, stalled: Duration) {
        if stalled < HANGS_AFTER {
            if self.trouble.take().is_some() {
                tracing::info!(group = %self.id, "the partition applies entries again");
            }
            return;
        }
        let seconds = stalled.as_secs();
        let what = format!("the partition hangs: nothing was applied for {seconds} s although entries are committed");
        if self.trouble.replace(Some(what.clone().into())).is_none() {
            tracing::error!(group = %self.id, seconds, "the partition hangs");
        }
        if replica.leads() {
            self.lead_no_more(replica, stalled, &what);
        }
    }

    fn lead_no_more(self: &Rc<Self>, replica: &Replica, stalled: Duration, what: &str) {
        let members = replica.members();
        let others: Vec<PeerNumber> = members.voters().into_iter().filter(|peer| *peer != self.me).collect();
        if others.is_empty() {
            // Nobody else has the data.
            return;
        }
        if stalled >= HANGS_MAX {
            return (self.on_fatal)(&format!("group {}: {what}, and no other peer takes over", self.id));
        }
        let now = clock::monotonic();
        let to = others.into_iter().find(|peer| members.lag(*peer) == Some(0) && replica.is_well(*peer, LAG_MAX));
        let Some(to) = to.filter(|_| self.steering.moved.get().is_none_or(|at| now.duration_since(at) >= ASK_AGAIN)) else {
            return;
        };
        self.steering.moved.set(Some(now));
        tracing::warn!(group = %self.id, to, "a leader that hangs has another peer lead");
        self.step_aside();
        let (group, replica) = (Rc::clone(self), replica.clone());
        executor::spawn(async move {
            if let Err(error) = replica.ask_to_lead(to).await {
                tracing::warn!(group = %group.id, to, %error, "the other peer does not lead");
            }
        });
    }

    /// Looks after the quorum.
    fn look_at_quorum(self: &Rc<Self>) {
        let Some(replica) = self.replica() else { return };
        if !replica.leads() {
            self.alone.set(0);
            self.handing_over.set(0);
            return;
        }
        if !self.holds_lease() {
            self.alone.set(self.alone.get() + 1);
            // On slow disks answers take longer.
            if self.alone.get() >= stretched(LOOKS_MAX) && self.leads() {
                tracing::warn!(group = %self.id, "no quorum answers; not serving until one does");
                self.follow();
            }
            return;
        }
        self.alone.set(0);
        if self.handing_over.get() > 0 {
            return self.handing_over.set(self.handing_over.get() - 1);
        }
        if self.lease_missed.take() {
            // Deliveries that waited for the quorum.
            self.drive();
        }
        if !self.leads() && !self.becoming.get() {
            executor::spawn(Rc::clone(self).lead());
        }
    }
}

impl Shard {
    /// Looks after the quorums of its groups, for as long as it runs.
    pub(super) async fn watch_quorums(self: Rc<Self>) {
        while !self.stopping.get() {
            self.write_down();
            executor::sleep(LOOK).await;
            let groups: Vec<_> = self.groups.borrow().values().cloned().collect();
            groups.iter().for_each(|group| {
                group.look_at_apply();
                group.look_at_quorum();
            });
        }
    }
}
