//! One behaviour each, told in a few entries, with the answers written out.

use bytes::Bytes;

use crate::command::{Before, Command, Create, Created, Defect, Op, OpReply, PurgeCursor, Refusal, Reply, Update};
use crate::ids::{DUE_MS_MAX, GroupId, Namespace, RequestHash, TaskId, TaskKey};
use crate::keys;
use crate::machine::testing::{MemoryStore, command, create, entry, entry_at};
use crate::machine::{ApplyError, Effect, Machine, Outcome, RESERVED_SEQUENCE, Totals, find_task};
use crate::rows::namespace::NamespaceRow;
use crate::rows::registry;
use crate::settings::{Settings, SettingsPatch};

const GROUP: GroupId = GroupId(1);

/// One replica.
struct Replica {
    store: MemoryStore,
    machine: Machine,
    index: u64,
}

impl Replica {
    fn new(group: GroupId) -> Self {
        let mut store = MemoryStore::strict();
        let machine = Machine::load(group, &mut store).expect("empty");
        Replica { store, machine, index: 0 }
    }

    fn entry(&mut self, stamp_ms: u64, commands: Vec<Command>) -> Outcome {
        self.apply(&entry(stamp_ms, commands))
    }

    fn apply(&mut self, entry: &Bytes) -> Outcome {
        self.index += 1;
        let outcome = self.machine.apply(&mut self.store, self.index, entry).expect("applies");
        // A copy: what is read of it does not count.
        self.machine.check(&mut self.store.clone());
        outcome
    }

    /// One command in namespace "a".
    fn run(&mut self, stamp_ms: u64, ops: Vec<Op>) -> Reply {
        self.entry(stamp_ms, vec![command("a", ops)]).replies.remove(0)
    }

    /// The same by a leader whose clock is not the stamp.
    fn run_at(&mut self, times: (u64, u64), ops: Vec<Op>) -> Reply {
        self.apply(&entry_at(times, vec![command("a", ops)])).replies.remove(0)
    }

    fn created(&mut self, stamp_ms: u64, op: Op) -> Created {
        created(self.run(stamp_ms, vec![op]))
    }

    fn created_at(&mut self, times: (u64, u64), op: Op) -> Created {
        created(self.run_at(times, vec![op]))
    }

    fn low_water_ms(&self) -> u64 {
        let row = &self.store.rows()[&keys::namespace(&command("a", vec![]).namespace)];
        NamespaceRow::decode(row).expect("a row").low_water_ms
    }
}

fn created(reply: Reply) -> Created {
    match reply.expect("created").remove(0) {
        OpReply::Created(created) => created,
        other => panic!("{other:?}"),
    }
}

fn requested(namespace: &str, id: &str, due_ms: u64) -> Op {
    let request = Some(RequestHash::new(&command(namespace, vec![]).namespace, id));
    Op::Create(Create { request, due_ms, asked_ms: None, sequence: 0, metadata: Bytes::new(), payload: Bytes::new() })
}

fn change(id: TaskId) -> Update {
    Update { id, expected_version: 0, due_ms: None, metadata: None, payload: None, revive: false, fence: 0 }
}

/// An id tells due time, group, log index and position. A due time before the stamp becomes the stamp.
#[test]
fn ids_come_from_index_and_position() {
    let mut replica = Replica::new(GROUP);
    replica.entry(50, vec![]);
    let outcome = replica.entry(100, vec![command("a", vec![create(7, b"")]), command("b", vec![create(900, b"")])]);
    let id = |due_ms, position: u64| TaskId { due_ms, group: GROUP, sequence: 2 << 16 | position };
    let created = |id| Ok(vec![OpReply::Created(Created { id, created_ms: 100, duplicate: false })]);
    assert_eq!(outcome.replies, vec![created(id(100, 0)), created(id(900, 1))]);
    assert_eq!(replica.machine.totals(), Totals { live: 2, dead: 0 });
}

/// One entry with a clock an hour ahead, and the clock is set right: what is due now is due now, the times that people see are right,
/// and nothing that is remembered is forgotten early or for ever.
#[test]
fn a_clock_that_was_ahead_puts_off_nothing() {
    const HOUR: u64 = 3_600_000;
    let mut replica = Replica::new(GROUP);
    replica
        .run(10, vec![Op::Configure(SettingsPatch { idempotency_window_ms: Some(1_000), ..Default::default() })])
        .expect("set");
    replica.created(HOUR, create(0, b""));
    let first = replica.created_at((HOUR, 100), requested("a", "x", 0));
    assert_eq!((first.id.due_ms, first.created_ms), (100, 100));
    let retried =
        replica.run_at((HOUR, 120), vec![Op::Retry { key: first.id.home(), due_ms: 120, error: Bytes::new(), of: None }]);
    assert_eq!(retried, Ok(vec![OpReply::Retried { dead: false }]));
    let moved = replica.run_at((HOUR, 130), vec![Op::Update(Update { due_ms: Some(0), ..change(first.id) })]).expect("updated");
    let [OpReply::Updated(row)] = &moved[..] else { panic!("{moved:?}") };
    assert_eq!((row.key.due_ms, row.record.last_retry_ms), (130, 120));
    let again = Created { duplicate: true, ..first };
    assert_eq!(replica.created_at((HOUR + 999, 1_099), requested("a", "x", 0)), again);
    assert!(!replica.created_at((HOUR + 1_000, 1_100), requested("a", "x", 0)).duplicate);
    assert_eq!(replica.machine.last_stamp_ms(), HOUR + 1_000);
}

/// A leader whose clock went back stamps lower; the machine's time does not go back with it.
#[test]
fn time_never_goes_back() {
    let mut replica = Replica::new(GROUP);
    replica.entry(100, vec![]);
    assert_eq!(replica.created(90, create(0, b"")).created_ms, 100);
    assert_eq!(replica.machine.last_stamp_ms(), 100);
}

/// The id of an asynchronous create was told before the entry was written: due time and sequence stay as they were told, even below
/// the low-water mark, which follows.
#[test]
fn reserved_ids_are_kept() {
    let mut replica = Replica::new(GROUP);
    let first = replica.created(100, create(100, b""));
    replica.run(200, vec![Op::Ack { id: first.id, key: first.id.home(), rewritten: false, token: 0 }]).expect("acked");
    replica.run(300, vec![Op::LowWater { due_ms: 1_000 }]).expect("set");
    assert_eq!(replica.low_water_ms(), 300);
    let sequence = RESERVED_SEQUENCE | 7;
    let reserved = |sequence| {
        Op::Create(Create { request: None, due_ms: 250, asked_ms: None, sequence, metadata: Bytes::new(), payload: Bytes::new() })
    };
    assert_eq!(replica.created(400, reserved(sequence)).id, TaskId { due_ms: 250, group: GROUP, sequence });
    assert_eq!(replica.low_water_ms(), 250);
    assert!(matches!(replica.run(400, vec![reserved(7)]), Err(Refusal::Malformed(_))));
}

/// A producer sends a time of last year: the task is due at once, with its place among those of today, and says what the producer said
/// until it is tried again or moved. An entry of an older z4, which says nothing of it, gives the bytes that it gave.
#[test]
fn a_past_due_time_is_kept_as_it_was_sent() {
    let mut replica = Replica::new(GROUP);
    let past = |due_ms, asked_ms, sequence| {
        Op::Create(Create { request: None, due_ms, asked_ms, sequence, metadata: Bytes::new(), payload: Bytes::new() })
    };
    let due = |replica: &mut Replica, id: TaskId| {
        let row = find_task(&mut replica.store, &Namespace::new("a").expect("valid"), id).expect("readable").expect("there");
        (row.key.due_ms, row.record.due_ms(row.key))
    };
    let id = replica.created(100, past(7, Some(7), 0)).id;
    assert_eq!(due(&mut replica, id), (100, 7));
    let reserved = replica.created(110, past(105, Some(7), RESERVED_SEQUENCE | 9)).id;
    assert_eq!(due(&mut replica, reserved), (105, 7));
    let future = replica.created(120, past(500, Some(500), 0)).id;
    assert_eq!(due(&mut replica, future), (500, 500));
    let old = replica.created(120, past(7, None, 0)).id;
    assert_eq!(due(&mut replica, old), (120, 120));
    replica.run(130, vec![Op::Retry { key: id.home(), due_ms: 200, error: Bytes::new(), of: None }]).expect("tried");
    assert_eq!(due(&mut replica, id), (200, 200));
    replica.run(140, vec![Op::Update(Update { due_ms: Some(0), ..change(reserved) })]).expect("moved");
    assert_eq!(due(&mut replica, reserved), (140, 140));
    let untouched = replica.created(150, past(7, Some(7), 0)).id;
    replica.run(160, vec![Op::Update(change(untouched))]).expect("changed");
    assert_eq!(due(&mut replica, untouched), (150, 7), "a change of something else leaves it");
}

/// The mark must not pass a live row, which would then never be delivered.
#[test]
fn low_water_never_passes_a_live_row() {
    let mut replica = Replica::new(GROUP);
    replica.created(100, create(150, b""));
    replica.created(100, create(180, b""));
    replica.run(500, vec![Op::LowWater { due_ms: 400 }]).expect("set");
    assert_eq!(replica.low_water_ms(), 150);
    replica.run(500, vec![Op::LowWater { due_ms: 120 }]).expect("set");
    assert_eq!(replica.low_water_ms(), 150);
}

/// The same request id gives the same task, in one command, in one entry, later, and after a restart; until the window is over.
#[test]
fn a_request_id_makes_one_task() {
    let mut replica = Replica::new(GROUP);
    replica
        .run(50, vec![Op::Configure(SettingsPatch { idempotency_window_ms: Some(1_000), ..Default::default() })])
        .expect("set");
    let twice = vec![requested("a", "r", 500), requested("a", "r", 600)];
    let outcome = replica.entry(100, vec![command("a", twice), command("a", vec![requested("a", "r", 0)])]);
    let id = TaskId { due_ms: 500, group: GROUP, sequence: 2 << 16 };
    let first = OpReply::Created(Created { id, created_ms: 100, duplicate: false });
    let again = Created { id, created_ms: 100, duplicate: true };
    assert_eq!(outcome.replies, vec![Ok(vec![first, OpReply::Created(again)]), Ok(vec![OpReply::Created(again)])]);
    assert_eq!(outcome.effects.len(), 1);
    assert!(!replica.created(200, requested("b", "r", 0)).duplicate, "another namespace's id is another id");

    replica.machine = Machine::load(GROUP, &mut replica.store).expect("loads");
    assert_eq!(replica.created(1_099, requested("a", "r", 0)), again);
    assert!(!replica.created(1_100, requested("a", "r", 0)).duplicate);
    replica.entry(10_000, vec![]);
    assert!(!replica.store.rows().keys().any(|key| key[0] == keys::IDEMPOTENCY), "expired blocks must go");
}

/// When one operation is refused, none of the command has happened, request ids included.
#[test]
fn a_refused_command_leaves_nothing_behind() {
    let mut replica = Replica::new(GROUP);
    let task = replica.created(100, create(500, b"")).id;
    let (rows, hash) = (replica.store.rows().clone(), replica.machine.state_hash());
    let wrong = Op::Delete { id: task, expected_version: 2 };
    let patch = SettingsPatch { paused: Some(true), ..Default::default() };
    let ops = vec![requested("a", "r", 0), Op::Configure(patch), Op::Update(change(task)), wrong.clone()];
    let refused = replica.entry(100, vec![command("a", ops)]);
    assert_eq!(refused.replies, vec![Err(Refusal::Malformed(Defect::ROW_TWICE))]);
    let outcome = replica.entry(100, vec![command("a", vec![requested("a", "r", 0), Op::Configure(patch), wrong])]);
    assert_eq!(outcome.replies, vec![Err(Refusal::VersionMismatch { id: task, expected: 2, found: 1 })]);
    assert!(outcome.effects.is_empty());
    assert_eq!((replica.store.rows(), replica.machine.state_hash()), (&rows, hash));
    assert!(!replica.created(100, requested("a", "r", 0)).duplicate);
}

/// A task is retried until its attempts are used up, is found by its id all the time, and lives again when it is revived.
#[test]
fn a_task_dies_and_is_revived() {
    let mut replica = Replica::new(GROUP);
    replica.run(50, vec![Op::Configure(SettingsPatch { max_attempts: Some(2), ..Default::default() })]).expect("set");
    let id = replica.created(100, create(0, b"x")).id;
    let name = command("a", vec![]).namespace;
    let retry = |key| Op::Retry { key, due_ms: 300, error: Bytes::from_static(b"no"), of: None };
    assert_eq!(replica.run(200, vec![retry(id.home())]), Ok(vec![OpReply::Retried { dead: false }]));
    let moved = TaskKey { due_ms: 300, sequence: id.sequence };
    let row = find_task(&mut replica.store, &name, id).expect("readable").expect("there");
    assert_eq!((row.key, row.dead, row.record.attempts, row.record.last_retry_ms), (moved, false, 1, 200));

    let outcome = replica.entry(400, vec![command("a", vec![retry(moved)])]);
    assert_eq!(outcome.replies, vec![Ok(vec![OpReply::Retried { dead: true }])]);
    assert!(outcome.effects.is_empty());
    assert_eq!(replica.machine.totals(), Totals { live: 0, dead: 1 });

    let outcome = replica.entry(500, vec![command("a", vec![Op::Update(Update { revive: true, ..change(id) })])]);
    let key = TaskKey { due_ms: 500, sequence: id.sequence };
    assert!(matches!(&outcome.effects[..], [Effect::Added { key: at, .. }] if *at == key), "{:?}", outcome.effects);
    let row = find_task(&mut replica.store, &name, id).expect("readable").expect("there");
    assert_eq!((row.key, row.dead, row.record.attempts, row.record.version), (key, false, 0, 2));

    let ack = Op::Ack { id, key, rewritten: row.record.rewritten, token: 0 };
    assert_eq!(replica.run(600, vec![ack]), Ok(vec![OpReply::Acked]));
    assert_eq!(replica.store.rows().keys().map(|key| key[0]).collect::<Vec<_>>(), [keys::META, keys::NAMESPACE]);
}

/// A task that comes back to a place where it was before must be deleted strongly: the store panics at a weak delete.
#[test]
fn a_task_that_returns_home_is_deleted_strongly() {
    let mut replica = Replica::new(GROUP);
    let id = replica.created(100, create(500, b"")).id;
    for due_ms in [700, 500] {
        replica.run(200, vec![Op::Update(Update { due_ms: Some(due_ms), ..change(id) })]).expect("moved");
    }
    assert!(!replica.store.rows().keys().any(|key| key[0] == keys::MOVED), "it is where its id says");
    replica.run(300, vec![Op::Delete { id, expected_version: 3 }]).expect("deleted");
    assert_eq!(replica.machine.totals(), Totals::default());
}

/// A moved task stands where another id would have its home: that id, which was never given out, must not find it.
#[test]
fn an_id_that_was_never_given_out_finds_nothing() {
    let mut replica = Replica::new(GROUP);
    let id = replica.created(100, create(500, b"")).id;
    replica.run(200, vec![Op::Update(Update { due_ms: Some(700), ..change(id) })]).expect("moved");
    let forged = TaskId { due_ms: 700, ..id };
    let refused = replica.run(200, vec![Op::Delete { id: forged, expected_version: 0 }]);
    assert_eq!(refused, Err(Refusal::NotFound { namespace: command("a", vec![]).namespace, id: forged }));
}

/// A purge takes some at a time, live ones first, and says when nothing is left.
#[test]
fn a_purge_goes_in_steps() {
    let mut replica = Replica::new(GROUP);
    replica.run(50, vec![Op::Configure(SettingsPatch { max_attempts: Some(1), ..Default::default() })]).expect("set");
    let dead = replica.created(100, create(0, b"")).id;
    replica.run(100, vec![Op::Retry { key: dead.home(), due_ms: 0, error: Bytes::new(), of: None }]).expect("dead");
    replica.run(100, (0..150).map(|i| create(200 + i, b"")).collect()).expect("created");
    let mut purge = |limit| {
        let outcome = replica.entry(300, vec![command("a", vec![Op::Purge { limit }])]);
        (outcome.replies[0].clone().expect("purged").remove(0), outcome.effects.len(), replica.machine.totals())
    };
    let purged = |removed| OpReply::Purged { removed };
    assert_eq!(purge(100), (purged(100), 100, Totals { live: 50, dead: 1 }));
    assert_eq!(purge(100), (purged(51), 50, Totals { live: 0, dead: 0 }));
    assert_eq!(purge(100), (purged(0), 0, Totals { live: 0, dead: 0 }));
    assert_eq!(replica.low_water_ms(), 300);
    assert!(matches!(replica.run(300, vec![Op::Purge { limit: 1 }, create(0, b"")]), Err(Refusal::Malformed(_))));
}

/// Steps of a purge that each read again what earlier ones removed cost a thousand times as much at the end as at the begin, on every
/// replica. Here all tasks are due at two moments, so that the low-water mark alone does not help; and a producer goes on.
#[test]
fn no_step_of_a_purge_reads_what_earlier_ones_removed() {
    let mut replica = Replica::new(GROUP);
    replica.run(50, vec![Op::Configure(SettingsPatch { max_attempts: Some(1), ..Default::default() })]).expect("set");
    let doomed: Vec<_> = (0..400).map(|_| replica.created(100, create(0, b"")).id).collect();
    doomed.iter().for_each(|id| {
        replica.run(100, vec![Op::Retry { key: id.home(), due_ms: 0, error: Bytes::new(), of: None }]).expect("dead");
    });
    replica.run(160, vec![Op::LowWater { due_ms: 160 }]).expect("set");
    replica.run(160, (0..1_000).map(|i| create(200 + i / 900, b"")).collect()).expect("created");
    let (mut from, mut removed, mut steps) = (PurgeCursor::START, 0, 0);
    loop {
        let before = replica.store.tombstones_passed();
        let step = replica.run(160, vec![Op::PurgeFrom { from, limit: 100 }]).expect("purged");
        let [OpReply::PurgedTo { removed: some, next, left }] = step[..] else { panic!("{step:?}") };
        let passed = replica.store.tombstones_passed() - before;
        assert!(passed <= 1, "step {steps} passed {passed} rows that were gone");
        removed += some;
        steps += 1;
        replica.created(160, create(180, b"late"));
        match next {
            Some(next) => from = next,
            None => {
                // What came behind the cursor is told, and a second pass finds it.
                assert_eq!((removed, left), (1_400, steps - 1));
                break;
            }
        }
    }
    let step = replica.run(160, vec![Op::PurgeFrom { from: PurgeCursor::START, limit: 100 }]).expect("purged");
    assert_eq!(step, [OpReply::PurgedTo { removed: steps as u32, next: None, left: 0 }]);
    assert_eq!((replica.low_water_ms(), replica.machine.totals()), (180, Totals::default()));
}

/// A namespace that is not used any more goes with all that it costs; one that has a task stays.
#[test]
fn a_namespace_goes_when_it_is_empty() {
    let mut replica = Replica::new(GROUP);
    let drop = || vec![Op::DropNamespace];
    assert_eq!(replica.run(100, drop()), Ok(vec![OpReply::NamespaceDropped { existed: false }]));
    replica.run(100, vec![Op::Configure(SettingsPatch { max_attempts: Some(1), ..Default::default() })]).expect("set");
    let id = replica.created(100, create(0, b"")).id;
    assert_eq!(replica.machine.namespaces_count(), 1);
    let namespace = command("a", vec![]).namespace;
    let refused = |live, dead| Err(Refusal::NotEmpty { namespace: namespace.clone(), live, dead });
    assert_eq!(replica.run(100, drop()), refused(1, 0));
    replica.run(100, vec![Op::Retry { key: id.home(), due_ms: 0, error: Bytes::new(), of: None }]).expect("dead");
    assert_eq!(replica.run(100, drop()), refused(0, 1));
    replica.run(100, vec![Op::Delete { id, expected_version: 0 }]).expect("deleted");
    assert_eq!(replica.run(100, drop()), Ok(vec![OpReply::NamespaceDropped { existed: true }]));
    assert_eq!(replica.store.rows().keys().collect::<Vec<_>>(), [&keys::meta()]);
    assert_eq!(replica.machine.namespaces_count(), 0);
    // It may come again, and has the defaults.
    let Ok(replies) = replica.run(100, vec![Op::Configure(SettingsPatch::default())]) else { panic!("configured") };
    assert!(matches!(&replies[..], [OpReply::Configured(row)] if row.settings.max_attempts == Settings::default().max_attempts));
    assert_eq!(replica.machine.namespaces_count(), 1);
}

/// What cannot be is refused, and touches no namespace.
#[test]
fn impossible_commands_are_refused() {
    let mut replica = Replica::new(GROUP);
    let id = TaskId { due_ms: 5, group: GROUP, sequence: 1 };
    let elsewhere = TaskId { group: GroupId(2), ..id };
    let not_found = |id| Err(Refusal::NotFound { namespace: command("a", vec![]).namespace, id });
    let register = Op::Register { key: Bytes::new(), value: Bytes::new(), before: Before::Any };
    assert_eq!(replica.run(9, vec![Op::Update(change(id))]), not_found(id));
    assert_eq!(replica.run(9, vec![Op::Delete { id: elsewhere, expected_version: 0 }]), not_found(elsewhere));
    assert_eq!(replica.run(9, vec![Op::Retry { key: id.home(), due_ms: 0, error: Bytes::new(), of: None }]), not_found(id));
    assert_eq!(replica.run(9, vec![Op::Ack { id: elsewhere, key: id.home(), rewritten: false, token: 0 }]), not_found(elsewhere));
    assert!(matches!(replica.run(9, vec![create(DUE_MS_MAX + 1, b"")]), Err(Refusal::Malformed(_))));
    assert!(matches!(replica.run(9, vec![register]), Err(Refusal::Malformed(_))));
    let patch = SettingsPatch { lease_ms: Some(1), ..Default::default() };
    assert!(matches!(replica.run(9, vec![Op::Configure(patch)]), Err(Refusal::Setting(_))));
    assert_eq!(replica.run(9, vec![Op::Purge { limit: 5 }]), Ok(vec![OpReply::Purged { removed: 0 }]));
    assert_eq!(replica.run(9, vec![Op::LowWater { due_ms: 5 }]), Ok(vec![OpReply::LowWater]));
    assert_eq!(replica.store.rows().keys().collect::<Vec<_>>(), [&keys::meta()]);
}

/// An entry has 65,536 sequences: one more create would give two tasks one id.
#[test]
fn an_entry_does_not_run_out_of_sequences_silently() {
    let mut replica = Replica::new(GROUP);
    let half = |n| command("a", (0..n).map(|_| create(0, b"")).collect());
    let replies = replica.entry(100, vec![half(32_768), half(32_769), half(32_768), half(1)]).replies;
    assert_eq!(replies.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, false]);
    assert_eq!(replica.machine.totals().live, 65_536);
}

/// Group 0 keeps the registry's rows and nothing else.
#[test]
fn the_registry_keeps_rows() {
    let mut replica = Replica::new(GroupId::REGISTRY);
    let register = |key: &'static [u8], value: &'static [u8], before| Op::Register {
        key: Bytes::from_static(key),
        value: Bytes::from_static(value),
        before,
    };
    let was = |value: &'static [u8]| Before::Value(Bytes::from_static(value));
    let mut run = |ops| replica.entry(5, vec![Command { namespace: registry::namespace(), ops }]).replies.remove(0);
    assert_eq!(run(vec![register(b"peer/1", b"x", was(b""))]), Err(Refusal::Exists), "nothing is not an empty value");
    assert_eq!(run(vec![register(b"peer/1", b"x", Before::Absent)]), Ok(vec![OpReply::Registered]));
    let both = vec![register(b"slots", b"y", Before::Any), register(b"peer/1", b"z", Before::Absent)];
    assert_eq!(run(both), Err(Refusal::Exists));
    assert_eq!(run(vec![register(b"peer/1", b"z", was(b"y"))]), Err(Refusal::Exists), "somebody changed it");
    assert_eq!(run(vec![register(b"peer/1", b"y", was(b"x"))]), Ok(vec![OpReply::Registered]));
    assert_eq!(run(vec![register(b"peer/1", b"z", Before::Any)]), Ok(vec![OpReply::Registered]));
    let twice = vec![register(b"k", b"", Before::Any), register(b"k", b"", Before::Absent)];
    assert!(matches!(run(twice), Err(Refusal::Malformed(_))));
    assert!(matches!(run(vec![create(0, b"")]), Err(Refusal::Malformed(_))));
    let rows = replica.store.rows();
    assert_eq!(rows.keys().collect::<Vec<_>>(), [&keys::meta(), &keys::registry(b"peer/1")]);
    assert_eq!(rows[&keys::registry(b"peer/1")], Bytes::from_static(b"z"));
}

/// Damage stops the replica; it is not taken for an answer.
#[test]
fn damage_is_fatal() {
    let mut replica = Replica::new(GROUP);
    let id = replica.created(100, create(500, b"")).id;
    let garbage = replica.machine.apply(&mut replica.store, 9, &Bytes::from_static(b"\xff"));
    assert!(matches!(garbage, Err(ApplyError::Entry(_))));
    let name = command("a", vec![]).namespace;
    crate::machine::Store::put(&mut replica.store, keys::task(&name, id.home()), Bytes::from_static(b"\xff"));
    let bytes = entry(100, vec![command("a", vec![Op::Update(change(id))])]);
    assert!(matches!(replica.machine.apply(&mut replica.store, 10, &bytes), Err(ApplyError::Row(_))));
}

/// The leader vouches for its acks. Should it ever be wrong, counts stop at 0 and the replica goes on.
#[test]
fn an_ack_of_nothing_is_harmless() {
    let mut replica = Replica::new(GROUP);
    let id = TaskId { due_ms: 5, group: GROUP, sequence: 1 };
    assert_eq!(replica.run(9, vec![Op::Ack { id, key: id.home(), rewritten: true, token: 0 }]), Ok(vec![OpReply::Acked]));
    assert_eq!(replica.machine.totals(), Totals::default());
}
