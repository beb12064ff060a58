//! A leader hands over to another voter, with as little as possible on the way.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use z4_model::ids::PeerNumber;

use crate::raft::Replica;
use crate::runtime::{clock, executor, pace};
use crate::shard::delivery::Engine;
use crate::shard::group::Group;
use crate::shard::members::MoveError;

/// A voter that lacks more entries than these is not asked to lead.
pub(super) const LAG_MAX: u64 = 256;

/// How long the group takes no commands while the voter gets the rest of the log. Then it goes on as before.
const CATCH_UP_MAX: Duration = Duration::from_millis(1_000);

/// How long a hand-over waits for the end of claims: longer than the usual grace, and shorter than whoever stops this peer is patient.
const CLAIMS_MAX: Duration = Duration::from_secs(3);

/// How long a peer that is about to stop looks for somebody who leads in its place, and how often.
const RETIRE_MAX: Duration = Duration::from_secs(2);
const RETIRE_AGAIN: Duration = Duration::from_millis(50);

/// How long the voter may take to lead.
pub(super) const TAKE_OVER_MAX: Duration = Duration::from_secs(5);

impl Group {
    /// Has another voter lead; returns when it does. Commands that come meanwhile wait, and go to the other one once it leads.
    pub(super) async fn hand_over(self: &Rc<Self>, to: PeerNumber) -> Result<(), MoveError> {
        let replica = self.replica().filter(|_| self.leads()).ok_or(MoveError::NoLeader(self.id))?;
        if to == self.me {
            return Ok(());
        }
        self.check_fit(&replica, to)?;
        if self.steering.busy.replace(true) {
            return Err(MoveError::Unfit(format!("group {} is changing its members or its leader; try again", self.id)));
        }
        self.until_claims_end().await;
        self.batcher.hold(true);
        self.steering.moved.set(Some(clock::monotonic()));
        let moved = self.move_to(&replica, to).await;
        self.batcher.hold(false);
        self.steering.busy.set(false);
        moved
    }

    /// A leader that waits for claims itself has not the whole truth to leave: its heir would wait all over again. Mostly that ends soon.
    async fn until_claims_end(&self) {
        let until = clock::monotonic() + CLAIMS_MAX;
        while self.engine.borrow().as_ref().is_some_and(Engine::awaits_claims) && clock::monotonic() < until {
            executor::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn move_to(self: &Rc<Self>, replica: &Replica, to: PeerNumber) -> Result<(), MoveError> {
        // A voter that lacks an entry when it is asked does nothing, and the group is without a leader until the next election.
        let until = clock::monotonic() + pace::stretch(CATCH_UP_MAX);
        while self.batcher.in_flight() > 0 || replica.members().lag(to) != Some(0) {
            if clock::monotonic() >= until {
                return Err(MoveError::Unfit(format!(
                    "peer {to} does not catch up with the log of group {}; try again",
                    self.id
                )));
            }
            executor::sleep(Duration::from_millis(1)).await;
        }
        if !replica.status().leads {
            return Err(MoveError::NoLeader(self.id));
        }
        tracing::info!(group = %self.id, to, "handing over");
        if let Err(e) = self.bequeath(replica, to).await {
            // Nobody was asked to lead: it goes on with what it knew.
            self.handing_over.set(0);
            executor::spawn(Rc::clone(self).lead());
            return Err(e);
        }
        replica.ask_to_lead(to).await.map_err(|e| MoveError::Unreachable(e.to_string()))?;
        match replica.other_leader(pace::stretch(TAKE_OVER_MAX)).await {
            Some(leader) if leader == to => Ok(()),
            Some(leader) => Err(MoveError::Unfit(format!("group {}: peer {leader} was elected instead of peer {to}", self.id))),
            None => Err(MoveError::TimedOut { group: self.id, to: format!("peer {to}"), seconds: TAKE_OVER_MAX.as_secs() }),
        }
    }

    /// Has any other voter lead that can, for this peer is about to stop and leads nothing more.
    pub(super) async fn retire(self: Rc<Self>) {
        self.estates.refused.set(true);
        let until = clock::monotonic() + RETIRE_MAX;
        let mut leaving = BTreeSet::from([self.me]);
        while clock::monotonic() < until {
            let Some(replica) = self.replica().filter(Replica::leads) else { return };
            let members = replica.members();
            let mut voters: Vec<PeerNumber> = members.voters().into_iter().filter(|voter| !leaving.contains(voter)).collect();
            if voters.is_empty() {
                return;
            }
            voters.retain(|voter| self.links.reach().is_up(*voter));
            // Who has most of the log first.
            voters.sort_by_key(|voter| members.lag(*voter).unwrap_or(u64::MAX));
            for to in voters {
                match self.hand_over(to).await {
                    Ok(()) => return,
                    Err(MoveError::Leaving(_)) => drop(leaving.insert(to)),
                    Err(error) => tracing::info!(group = %self.id, to, %error, "this voter does not take over"),
                }
            }
            executor::sleep(RETIRE_AGAIN).await;
        }
        tracing::warn!(group = %self.id, "stopping as its leader: no other voter takes over");
    }

    fn check_fit(&self, replica: &Replica, to: PeerNumber) -> Result<(), MoveError> {
        let members = replica.members();
        let unfit = |what: String| Err(MoveError::Unfit(format!("peer {to} cannot lead group {}: {what}", self.id)));
        if !members.voters().contains(&to) {
            return unfit("it is not a voter there".to_owned());
        }
        if !self.links.reach().is_up(to) {
            return unfit(format!("peer {} is not connected with it", self.me));
        }
        let clock = self.links.reach().table().get(&to).and_then(|reach| reach.clock);
        match clock.map_or(0, |clock| self.links.reach().clocks().surely_outside_ms(clock)) {
            0 => {}
            ms => {
                let way = if ms > 0 { "ahead of" } else { "behind" };
                return unfit(format!(
                    "its clock is {} ms {way} what a majority of the members' clocks say; set it first",
                    ms.abs()
                ));
            }
        }
        match members.lag(to) {
            Some(lag) if lag <= LAG_MAX && replica.hangs(to) => unfit("it does not apply what was committed".to_owned()),
            Some(lag) if lag <= LAG_MAX => Ok(()),
            Some(lag) => unfit(format!("it lacks {lag} entries of the log; {LAG_MAX} are allowed")),
            None => unfit("it is not known what it has of the log".to_owned()),
        }
    }
}
