//! Numbers, not assertions: what it costs to make a partition of another one's rows. Run it with
//!
//! ```text
//! Z4_MEASURE="tasks=1000000" cargo test --release -p z4-shards --lib partition::tests::measure_transfer -- --ignored --nocapture
//! ```
//!
//! Words: `tasks`, `spread_ms` of due times (0: in the order of creation), `batches` (1: also by write batches, for comparison), `dir`.
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::{RngExt, SeedableRng};
use z4_model::command::{Command, Create, Op};
use z4_model::log::{LogEntry, LogPayload, LogPosition};
use z4_model::machine::testing::{command, entry};

use super::measure::{BASE_MS, Words, cpu, rss_mib};
use super::*;
use crate::partition::{Chunk, Partition};
use crate::runtime::clock::Instant;

/// Creates of a 256-byte payload, half of it incompressible.
fn fill(partition: &mut Partition, tasks: u64, spread_ms: u64) {
    let mut random = rand::rngs::SmallRng::seed_from_u64(1);
    for index in 1..=tasks / 1000 {
        let commands: Vec<Command> = (0..1000)
            .map(|n| {
                let mut payload = [b'{'; 256];
                random.fill(&mut payload[..128]);
                let due_ms = BASE_MS + if spread_ms == 0 { index * 5 } else { random.random_range(0..spread_ms) };
                let payload = Bytes::copy_from_slice(&payload);
                let create = Create { request: None, due_ms, asked_ms: None, sequence: 0, metadata: Bytes::new(), payload };
                command(&format!("welcome_emails{}", n % 4), vec![Op::Create(create)])
            })
            .collect();
        let position = LogPosition { term: 1, leader: 1, index };
        partition.apply(&[LogEntry { position, payload: LogPayload::Normal(entry(BASE_MS, commands)) }]).expect("it applies");
    }
    partition.persist().expect("it persists");
    while partition.tree.flushes() || partition.tree.compact().expect("it compacts") {}
}

/// Runs something, and tells what it took.
fn report<T>(name: &str, rows: u64, bytes: u64, work: impl FnOnce() -> T) -> T {
    let (before, started, threads) = (rss_mib("RssAnon"), Instant::now(), cpu());
    let (running, peak) = (AtomicBool::new(true), Mutex::new(before));
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                let now = rss_mib("RssAnon");
                let mut peak = peak.lock().expect("no panic");
                *peak = now.max(*peak);
                drop(peak);
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        });
        let done = work();
        running.store(false, Ordering::Relaxed);
        done
    });
    let seconds = started.elapsed().as_secs_f64();
    let spent: Vec<_> = cpu()
        .into_iter()
        .map(|(thread, s)| (s - threads.iter().find(|(name, _)| *name == thread).map_or(0.0, |(_, s)| *s), thread))
        .filter(|(s, _)| *s > 0.02)
        .map(|(s, thread)| format!("{thread} {s:.2}"))
        .collect();
    let peak = peak.into_inner().expect("no panic");
    println!(
        "{name}: {seconds:.2} s, {:.0} rows/s, {:.0} MB/s; memory before {before}, peak +{} MiB; CPU, s: {}",
        rows as f64 / seconds,
        bytes as f64 / seconds / 1e6,
        peak - before,
        spent.join(", ")
    );
    done
}

#[test]
#[ignore = "takes a minute; see the top of the file"]
fn measure_transfer() {
    let words = Words::from_environment();
    let tasks = words.number("tasks", 1_000_000);
    let (there, here) = (words.dir(), words.dir());
    let options = PartitionOptions::default();
    let mut source = Partition::open_current(there.path(), GroupId(1), &options).expect("it opens");
    let mut target = Partition::open_current(here.path(), GroupId(1), &options).expect("it opens");
    report("create", tasks, 0, || fill(&mut source, tasks, words.number("spread_ms", 3_600_000)));
    println!("source {} MiB on disk", source.disk_bytes().expect("known") >> 20);

    let (mut rows, mut bytes) = (0, 0);
    for chunk in source.view().chunks() {
        let chunk = chunk.expect("it reads");
        (rows, bytes) = (rows + chunk.count, bytes + chunk.rows.len() as u64);
    }
    println!("{rows} rows, {} MiB of chunks", bytes >> 20);
    report("export alone", rows, bytes, || source.view().chunks().for_each(|chunk| drop(chunk.expect("it reads"))));

    // As a transfer does it: the exporting thread and the importing one, a few chunks between them.
    let view = source.view();
    let (send, chunks) = crossbeam::channel::bounded::<Chunk>(8);
    let prepared = report("export and import", rows, bytes, || {
        let sender = std::thread::Builder::new().name("export".to_owned());
        let sender =
            sender.spawn(move || view.chunks().for_each(|chunk| send.send(chunk.expect("it reads")).expect("it is taken")));
        let draft = target.drafts().expect("a generation").begin().expect("a draft");
        let mut filling = draft.fill().expect("it takes rows");
        for chunk in chunks {
            filling.write(chunk.rows).expect("it is written");
        }
        assert_eq!(filling.close().expect("closed"), rows);
        sender.expect("it starts").join().expect("no panic");
        draft.finish(source.applied(), (None, Bytes::new())).expect("it is finished")
    });
    report("switch", 0, 0, || target.adopt(prepared).expect("adopted"));
    assert_eq!((target.state_hash(), target.totals()), (source.state_hash(), source.totals()));
    println!("target {} MiB on disk, memory {} MiB", target.disk_bytes().expect("known") >> 20, rss_mib("RssAnon"));

    if words.number("batches", 0) > 0 {
        let dir = words.dir();
        report("write batches", rows, bytes, || {
            let tree = Tree::open(dir.path(), &options).expect("it opens");
            let mut layer = Layer::default();
            for row in source.view().range(&[], &[u8::MAX]) {
                let (key, value) = row.expect("it reads");
                layer.put(key, value);
                if layer.bytes() >= 4 << 20 {
                    tree.commit(&std::mem::take(&mut layer)).expect("it commits");
                    if tree.memtable_is_full() {
                        tree.seal_memtables().expect("sealed");
                    }
                }
            }
            tree.commit(&layer).expect("it commits");
            tree.sync().expect("it syncs");
        });
    }
}
