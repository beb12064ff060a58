//! Credit must neither leak nor be used twice, whatever the order of words and deliveries, and however often leaders change with words on
//! their way. Credit that leaks makes a consumer slower and slower until it starves; credit used twice gives it more than it asked for.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use z4_model::ids::{GroupId, Namespace, TaskId, TaskKey};

use super::relay::{Grant, Relay, Taken};
use crate::shard::api::Delivered;
use crate::shard::delivery::{ConsumerId, Flow, weight};

const QUEUED_BYTES_MAX: usize = 1_000;

/// Who leads after how many changes does not matter: the seat names the leadership.
const LEADER: u64 = 2;

fn delivered() -> Delivered {
    Delivered {
        namespace: Namespace::new("a").expect("valid"),
        id: TaskId { due_ms: 1, group: GroupId(1), sequence: 1 },
        key: TaskKey { due_ms: 1, sequence: 1 },
        row: Bytes::from_static(&[0; 50]),
        attempt: 1,
        token: 1,
        deadline_ms: 1,
    }
}

/// What a leader says.
enum Word {
    Deliver(ConsumerId, usize),
    Want(ConsumerId),
    Unused(ConsumerId, u32),
}

/// A group's leader: a backlog, and the consumer's flow there.
struct Leader {
    seat: ConsumerId,
    flow: Flow,
    backlog: usize,
}

impl Leader {
    /// As the delivery engine and its shell do.
    fn serve(&mut self, says: &mut VecDeque<Word>) {
        let mut tasks = 0;
        while self.backlog > 0 && self.flow.accepts() {
            self.backlog -= 1;
            tasks += self.flow.try_take(1) as usize;
            self.flow.queue(weight(&delivered().row));
        }
        if tasks > 0 {
            says.push_back(Word::Deliver(self.seat, tasks));
        }
        if self.backlog > 0 && self.flow.park() && self.flow.wants() {
            says.push_back(Word::Want(self.seat));
        }
        let left = if self.flow.is_on_demand() { self.flow.try_take(u32::MAX) } else { 0 };
        if left > 0 {
            says.push_back(Word::Unused(self.seat, left));
        }
    }
}

/// One group of the consumer.
struct Side {
    relay: Relay,
    leader: Leader,
    /// On their way to the leader, and from it. Words of an old leader may still come.
    up: VecDeque<Grant>,
    down: VecDeque<Word>,
}

struct World {
    flow: Arc<Flow>,
    sides: Vec<Side>,
    /// Deliveries that the stream has not taken.
    queue: VecDeque<(Vec<Delivered>, Arc<Taken>)>,
    seats: u64,
    given: u64,
    used: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Credit(u32),
    Backlog(usize, usize),
    Up(usize),
    Down(usize),
    Take,
    /// Another leader; with `true` the link goes down, and what was on its way is lost.
    Change(usize, bool),
    Look(usize),
}

impl World {
    fn new(groups: usize) -> Self {
        let flow = Arc::new(Flow::new(QUEUED_BYTES_MAX));
        let mut world = World { flow: Arc::clone(&flow), sides: Vec::new(), queue: VecDeque::new(), seats: 0, given: 0, used: 0 };
        for _ in 0..groups {
            let relay = Relay::new(ConsumerId(99), Arc::clone(&flow), Arc::default(), groups > 1);
            let leader = Leader { seat: ConsumerId(0), flow: Flow::new(1), backlog: 0 };
            world.sides.push(Side { relay, leader, up: VecDeque::new(), down: VecDeque::new() });
        }
        (0..groups).for_each(|side| world.sit(side));
        world
    }

    fn sit(&mut self, side: usize) {
        self.seats += 1;
        let on_demand = self.sides.len() > 1;
        let side = &mut self.sides[side];
        let seat = ConsumerId(self.seats);
        side.relay.sit(seat, LEADER);
        // The subscription itself is lost only with the seat.
        side.leader = Leader { seat, flow: Flow::remote(QUEUED_BYTES_MAX, on_demand), backlog: side.leader.backlog };
        side.leader.serve(&mut side.down);
        self.look(self.sides.iter().position(|s| s.leader.seat == seat).expect("it is one of them"));
    }

    fn look(&mut self, side: usize) {
        let side = &mut self.sides[side];
        side.up.extend(side.relay.grant());
    }

    fn kick(&mut self) {
        (0..self.sides.len()).for_each(|side| self.look(side));
    }

    fn step(&mut self, step: &Step) {
        let n = self.sides.len();
        match *step {
            Step::Credit(tasks) => {
                self.given += u64::from(tasks);
                if self.flow.add_credit(tasks) {
                    self.kick();
                }
            }
            Step::Backlog(side, tasks) => {
                let Side { leader, down, .. } = &mut self.sides[side % n];
                leader.backlog += tasks;
                leader.serve(down);
            }
            Step::Up(side) => {
                let Side { leader, up, down, .. } = &mut self.sides[side % n];
                let Some(grant) = up.pop_front() else { return };
                if grant.seat == leader.seat {
                    let _ = leader.flow.took_bytes(grant.taken_bytes as usize);
                    let _ = leader.flow.add_credit(grant.tasks);
                    leader.serve(down);
                }
            }
            Step::Down(side) => self.hear(side % n),
            Step::Take => {
                let Some((tasks, taken)) = self.queue.pop_front() else { return };
                let room = self.flow.took(&tasks);
                if taken.add(&tasks, QUEUED_BYTES_MAX) || room {
                    self.kick();
                }
            }
            Step::Change(side, lost) => {
                let (risen, kick) = self.sides[side % n].relay.rise();
                assert!(risen.is_some());
                if lost {
                    self.sides[side % n].up.clear();
                    self.sides[side % n].down.clear();
                }
                self.sit(side % n);
                if kick {
                    self.kick();
                }
            }
            Step::Look(side) => self.look(side % n),
        }
    }

    fn hear(&mut self, side: usize) {
        let Some(word) = self.sides[side].down.pop_front() else { return };
        let relay = &mut self.sides[side].relay;
        let kick = match word {
            Word::Deliver(seat, tasks) => {
                let tasks = vec![delivered(); tasks];
                if let Some(taken) = relay.delivered(seat, &tasks) {
                    self.used += tasks.len() as u64;
                    self.queue.push_back((tasks, taken));
                }
                false
            }
            Word::Want(seat) => {
                relay.wanted(seat);
                false
            }
            Word::Unused(seat, tasks) => relay.unused(seat, tasks),
        };
        self.look(side);
        if kick {
            self.kick();
        }
    }

    fn check(&self) {
        let out: u64 = self.sides.iter().filter_map(|side| side.relay.seat()).map(|seat| seat.granted).sum();
        assert_eq!(self.given, self.used + self.flow.credit() + out, "every credit is in one place");
    }

    /// Lets everything on its way arrive, and the stream take everything.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let busy = self.sides.iter().any(|side| !side.up.is_empty() || !side.down.is_empty()) || !self.queue.is_empty();
            if !busy {
                return;
            }
            for side in 0..self.sides.len() {
                // The first side has said that it wants more by the time that another one gives back what it cannot use.
                for _ in 0..3 {
                    self.step(&Step::Up(side));
                    self.step(&Step::Down(side));
                }
            }
            self.step(&Step::Take);
            self.check();
        }
        panic!("words without end");
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1u32..20).prop_map(Step::Credit),
        3 => (0usize..3, 1usize..30).prop_map(|(side, tasks)| Step::Backlog(side, tasks)),
        6 => (0usize..3).prop_map(Step::Up),
        6 => (0usize..3).prop_map(Step::Down),
        4 => Just(Step::Take),
        1 => (0usize..3, any::<bool>()).prop_map(|(side, lost)| Step::Change(side, lost)),
        1 => (0usize..3).prop_map(Step::Look),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    #[test]
    fn credit_neither_leaks_nor_is_used_twice(groups in 1usize..4, steps in steps()) {
        let mut world = World::new(groups);
        for step in &steps {
            world.step(step);
            world.check();
        }
        // With tasks everywhere all credit is used, without any further word of the consumer.
        (0..groups).for_each(|side| world.step(&Step::Backlog(side, 10_000)));
        world.settle();
        prop_assert_eq!(world.used, world.given);
        // And the tasks of one group alone are enough.
        for side in &mut world.sides[1..] {
            side.leader.backlog = 0;
        }
        world.step(&Step::Credit(100));
        world.settle();
        prop_assert_eq!(world.used, world.given);
    }
}

#[test]
fn a_leader_that_delivers_more_than_it_was_granted_is_not_believed() {
    let flow = Arc::new(Flow::new(QUEUED_BYTES_MAX));
    let mut relay = Relay::new(ConsumerId(99), Arc::clone(&flow), Arc::default(), false);
    relay.sit(ConsumerId(1), LEADER);
    let _ = flow.add_credit(1);
    assert_eq!(relay.grant(), Some(Grant { leader: LEADER, seat: ConsumerId(1), tasks: 1, taken_bytes: 0, sent: 0 }));
    assert!(relay.delivered(ConsumerId(1), &[delivered(), delivered()]).is_none());
    assert!(relay.delivered(ConsumerId(2), &[delivered()]).is_none(), "nor one that has no seat");
    assert!(relay.delivered(ConsumerId(1), &[delivered()]).is_some());
}

/// What one group could not use is for another that waits: it must hear of it at once, for the consumer itself has nothing more to say.
#[test]
fn unused_credit_goes_to_the_group_that_waits_for_it() {
    let flow = Arc::new(Flow::new(QUEUED_BYTES_MAX));
    let (mut a, mut b) = (
        Relay::new(ConsumerId(99), Arc::clone(&flow), Arc::default(), true),
        Relay::new(ConsumerId(99), Arc::clone(&flow), Arc::default(), true),
    );
    let (at_a, at_b) = (ConsumerId(1), ConsumerId(2));
    a.sit(at_a, LEADER);
    b.sit(at_b, LEADER);
    a.wanted(at_a);
    b.wanted(at_b);
    let _ = flow.add_credit(2);
    let tasks = |grant: Option<Grant>| grant.map(|grant| grant.tasks);
    assert_eq!((tasks(a.grant()), tasks(b.grant())), (Some(1), Some(1)), "a share each");
    assert!(a.delivered(at_a, &[delivered()]).is_some());
    a.wanted(at_a);
    assert_eq!(a.grant(), None);
    assert!(b.unused(at_b, 1), "kick");
    assert_eq!(tasks(a.grant()), Some(1));
    b.wanted(at_b);
    assert_eq!(b.grant(), None);
    let (risen, kick) = a.rise();
    assert!(risen.is_some() && kick, "the same when a seat ends with credit");
    assert_eq!(tasks(b.grant()), Some(1), "all of it: nobody else waits any more");
}
