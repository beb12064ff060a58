//! Numbers, not assertions: what it costs to bring up an empty replica over a link, both ends on one executor. Run it with
//!
//! ```text
//! Z4_MEASURE="tasks=1000000" cargo test --release -p z4-shards --lib raft::tests::measure -- --ignored --nocapture
//! ```
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::RngExt;

use super::*;
use crate::runtime::clock::Instant;

fn rss_anon_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("RssAnon")).expect("it is there");
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).expect("a number") / 1024
}

/// User and system time of this process, seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<_> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}

/// Creates of a 256-byte payload, half of it incompressible, a thousand to an entry.
async fn fill(leader: &Peer, tasks: u64) {
    for _ in 0..tasks / 1000 {
        let creates = (0..1000).map(|_| {
            let mut payload = [b'{'; 256];
            rand::rng().fill(&mut payload[..128]);
            create(1_800_000_000_000 + rand::random_range(0..3_600_000), &payload)
        });
        let bytes = entry(1_000_000, vec![command("letters", creates.collect())]);
        let (tx, rx) = oneshot::channel();
        let term = leader.replica.status().term;
        leader.replica.propose(bytes, term, move |result| drop(tx.send(result.map(drop)))).await;
        rx.await.expect("answered").expect("applied");
    }
}

#[test]
#[ignore = "takes a minute; see the top of the file"]
fn measure() {
    let text = std::env::var("Z4_MEASURE").unwrap_or_default();
    let tasks = text.strip_prefix("tasks=").map_or(1_000_000, |n| n.parse().expect("a number"));
    let dir = temp();
    run(async {
        let leader = Peer::lead(dir.path()).await;
        let started = Instant::now();
        fill(&leader, tasks).await;
        leader.trim(NOTHING).await;
        println!("{tasks} tasks written in {:.1} s", started.elapsed().as_secs_f64());
        let learner = Peer::start(2, dir.path()).await;
        connect(&leader, &learner);

        let (before, peak, running) = (rss_anon_mib(), Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(true)));
        let (most, runs) = (Arc::clone(&peak), Arc::clone(&running));
        let sampler = std::thread::spawn(move || {
            while runs.load(Ordering::Relaxed) {
                most.fetch_max(rss_anon_mib(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let (started, cpu) = (Instant::now(), cpu_seconds());
        leader.add_learner(2).await;
        until_equal(&leader, &learner).await;
        let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        running.store(false, Ordering::Relaxed);
        sampler.join().expect("no panic");
        println!(
            "brought up in {seconds:.1} s, {:.0} rows/s, {} chunks; CPU of both ends {cpu:.1} s; memory before {before}, peak +{} MiB",
            tasks as f64 / seconds,
            learner.door.chunks.get(),
            peak.load(Ordering::Relaxed).saturating_sub(before),
        );
        learner.stop().await;
        leader.stop().await;
    });
}
