//! Consumers that go while nobody leads their group as far as is known here, or whose leader steps aside before it hears of it: what they
//! held is given up by name, at whoever leads next. Else it would be with nobody until the leases lapse.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use z4_model::ids::{GroupId, Namespace};

use crate::runtime::executor;
use crate::runtime::maps::HashMap;
use crate::shard::api::{Delivered, Rejection, Settle, SettleError, Verdict};
use crate::shard::delivery::ConsumerId;
use crate::shard::group::Group;
use crate::shard::handle::Shards;
use crate::shard::message::{Held, Message};

/// So many deliveries are given up in one request.
const AT_ONCE: usize = 1_000;

/// Where nobody leads for as long as a request may take, it is tried again after this, so often. Then the leases lapse.
const AGAIN: Duration = Duration::from_secs(1);
const TRIES_MAX: usize = 20;

/// What is to be said of a delivery.
type Farewell = (Namespace, Settle);

/// How a consumer goes whose leader may not hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// Everything is given back.
    GivesBack,
    /// It broke: what it was sent first counts an attempt, the rest is given back.
    Broke,
    /// What was sent to its client stays leased, the rest is given back.
    KeepsSent,
}

/// What consumers leave behind at their seats, for as long as the leaders have not said that these are over. By the seat's name.
#[derive(Default)]
pub(super) struct Farewells(RefCell<HashMap<ConsumerId, Vec<Farewell>>>);

impl Farewells {
    /// A seat is taken.
    pub(super) fn begin(&self, seat: ConsumerId) {
        self.0.borrow_mut().insert(seat, Vec::new());
    }

    /// Deliveries came for a seat in which nobody sits any more.
    pub(super) fn late(&self, seat: ConsumerId, tasks: &[Delivered]) {
        if let Some(left) = self.0.borrow_mut().get_mut(&seat) {
            left.extend(tasks.iter().map(|task| given_up(((task.namespace.clone(), task.id, task.token), false))));
        }
    }

    /// The leader has said its last word about a seat.
    fn end(&self, seat: ConsumerId) -> Vec<Farewell> {
        self.0.borrow_mut().remove(&seat).unwrap_or_default()
    }
}

fn given_up(((namespace, id, token), blamed): (Held, bool)) -> Farewell {
    (namespace, Settle { id, token, verdict: Verdict::GivenUp { blamed } })
}

/// What is to be said of what a consumer holds, whose client was sent what has tokens up to `sent`.
fn farewells(mut held: Vec<Held>, leave: Leave, sent: u64) -> Vec<Farewell> {
    held.sort_unstable_by_key(|(_, _, token)| *token);
    if leave == Leave::KeepsSent {
        held.retain(|(_, _, token)| *token > sent);
    }
    let blamed = |place: usize, token: u64| leave == Leave::Broke && place == 0 && token <= sent;
    held.into_iter().enumerate().map(|(place, held)| given_up((held.clone(), blamed(place, held.2)))).collect()
}

impl Shards {
    /// Gives back deliveries of consumers that have gone and left their leases, for they reached nobody after all. They come again, and count no
    /// attempt.
    pub fn give_back(&self, held: Vec<Held>) {
        let mut by_group: BTreeMap<GroupId, Vec<Held>> = BTreeMap::new();
        for delivery in held {
            by_group.entry(delivery.1.group).or_default().push(delivery);
        }
        for (group, held) in by_group {
            self.post_surely(group, Message::GiveUp(group, held));
        }
    }
}

impl Group {
    /// What a consumer that goes leaves behind; nothing where its engine is here, and hears of it at once. Ask before it is forgotten.
    pub(super) fn left_by(&self, consumer: ConsumerId, leave: Leave) -> Vec<Farewell> {
        if self.engine.borrow().is_some() {
            return Vec::new();
        }
        let sent = self.subscriptions.borrow().get(&consumer).map_or(0, |s| s.sent.token());
        farewells(self.relays.holdings.borrow().of(consumer), leave, sent)
    }

    /// A consumer has gone and left its leases, and these deliveries reached nobody.
    pub(super) fn give_back(self: &Rc<Self>, held: Vec<Held>) {
        self.bid_farewell(None, farewells(held, Leave::GivesBack, 0));
    }

    /// A consumer has gone. `seat`: its leader was told, and when it says that it has stepped aside these are given up; else they are now.
    pub(super) fn bid_farewell(self: &Rc<Self>, seat: Option<ConsumerId>, left: Vec<Farewell>) {
        if let Some(seat) = seat
            && let Some(known) = self.relays.farewells.0.borrow_mut().get_mut(&seat)
        {
            return known.extend(left);
        }
        if !left.is_empty() {
            executor::spawn(Rc::clone(self).give_up(left));
        }
    }

    /// The leader is done with a seat. `heard`: it has heard how its consumer went, if it has gone.
    pub(super) fn end_farewells(self: &Rc<Self>, seat: ConsumerId, heard: bool) {
        let left = self.relays.farewells.end(seat);
        if !heard {
            self.bid_farewell(None, left);
        }
    }

    async fn give_up(self: Rc<Self>, left: Vec<Farewell>) {
        tracing::debug!(group = %self.id, tasks = left.len(), "giving up what consumers held that have gone");
        let mut by_namespace: BTreeMap<Namespace, Vec<Settle>> = BTreeMap::new();
        for (namespace, settle) in left {
            by_namespace.entry(namespace).or_default().push(settle);
        }
        for (namespace, settles) in by_namespace {
            for some in settles.chunks(AT_ONCE) {
                self.give_up_some(&namespace, some.to_vec()).await;
            }
        }
    }

    async fn give_up_some(self: &Rc<Self>, namespace: &Namespace, mut settles: Vec<Settle>) {
        for _ in 0..TRIES_MAX {
            let settled = Rc::clone(self).settle(namespace.clone(), settles.clone()).await;
            let undone = |settled: &Result<u64, SettleError>| {
                matches!(settled, Err(SettleError::Rejected(Rejection::NoLeader { .. } | Rejection::Overloaded { .. })))
            };
            settles =
                settles.into_iter().zip(&settled).filter(|(_, settled)| undone(settled)).map(|(settle, _)| settle).collect();
            if settles.is_empty() {
                return;
            }
            executor::sleep(AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use z4_model::ids::TaskId;

    use super::*;

    fn held(tokens: &[u64]) -> Vec<Held> {
        let one = |token: &u64| {
            let id = TaskId { due_ms: 1, group: GroupId(1), sequence: *token };
            (Namespace::new("n").expect("a name"), id, *token)
        };
        tokens.iter().map(one).collect()
    }

    /// Each with whether an attempt counts.
    fn left(tokens: &[u64], leave: Leave, sent: u64) -> Vec<(u64, bool)> {
        let said = |(_, settle): Farewell| (settle.token, settle.verdict == Verdict::GivenUp { blamed: true });
        farewells(held(tokens), leave, sent).into_iter().map(said).collect()
    }

    #[test]
    fn who_goes_gives_up_what_it_does_not_keep_and_is_blamed_for_one_at_most() {
        assert_eq!(left(&[7, 5, 6], Leave::GivesBack, 6), [(5, false), (6, false), (7, false)]);
        assert_eq!(left(&[7, 5, 6], Leave::Broke, 6), [(5, true), (6, false), (7, false)]);
        assert_eq!(left(&[7, 5, 6], Leave::Broke, 4), [(5, false), (6, false), (7, false)], "it was sent none of them");
        assert_eq!(left(&[7, 5, 6], Leave::KeepsSent, 5), [(6, false), (7, false)]);
        assert_eq!(left(&[7, 5, 6], Leave::KeepsSent, 7), []);
    }
}
