//! A leader that does not hear from a quorum: it delivers nothing while another one could have been elected, and after a while it
//! stops to serve altogether.
//!
//! Followers vote for nobody within a lease after the last heartbeat that they answered, so within the lease counted from the moment
//! when the last answered heartbeats were sent nobody else leads. Outside of it a task that this leader holds may have been
//! acknowledged through another one already.

use std::rc::Rc;
use std::time::Duration;

use crate::runtime::{clock, executor};
use crate::shard::group::Group;
use crate::shard::worker::Shard;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(100);

/// A leader that has not heard from a quorum for so many looks serves no more until it does.
const LOOKS_MAX: u32 = 20;

/// A transfer of leadership that has not happened after so many looks will not.
const HAND_OVER_LOOKS: u32 = 20;

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
        self.handing_over.set(HAND_OVER_LOOKS);
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
            if self.alone.get() == LOOKS_MAX && self.leads() {
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
            executor::sleep(LOOK).await;
            let groups: Vec<_> = self.groups.borrow().values().cloned().collect();
            groups.iter().for_each(Group::look_at_quorum);
        }
    }
}
