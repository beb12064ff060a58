//! Numbers, not assertions: what a partition costs. Run it with
//!
//! ```text
//! Z4_MEASURE="tasks=5000000 spread_ms=3600000" cargo test --release -p z4-shards --lib partition::tests::measure -- --ignored --nocapture
//! ```
//!
//! Words: `tasks`, `per_entry`, `entries` per run, `spread_ms` of due times (0: in the order of creation), `acks`, `rate` (offered,
//! tasks per second; 0: as fast as it goes), `namespaces`, `dir`, and the options by their names.
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::fs;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use z4_model::command::{Command, Create, Op};
use z4_model::ids::{Namespace, TaskKey};
use z4_model::log::{LogEntry, LogPayload, LogPosition};
use z4_model::machine::testing::{command, entry};

use super::*;
use crate::partition::Partition;
use crate::runtime::clock::Instant;

pub(super) const BASE_MS: u64 = 1_800_000_000_000;

pub(super) struct Words(Vec<(String, String)>);

impl Words {
    pub(super) fn from_environment() -> Self {
        let text = std::env::var("Z4_MEASURE").unwrap_or_default();
        println!("{text}");
        Words(text.split(' ').filter_map(|w| w.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect())
    }

    /// A directory, in `dir` when that is given.
    pub(super) fn dir(&self) -> TempDir {
        let place = self.0.iter().find(|(k, _)| k == "dir").map_or_else(std::env::temp_dir, |(_, v)| v.into());
        tempfile::tempdir_in(place).expect("a directory")
    }

    pub(super) fn number(&self, name: &str, default: u64) -> u64 {
        self.0.iter().find(|(k, _)| k == name).map_or(default, |(_, v)| v.parse().expect("a number"))
    }
}

/// CPU of this process by thread name, seconds.
pub(super) fn cpu() -> Vec<(String, f64)> {
    let mut found = Vec::<(String, f64)>::new();
    for task in fs::read_dir("/proc/self/task").expect("Linux").flatten() {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let name = read("comm").trim().to_owned();
        let nanos: f64 = read("schedstat").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
        match found.iter_mut().find(|(n, _)| *n == name) {
            Some((_, sum)) => *sum += nanos / 1e9,
            None => found.push((name, nanos / 1e9)),
        }
    }
    found
}

fn thread_cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|n| n.parse().ok()).expect("a number")
}

pub(super) fn rss_mib(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(what)).expect("it is there");
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).expect("a number") / 1024
}

fn quantiles(name: &str, mut micros: Vec<u64>) {
    micros.sort_unstable();
    let at = |q: f64| micros[((micros.len() - 1) as f64 * q) as usize] as f64 / 1000.0;
    println!("  {name}: n {} p50 {:.3} p99 {:.3} p99.9 {:.3} max {:.3} ms", micros.len(), at(0.5), at(0.99), at(0.999), at(1.0));
}

/// Applies runs and reports what that took.
struct Meter {
    index: u64,
    micros: Vec<u64>,
    own_cpu_ns: u64,
    rate: u64,
    started: Instant,
    tasks: u64,
    rss_max: u64,
}

impl Meter {
    fn new(index: u64, rate: u64) -> Self {
        Meter { index, micros: Vec::new(), own_cpu_ns: 0, rate, started: Instant::now(), tasks: 0, rss_max: 0 }
    }

    fn apply(&mut self, partition: &mut Partition, entries: Vec<Vec<Command>>, tasks: u64) {
        let mut run = Vec::new();
        for commands in entries {
            self.index += 1;
            let position = LogPosition { term: 1, leader: 1, index: self.index };
            run.push(LogEntry { position, payload: LogPayload::Normal(entry(BASE_MS, commands)) });
        }
        if self.rate > 0 {
            let due = Duration::from_secs_f64(self.tasks as f64 / self.rate as f64);
            std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        }
        self.tasks += tasks;
        let (cpu, before) = (thread_cpu_ns(), Instant::now());
        partition.apply(&run).expect("it applies");
        self.micros.push(before.elapsed().as_micros() as u64);
        self.own_cpu_ns += thread_cpu_ns() - cpu;
        if self.micros.len().is_multiple_of(64) {
            self.rss_max = self.rss_max.max(rss_mib("RssAnon"));
        }
    }

    fn report(self, name: &str) -> u64 {
        let seconds = self.started.elapsed().as_secs_f64();
        let tasks = self.tasks as f64;
        println!(
            "{name}: {:.0} tasks/s, storage thread {:.2} us of CPU per task, anonymous memory now {} max {} MiB, all {} MiB",
            tasks / seconds,
            self.own_cpu_ns as f64 / tasks / 1000.0,
            rss_mib("RssAnon"),
            self.rss_max,
            rss_mib("VmRSS"),
        );
        let own = self.own_cpu_ns as f64 / 1e9;
        let threads: Vec<_> = cpu().iter().map(|(n, s)| format!("{n} {:.2}", s / tasks * 1e6)).collect();
        println!("  apply alone {own:.1} s; threads since the start, us per task: {}", threads.join(", "));
        quantiles("apply of a run", self.micros);
        self.index
    }
}

#[test]
#[ignore = "takes a minute; see the top of the file"]
fn measure() {
    let words = Words::from_environment();
    let dir = words.dir();
    let defaults = PartitionOptions::default();
    let options = PartitionOptions {
        cache_bytes: words.number("cache_bytes", defaults.cache_bytes),
        memtable_bytes: words.number("memtable_bytes", defaults.memtable_bytes),
        queue_bytes_max: words.number("queue_bytes_max", defaults.queue_bytes_max as u64) as usize,
        compaction_tables: words.number("compaction_tables", defaults.compaction_tables.into()) as u8,
        table_bytes: words.number("table_bytes", defaults.table_bytes),
        ..defaults
    };
    let (tasks, per_entry, entries) =
        (words.number("tasks", 1_000_000), words.number("per_entry", 500), words.number("entries", 2));
    let spread = words.number("spread_ms", 3_600_000);
    let namespaces = words.number("namespaces", 1);
    println!("{options:?}");
    let mut partition = Partition::open(dir.path(), GroupId(1), &options).expect("it opens");
    let mut random = rand::rngs::SmallRng::seed_from_u64(1);

    let mut meter = Meter::new(0, words.number("rate", 0));
    let mut made = 0;
    while made < tasks {
        let run = (0..entries).map(|_| {
            (0..per_entry)
                .map(|_| {
                    made += 1;
                    let mut payload = [b'{'; 256];
                    random.fill(&mut payload[..128]);
                    let due_ms = BASE_MS + if spread == 0 { made / 200 } else { random.random_range(0..spread) };
                    let payload = Bytes::copy_from_slice(&payload);
                    let create = Create { request: None, due_ms, asked_ms: None, sequence: 0, metadata: Bytes::new(), payload };
                    command(&format!("welcome_emails{}", made % namespaces), vec![Op::Create(create)])
                })
                .collect()
        });
        let run = run.collect();
        meter.apply(&mut partition, run, per_entry * entries);
    }
    let index = meter.report("create");
    let before = Instant::now();
    partition.persist().expect("it persists");
    println!("persist {:?}, disk {} MiB", before.elapsed(), partition.disk_bytes().expect("known") >> 20);

    let namespace = Namespace::new("welcome_emails0").expect("valid");
    let id_of = |key: TaskKey| z4_model::ids::TaskId { due_ms: key.due_ms, group: GroupId(1), sequence: key.sequence };
    let (mut at, mut rows, mut scans) = (TaskKey::MIN, 0u64, Vec::new());
    let mut order = Vec::new();
    let before = Instant::now();
    loop {
        let scan = Instant::now();
        let window = partition.scan_window(&namespace, at, u64::MAX, 1000, 4 << 20).expect("it scans");
        scans.push(scan.elapsed().as_micros() as u64);
        rows += window.rows.len() as u64;
        order.extend(window.rows.iter().map(|(key, _)| *key));
        match window.next {
            Some(next) => at = next,
            None => break,
        }
    }
    println!("windows of 1000: {:.0} rows/s, memory {} MiB", rows as f64 / before.elapsed().as_secs_f64(), rss_mib("RssAnon"));
    quantiles("window", scans);
    let before = Instant::now();
    let sample: Vec<_> = order.iter().step_by(order.len() / 20_000 + 1).collect();
    for key in &sample {
        partition.get(&namespace, id_of(**key)).expect("it reads").expect("it is there");
    }
    println!("get: {:.1} us", before.elapsed().as_secs_f64() / sample.len() as f64 * 1e6);

    let mut meter = Meter::new(index, 0);
    order.truncate(words.number("acks", tasks / 5) as usize);
    for run in order.chunks((per_entry * entries) as usize) {
        let acks = |keys: &[TaskKey]| {
            let ops = keys.iter().map(|key| Op::Ack { id: id_of(*key), key: *key, rewritten: false, token: 0 });
            vec![command("welcome_emails0", ops.collect())]
        };
        let count = run.len() as u64;
        let run = run.chunks(per_entry as usize).map(acks).collect();
        meter.apply(&mut partition, run, count);
    }
    if let Some(last) = order.last() {
        meter.report("ack");
        let before = Instant::now();
        partition.scan_window(&namespace, *last, u64::MAX, 1000, 4 << 20).expect("it scans");
        println!("window behind the acked ones: {:?}", before.elapsed());
    }
    let hash = partition.state_hash();
    let before = Instant::now();
    drop(partition);
    println!("close {:?}", before.elapsed());
    drop(order);
    let before = Instant::now();
    let partition = Partition::open(dir.path(), GroupId(1), &options).expect("it opens");
    println!("open {:?}, memory {} MiB", before.elapsed(), rss_mib("RssAnon"));
    assert_eq!(partition.state_hash(), hash);
    let before = Instant::now();
    partition.scan_window(&namespace, TaskKey::MIN, u64::MAX, 1000, 4 << 20).expect("it scans");
    println!("first window from the start: {:?}", before.elapsed());
}
