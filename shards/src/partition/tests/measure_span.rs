//! Numbers, not assertions: how fast SQL's reads of a namespace are. Run it with
//!
//! ```text
//! Z4_MEASURE="tasks=5000000 page=1024" cargo test --release -p z4-shards --lib partition::tests::measure_span -- --ignored --nocapture
//! ```
//!
//! Words: `tasks`, `page` (rows of one read), `namespaces`, `spread_ms` of due times, `dir`.
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use rand::{RngExt, SeedableRng};
use z4_model::command::{Create, Op};
use z4_model::ids::{Namespace, TaskKey};
use z4_model::log::{LogEntry, LogPayload, LogPosition};
use z4_model::machine::testing::{command, entry};

use super::measure::{BASE_MS, Words, rss_mib};
use super::*;
use crate::partition::{Partition, Span};
use crate::runtime::clock::Instant;

#[test]
#[ignore = "takes a minute; see the top of the file"]
fn measure_span() {
    let words = Words::from_environment();
    let dir = words.dir();
    let (tasks, namespaces) = (words.number("tasks", 1_000_000), words.number("namespaces", 1));
    let (page, spread) = (words.number("page", 1_024) as usize, words.number("spread_ms", 3_600_000));
    let mut partition = Partition::open(dir.path(), GroupId(1), &PartitionOptions::default()).expect("it opens");
    let mut random = rand::rngs::SmallRng::seed_from_u64(1);
    for index in 1..=tasks / 1_000 {
        let one = |n: u64| {
            let mut payload = [b'{'; 256];
            random.fill(&mut payload[..128]);
            let (due_ms, payload) = (BASE_MS + random.random_range(0..spread), Bytes::copy_from_slice(&payload));
            let create = Create { request: None, due_ms, asked_ms: None, sequence: 0, metadata: Bytes::new(), payload };
            command(&format!("n{}", n % namespaces), vec![Op::Create(create)])
        };
        let payload = LogPayload::Normal(entry(BASE_MS, (0..1_000).map(one).collect()));
        partition.apply(&[LogEntry { position: LogPosition { term: 1, leader: 1, index }, payload }]).expect("it applies");
    }
    partition.persist().expect("it persists");
    println!("disk {} MiB", partition.disk_bytes().expect("known") >> 20);
    while partition.tree.flushes() {
        std::thread::yield_now();
    }
    for round in 0..2 {
        for backwards in [false, true] {
            let view = partition.viewer().view().expect("open");
            let (mut rows, mut bytes, mut buffer, since) = (0, 0, Vec::with_capacity(page), Instant::now());
            for n in 0..namespaces {
                let namespace = Namespace::new(&format!("n{n}")).expect("valid");
                let mut left = Some(Span { namespace, dead: false, from: TaskKey::MIN, until: TaskKey::MAX, backwards });
                while let Some(span) = left {
                    left = view.read(&span, (page, usize::MAX), &mut buffer).expect("it reads");
                    rows += buffer.len();
                    bytes += buffer.iter().map(|(_, value)| value.len()).sum::<usize>();
                    buffer.clear();
                }
            }
            let rate = rows as f64 / since.elapsed().as_secs_f64() / 1e6;
            println!(
                "round {round} backwards {backwards}: {rows} rows, {bytes} bytes, {rate:.2} M rows/s, {} MiB",
                rss_mib("RssAnon")
            );
        }
    }
}
