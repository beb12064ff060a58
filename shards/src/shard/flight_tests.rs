//! What becomes of commands that came back undone. Tried again although it may have been done, a delete could remove what somebody
//! created meanwhile; given up although it was not, a producer would see errors that a leader's change need not cause; put back in another
//! place, a producer's tasks would change their order.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use z4_model::command::{Command, Create, Created, Op, OpReply};
use z4_model::ids::{GroupId, Namespace, RequestHash, TaskId};
use z4_model::settings::Settings;

use crate::link::Links;
use crate::metrics::Metrics;
use crate::partition::{Partition, PartitionOptions};
use crate::runtime::executor;
use crate::runtime::testing::run;
use crate::shard::api::{Answered, Rejection};
use crate::shard::batcher::{BatchLimits, Batcher, Route};
use crate::shard::flight::Landed;
use crate::shard::queue::{Bound, Done};
use crate::storage::Storage;

const GROUP: GroupId = GroupId(1);

/// A batcher whose replica is the test.
struct Stage {
    batcher: Rc<Batcher>,
    /// What the senders heard: the command's number, and how it ended.
    heard: Rc<RefCell<Vec<(u64, &'static str)>>>,
    _dir: tempfile::TempDir,
}

impl Stage {
    async fn new(limits: BatchLimits) -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir");
        let storage = Storage::start("test-store").expect("storage");
        let path = dir.path().to_owned();
        storage
            .call(move |partitions| {
                partitions.insert(GROUP, Partition::open(&path, GROUP, &PartitionOptions::default()).expect("open"));
            })
            .await;
        let batcher = Batcher::new(GROUP, limits, Metrics::new("test").expect("metrics"), (Links::default(), storage));
        batcher.set_route(Route::Here { term: 1 });
        Stage { batcher, heard: Rc::default(), _dir: dir }
    }

    fn submit(&self, n: u64, op: Op, bound: Bound) {
        let heard = Rc::clone(&self.heard);
        let done = move |result: Result<Answered<_>, Rejection>| {
            let how = match result {
                Ok(_) => "done",
                Err(Rejection::NoLeader { .. }) => "not done",
                Err(Rejection::Unknown { .. }) => "unknown",
                Err(Rejection::Overloaded { .. }) => "overloaded",
                Err(_) => "else",
            };
            heard.borrow_mut().push((n, how));
        };
        let command = Command { namespace: Namespace::new("a").expect("valid"), ops: vec![op] };
        self.batcher.submit(command, bound, None, Done::call(done));
    }

    /// What leaves next, by number; an empty list: nothing.
    fn leaves(&self) -> (u64, Vec<u64>) {
        let before = self.batcher.flights.borrow().len();
        self.batcher.depart();
        let flights = self.batcher.flights.borrow();
        match flights.last().filter(|_| flights.len() > before) {
            Some(flight) => (flight.id, flight.commands().iter().map(number).collect()),
            None => (0, Vec::new()),
        }
    }

    fn heard(&self) -> Vec<(u64, &'static str)> {
        std::mem::take(&mut *self.heard.borrow_mut())
    }

    fn ticks(&self, forward_timeouts: u32) {
        (0..forward_timeouts * 11).for_each(|_| self.batcher.tick());
    }
}

fn create(n: u64, request: bool) -> Op {
    let request = request.then_some(RequestHash(n.into()));
    Op::Create(Create { request, due_ms: n, asked_ms: None, sequence: 0, metadata: Bytes::new(), payload: Bytes::new() })
}

fn delete(n: u64) -> Op {
    Op::Delete { id: TaskId { due_ms: n, group: GROUP, sequence: 1 }, expected_version: 0 }
}

fn number(command: &Command) -> u64 {
    match &command.ops[0] {
        Op::Create(create) => create.due_ms,
        Op::Delete { id, .. } => id.due_ms,
        other => unreachable!("{other:?}"),
    }
}

fn limits() -> BatchLimits {
    BatchLimits { commands_max: 2, in_flight_max: 2, forward_timeout: Duration::from_secs(1), ..BatchLimits::default() }
}

fn not_done() -> Landed {
    Landed::Not(Rejection::NoLeader { group: GROUP })
}

fn unknown() -> Landed {
    Landed::Not(Rejection::Unknown { group: GROUP })
}

#[test]
fn what_was_not_done_leaves_again_in_its_old_order() {
    run(async {
        let stage = Stage::new(limits()).await;
        (1..=5).for_each(|n| stage.submit(n, if n == 2 { delete(n) } else { create(n, false) }, Bound::Anywhere));
        let (first, second) = (stage.leaves(), stage.leaves());
        assert_eq!((first.1, second.1), (vec![1, 2], vec![3, 4]));
        assert!(stage.leaves().1.is_empty(), "two are on the way");
        // The later one comes back first.
        stage.batcher.land(second.0, not_done());
        assert!(stage.leaves().1.is_empty(), "not at once by the way that is closed");
        stage.batcher.land(first.0, not_done());
        stage.batcher.set_route(Route::Here { term: 2 });
        assert_eq!([stage.leaves().1, stage.leaves().1], [[1, 2], [3, 4]]);
        assert!(stage.heard().is_empty(), "nobody has to know");
    });
}

#[test]
fn of_unknown_fate_only_remembered_creates_are_tried_again() {
    run(async {
        let stage = Stage::new(BatchLimits { commands_max: 10, ..limits() }).await;
        stage.submit(1, create(1, true), Bound::Anywhere);
        stage.submit(2, create(2, false), Bound::Anywhere);
        stage.submit(3, delete(3), Bound::Anywhere);
        stage.submit(4, create(4, true), Bound::Here);
        let (flight, _) = stage.leaves();
        stage.submit(5, create(5, false), Bound::Anywhere);
        stage.batcher.land(flight, unknown());
        assert_eq!(stage.heard(), [(2, "unknown"), (3, "unknown"), (4, "unknown")]);
        stage.batcher.set_route(Route::Here { term: 2 });
        // Whether the namespace remembers long enough is read on the storage thread; nothing overtakes meanwhile.
        let (flight, again) = loop {
            let left = stage.leaves();
            if !left.1.is_empty() {
                break left;
            }
            executor::sleep(Duration::from_millis(1)).await;
        };
        assert_eq!(again, [1, 5]);
        // The first attempt may have been done, so a second one that surely was not says nothing.
        stage.batcher.land(flight, not_done());
        stage.ticks(2);
        assert_eq!(stage.heard(), [(1, "unknown"), (5, "not done")]);
    });
}

/// With a window of 100 s in place of the default 300 s a request may take 33 s; the time here is longer.
#[test]
fn a_create_that_may_be_forgotten_is_not_tried_again() {
    run(async {
        let forward_timeout = Duration::from_millis(Settings::default().idempotency_window_ms / 2);
        let stage = Stage::new(BatchLimits { forward_timeout, ..limits() }).await;
        stage.submit(1, create(1, true), Bound::Anywhere);
        let (flight, _) = stage.leaves();
        stage.batcher.land(flight, unknown());
        while stage.heard.borrow().is_empty() {
            executor::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(stage.heard(), [(1, "unknown")]);
        assert!(stage.batcher.is_idle());
    });
}

#[test]
fn everybody_hears_within_the_time() {
    run(async {
        let stage = Stage::new(BatchLimits { in_flight_max: 1, ..limits() }).await;
        (1..=3).for_each(|n| stage.submit(n, create(n, true), Bound::Anywhere));
        let (flight, left) = stage.leaves();
        assert_eq!(left, [1, 2]);
        stage.ticks(2);
        assert_eq!(stage.heard(), [(1, "unknown"), (2, "unknown"), (3, "not done")]);
        assert!(!stage.batcher.is_idle(), "the proposal's place is taken until its fate is known");
        stage.submit(4, create(4, true), Bound::Anywhere);
        assert!(stage.leaves().1.is_empty());
        let reply = |n| {
            let id = TaskId { due_ms: n, group: GROUP, sequence: n };
            Ok(vec![OpReply::Created(Created { id, created_ms: 1, duplicate: false })])
        };
        stage.batcher.land(flight, Landed::Replies(vec![reply(1), reply(2)]));
        assert!(stage.heard().is_empty(), "told once");
        assert_eq!(stage.leaves().1, [4]);
    });
}

#[test]
fn what_is_with_an_old_leader_is_given_up_soon_after_the_next_one_is_known() {
    run(async {
        let stage = Stage::new(BatchLimits { forward_timeout: Duration::from_secs(60), ..limits() }).await;
        stage.submit(1, create(1, false), Bound::Anywhere);
        stage.submit(2, create(2, true), Bound::Anywhere);
        stage.leaves();
        stage.batcher.set_route(Route::Nobody);
        stage.ticks(1);
        assert!(stage.heard().is_empty(), "as long as nobody else leads it may be done");
        stage.batcher.set_route(Route::Here { term: 2 });
        assert!(stage.leaves().1.is_empty(), "nothing overtakes it");
        stage.ticks(1);
        assert_eq!(stage.heard(), [(1, "unknown")]);
        while stage.leaves().1 != [2] {
            executor::sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn bounds_are_told_and_a_lost_leadership_ends_what_was_bound_to_it() {
    run(async {
        let stage = Stage::new(BatchLimits { waiting_max: 2, ..limits() }).await;
        stage.submit(1, create(1, false), Bound::Here);
        stage.submit(2, create(2, false), Bound::Anywhere);
        stage.submit(3, create(3, false), Bound::Anywhere);
        assert_eq!(stage.heard(), [(3, "overloaded")]);
        stage.batcher.leadership_lost();
        assert_eq!(stage.heard(), [(1, "not done")]);
        stage.batcher.close();
        stage.submit(4, create(4, false), Bound::Anywhere);
        assert_eq!(stage.heard(), [(2, "else"), (4, "else")]);
    });
}
