//! Numbers, not assertions: what single operations cost over many stored tasks, beside what they cost before they were bounded. Run it with
//!
//! ```text
//! Z4_MEASURE="tasks=200000" cargo test -p z4-shards --lib partition::tests::measure_bounds -- --ignored --nocapture
//! ```
//!
//! Words: `tasks`, `payload` (bytes), `large` (tasks of 1 MiB for the list), `dir`.
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::time::Duration;

use z4_model::command::{Op, OpReply, PurgeCursor};
use z4_model::ids::{Namespace, TaskKey};
use z4_model::log::{LogEntry, LogPayload, LogPosition};
use z4_model::machine::testing::{command, create, entry};

use super::measure::{BASE_MS, Words, rss_mib};
use super::*;
use crate::partition::{ListRange, Partition};
use crate::runtime::clock::Instant;

struct Bench {
    partition: Partition,
    index: u64,
}

impl Bench {
    fn apply(&mut self, namespace: &str, ops: Vec<Op>) -> OpReply {
        self.index += 1;
        let payload = LogPayload::Normal(entry(BASE_MS, vec![command(namespace, ops)]));
        let position = LogPosition { term: 1, leader: 1, index: self.index };
        let mut outcomes = self.partition.apply(&[LogEntry { position, payload }]).expect("it applies");
        outcomes.remove(0).replies.remove(0).expect("done").remove(0)
    }

    fn fill(&mut self, namespace: &str, tasks: u64, payload: usize) {
        let payload = vec![7; payload];
        for first in (0..tasks).step_by(1_000) {
            let some = (first..tasks.min(first + 1_000)).map(|n| create(BASE_MS + 1_000 + n, &payload));
            self.apply(namespace, some.collect());
        }
        self.partition.persist().expect("it persists");
    }
}

/// The first, the last and all steps together.
fn told(what: &str, steps: &[Duration]) {
    let all: Duration = steps.iter().sum();
    let (first, last) = (steps.first().copied().unwrap_or_default(), steps.last().copied().unwrap_or_default());
    println!("{what}: {} steps, first {first:.1?}, last {last:.1?}, all {all:.1?}", steps.len());
}

#[test]
#[ignore = "takes minutes; see the top of the file"]
fn measure_bounds() {
    let words = Words::from_environment();
    let dir = words.dir();
    let (tasks, payload) = (words.number("tasks", 200_000), words.number("payload", 200) as usize);
    let partition = Partition::open(dir.path(), GroupId(1), &PartitionOptions::default()).expect("it opens");
    let mut bench = Bench { partition, index: 0 };

    for before in [true, false] {
        bench.fill("purged", tasks, payload);
        let (mut steps, mut from) = (Vec::new(), PurgeCursor::START);
        loop {
            let since = Instant::now();
            let op = if before { Op::Purge { limit: 2_000 } } else { Op::PurgeFrom { from, limit: 2_000 } };
            let reply = bench.apply("purged", vec![op]);
            steps.push(since.elapsed());
            match reply {
                OpReply::Purged { removed: 2_000 } => {}
                OpReply::PurgedTo { next: Some(next), .. } => from = next,
                _ => break,
            }
        }
        told(if before { "purge, before" } else { "purge" }, &steps);
    }

    bench.fill("due", tasks, payload);
    let (namespace, now_ms) = (Namespace::new("due").expect("valid"), BASE_MS + 1_000 + tasks / 2);
    let view = bench.partition.view();
    let since = Instant::now();
    let counted = view.scan_window(&namespace, TaskKey::MIN, now_ms, 200_000, usize::MAX).expect("it reads").rows.len();
    println!("due rows, before: {counted} rows in {:.1?}", since.elapsed());
    let since = Instant::now();
    let part = view.due(now_ms, None).expect("it reads");
    println!("due rows: {} rows, {} bytes in {:.1?}", part.read_rows, part.read_bytes, since.elapsed());

    let large = words.number("large", 200);
    for _ in 0..large {
        bench.apply("large", vec![create(BASE_MS + 1_000, &vec![7; 1 << 20])]);
    }
    bench.partition.persist().expect("it persists");
    let namespace = Namespace::new("large").expect("valid");
    let view = bench.partition.view();
    for omit_payload in [false, true] {
        let bytes_max = if omit_payload { 64 << 20 } else { usize::MAX };
        let (from, until_ms) = (TaskKey::MIN, u64::MAX);
        let range =
            ListRange { namespace: namespace.clone(), dead: false, from, until_ms, rows_max: 1_000, bytes_max, omit_payload };
        let (before, since) = (rss_mib("RssAnon"), Instant::now());
        let page = view.list(&range).expect("it reads");
        let (took, held) = (since.elapsed(), rss_mib("RssAnon").saturating_sub(before));
        let what = if omit_payload { "list without payloads" } else { "list without payloads, before" };
        println!("{what}: {} rows, {} MiB read in {took:.1?}, {held} MiB held by the page", page.rows.len(), page.bytes >> 20);
    }
}
