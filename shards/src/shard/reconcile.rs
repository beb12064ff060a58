//! Each group's leader brings its group to what the roster says, step by step; see [`step`] for which one is next.

#[cfg(test)]
mod simulation_tests;
mod step;

use std::collections::BTreeSet;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use z4_model::ids::{GroupId, PeerNumber};

use crate::roster::Roster;
use crate::runtime::{clock, executor};
use crate::shard::group::Group;
use crate::shard::handle::Named;
use crate::shard::worker::Shard;
use step::{Situation, Step};

/// How often a leader looks whether its group is as it should be.
const LOOK: Duration = Duration::from_millis(500);

/// A step that takes longer is given up: what became of it shows at the next look.
const STEP_MAX: Duration = Duration::from_secs(10);

/// Leaders are spread at every so many looks.
const LOOKS_PER_SPREAD: u32 = 2;

impl Shard {
    /// Brings the groups that this shard leads to where they should be, for as long as the shard runs.
    pub(super) async fn steer(self: Rc<Self>) {
        let mut looks = 0u32;
        while !self.stopping.get() {
            select(pin!(executor::sleep(LOOK)), pin!(self.cluster.changed.wait())).await;
            looks = looks.wrapping_add(1);
            let connected = self.connected();
            self.note_leaders();
            let groups: Vec<_> = self.groups.borrow().values().cloned().collect();
            for group in groups.iter().filter(|group| group.steering.led_since.get().is_some() && !group.steering.busy.get()) {
                self.look(group, &connected);
            }
            if looks.is_multiple_of(LOOKS_PER_SPREAD) {
                self.spread_leaders(&groups);
                self.show_peers();
                groups.iter().for_each(|group| group.show_lags(&self.cluster.roster.borrow()));
            }
            executor::yield_if_needed().await;
        }
    }

    fn connected(&self) -> BTreeSet<PeerNumber> {
        self.links.reach().table().iter().filter(|(_, reach)| reach.links > 0).map(|(peer, _)| *peer).collect()
    }

    /// Notes which groups are led from here, whose voters have changed, and who has replicas.
    fn note_leaders(&self) {
        let mut named = Named::default();
        for group in self.groups.borrow().values() {
            let leads = group.leads();
            let since = group.steering.led_since.get();
            group.steering.led_since.set(if leads { since.or_else(|| Some(clock::monotonic())) } else { None });
            let Some(replica) = group.replica() else { continue };
            let members = replica.members();
            let peers = members.nodes.iter().chain(members.configs.iter().flatten());
            match group.id {
                GroupId::REGISTRY => named.by_registry.extend(peers),
                _ => named.by_others.extend(peers),
            }
            let voters = members.voters();
            let before = group.steering.voters.replace(voters.clone());
            if !before.is_empty() && before != voters {
                self.cluster.arming.borrow_mut().arm(clock::monotonic());
            }
        }
        if let Some(shards) = self.shards()
            && shards.0.named[self.index].load().as_deref() != Some(&named)
        {
            shards.0.named[self.index].store(Some(Arc::new(named)));
        }
    }

    /// Starts the group's next step, if there is one.
    fn look(self: &Rc<Self>, group: &Rc<Group>, connected: &BTreeSet<PeerNumber>) {
        let Some(replica) = group.replica() else { return };
        let roster = Rc::new(self.cluster.roster.borrow().clone());
        let members = replica.members();
        let may_hand_over = group.may_hand_over(clock::monotonic());
        let needed = match group.id {
            GroupId::REGISTRY => self.shards().and_then(|shards| shards.named_by_others()),
            _ => Some(BTreeSet::new()),
        };
        // Not every shard has looked yet.
        let Some(needed) = &needed else { return };
        let situation = Situation { roster: &roster, members: &members, me: group.me, connected, needed, may_hand_over };
        match situation.step() {
            Step::Nothing => group.steering.settled(),
            Step::Wait(wait) => {
                if group.steering.should_tell(&wait.to_string(), clock::monotonic()) {
                    tracing::info!(group = %group.id, reason = %wait, "the group waits with its next change of members");
                }
            }
            step => {
                let (shard, group) = (Rc::clone(self), Rc::clone(group));
                executor::spawn(async move {
                    if group.make(step, &roster).await {
                        // The next step need not wait for its turn.
                        shard.cluster.changed.call();
                    }
                });
            }
        }
    }
}

impl Group {
    /// Makes a step; `true`: it was made.
    async fn make(self: &Rc<Self>, step: Step, roster: &Roster) -> bool {
        if let Step::HandOver(to) = step {
            let moved = self.hand_over(to).await;
            return self.log_step(step, moved.map_err(|e| e.to_string()));
        }
        if self.steering.busy.replace(true) {
            return false;
        }
        let outcome = match select(pin!(self.change(step, roster)), pin!(executor::sleep(STEP_MAX))).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err(format!("not done within {} s", STEP_MAX.as_secs())),
        };
        self.steering.busy.set(false);
        self.log_step(step, outcome)
    }

    async fn change(&self, step: Step, roster: &Roster) -> Result<(), String> {
        let Some(replica) = self.replica() else { return Ok(()) };
        let made = match step {
            Step::FinishChange => replica.finish_change().await,
            Step::AddLearner(peer) => {
                let address = roster.member(peer).map(|member| member.address.as_str()).unwrap_or_default();
                replica.add_learner(peer, address).await
            }
            Step::Promote(peer) => replica.promote(peer).await,
            Step::RemoveVoter(peer) => replica.remove_voter(peer).await,
            Step::RemoveLearner(peer) => replica.remove_learner(peer).await,
            Step::HandOver(_) | Step::Nothing | Step::Wait(_) => Ok(()),
        };
        made.map_err(|e| e.to_string())
    }

    fn log_step(&self, step: Step, outcome: Result<(), String>) -> bool {
        match &outcome {
            Ok(()) => {
                self.steering.settled();
                tracing::info!(group = %self.id, ?step, "a step towards the members of the cluster");
            }
            Err(error) => {
                if self.steering.should_tell(&format!("{step:?}: {error}"), clock::monotonic()) {
                    tracing::warn!(group = %self.id, ?step, error, "a step towards the members of the cluster was not made");
                }
            }
        }
        outcome.is_ok()
    }
}
