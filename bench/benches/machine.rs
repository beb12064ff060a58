//! The pure parts of a write, without disk and network: the bytes of an entry, keys, the slot of a namespace, and the state machine
//! on a store in memory. Every figure of the `1000` groups is for 1,000 operations: nanoseconds per task are microseconds here.
//!
//! `cargo bench -p z4-bench --bench machine`

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use z4_model::command::{Command, Create, Entry, Op, OpReply, decode_entry, encode_entry};
use z4_model::ids::{GroupId, Namespace, RequestHash, TaskId, TaskKey};
use z4_model::keys;
use z4_model::machine::testing::MemoryStore;
use z4_model::machine::{Machine, Outcome, Store, StoreError};
use z4_model::rows::record::TaskRecord;

const GROUP: GroupId = GroupId(1);
const STAMP_MS: u64 = 1_760_000_000_000;
const TASKS: u64 = 1_000;

/// A store that takes everything and has nothing: what is left is the cost of the machine.
struct NoStore;

impl Store for NoStore {
    fn get(&mut self, _key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(None)
    }

    fn put(&mut self, key: Bytes, value: Bytes) {
        black_box((key, value));
    }

    fn delete(&mut self, key: Bytes, weak: bool) {
        black_box((key, weak));
    }

    fn scan(&mut self, _from: &[u8], _until: &[u8], _limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        Ok(Vec::new())
    }
}

fn namespace(i: u64) -> Namespace {
    Namespace::new(&format!("welcome-emails-{}", i % 16)).expect("valid")
}

fn create(i: u64, request: bool) -> Op {
    let request = request.then(|| RequestHash::new(&namespace(0), &format!("request-{i}")));
    let payload = Bytes::from(vec![i as u8; 256]);
    Op::Create(Create { request, due_ms: STAMP_MS + i, asked_ms: None, sequence: 0, metadata: Bytes::new(), payload })
}

/// As batches: one command with all operations.
fn batch(ops: impl Iterator<Item = Op>) -> Entry {
    Entry { stamp_ms: STAMP_MS, now_ms: Some(STAMP_MS), commands: vec![Command { namespace: namespace(0), ops: ops.collect() }] }
}

/// As unary calls: one command each, over 16 namespaces.
fn singles(ops: impl Iterator<Item = Op>) -> Entry {
    let commands = (0..).zip(ops).map(|(i, op)| Command { namespace: namespace(i), ops: vec![op] });
    Entry { stamp_ms: STAMP_MS, now_ms: Some(STAMP_MS), commands: commands.collect() }
}

fn entries() -> [(&'static str, Entry); 4] {
    let key = |i| TaskKey { due_ms: STAMP_MS + i, sequence: 1_000_000 << 16 | i };
    let ack = |i| {
        let TaskKey { due_ms, sequence } = key(i);
        Op::Ack { id: TaskId { due_ms, group: GROUP, sequence }, key: key(i), rewritten: false, token: 0 }
    };
    [
        ("create/batch", batch((0..TASKS).map(|i| create(i, false)))),
        ("create/single", singles((0..TASKS).map(|i| create(i, false)))),
        ("create/request_id", batch((0..TASKS).map(|i| create(i, true)))),
        ("ack/batch", batch((0..TASKS).map(ack))),
    ]
}

fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("entry_1000");
    group.throughput(Throughput::Elements(TASKS));
    for (name, entry) in entries() {
        let bytes = encode_entry(&entry);
        group.bench_function(format!("encode/{name}"), |b| b.iter(|| encode_entry(black_box(&entry))));
        group.bench_function(format!("decode/{name}"), |b| b.iter(|| decode_entry(black_box(&bytes)).expect("an entry")));
    }
    group.finish();
}

fn apply(c: &mut Criterion) {
    let mut group = c.benchmark_group("apply_1000");
    group.throughput(Throughput::Elements(TASKS));
    // The window keeps the request ids, so what is measured with them is a producer that repeats itself.
    for (name, entry) in entries() {
        let bytes = encode_entry(&entry);
        let mut index = 1;
        let mut machine = Machine::load(GROUP, &mut NoStore).expect("empty");
        group.bench_function(format!("no_store/{name}"), |b| {
            b.iter_with_large_drop(|| {
                index += 1;
                machine.apply(&mut NoStore, index, &bytes).expect("applies")
            });
        });
    }
    // A store in memory, empty before each entry; dropping it is not measured.
    let creates = encode_entry(&entries()[0].1);
    let fresh = || {
        let mut store = MemoryStore::new();
        let machine = Machine::load(GROUP, &mut store).expect("empty");
        (machine, store)
    };
    group.bench_function("memory/create/batch", |b| {
        b.iter_batched(
            fresh,
            |(mut machine, mut store)| (machine.apply(&mut store, 1, &creates).expect("applies"), store),
            BatchSize::LargeInput,
        );
    });
    let acks = |outcome: Outcome| {
        let replies = outcome.replies.into_iter().flatten().flatten();
        let ids = replies.filter_map(|reply| if let OpReply::Created(created) = reply { Some(created.id) } else { None });
        encode_entry(&batch(ids.map(|id| Op::Ack { id, key: id.home(), rewritten: false, token: 0 })))
    };
    group.bench_function("memory/ack/batch", |b| {
        b.iter_batched(
            || {
                let (mut machine, mut store) = fresh();
                let bytes = acks(machine.apply(&mut store, 1, &creates).expect("applies"));
                (machine, store, bytes)
            },
            |(mut machine, mut store, bytes)| (machine.apply(&mut store, 2, &bytes).expect("applies"), store),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn rows(c: &mut Criterion) {
    let name = namespace(0);
    let key = TaskKey { due_ms: STAMP_MS, sequence: 1_000_000 << 16 };
    c.bench_function("slot", |b| b.iter(|| black_box(&name).slot()));
    c.bench_function("key/task", |b| b.iter(|| keys::task(black_box(&name), black_box(key))));
    let bytes = keys::task(&name, key);
    c.bench_function("key/parse_position", |b| b.iter(|| keys::parse_position(black_box(&bytes))));
    let payload = Bytes::from(vec![7; 256]);
    let record = TaskRecord { id_due_ms: STAMP_MS, created_ms: STAMP_MS, version: 1, payload, ..Default::default() };
    let row = record.encode();
    c.bench_function("record/encode", |b| b.iter(|| black_box(&record).encode()));
    c.bench_function("record/decode", |b| b.iter(|| TaskRecord::decode(black_box(&row)).expect("a record")));
}

criterion_group!(benches, codec, apply, rows);
criterion_main!(benches);
