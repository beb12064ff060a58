//! Three peers under load, and everything happens to them that a seed comes up with.
//!
//! Processes are killed, stopped and started again, alone, together and in turn, under consumers that do not wait until they are up; ways
//! between them are cut, held up, lossy, slow, in both directions or in one; members go and fresh ones come; disks are lost, or slow;
//! clocks are hours wrong; leaders are told to move. The log is kept so short that whoever was away for a while needs a snapshot.
//! Meanwhile producers, also such as send a frame per message, consumers and others talk to all of them, and everything that was asked
//! and answered is recorded. At the end all is healed and drained, and the history is judged: see [`checker`].
//!
//! A run of some seconds is one of the tests; `make chaos SECONDS=600 SEED=7` makes a longer one. A seed decides the load's choices and the
//! faults, not how threads and packets overtake each other: it leads to the same situation again, more often than not.
//! `make chaos HISTORY=FILE` judges the history of an earlier run.

#[path = "../harness/mod.rs"]
mod harness;

mod checker;
mod faults;
mod finish;
mod history;
mod inject;
mod load;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use harness::cluster::Cluster;
use harness::dial::Dial;
use history::{Event, Recorder, What};
use inject::Injector;
use load::Load;

/// Whoever was away while a megabyte was written needs a snapshot.
const OPTIONS: [(&str, &str); 2] = [("Z4_LOG_RETAINED_BYTES", "1048576"), ("Z4_MEMTABLE_BYTES", "1048576")];

/// How long faults go on, unless Z4_CHAOS_SECONDS says something else.
const SECONDS: u64 = 20;

/// How many violations are shown.
const SHOWN_MAX: usize = 20;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().filter(|text| !text.is_empty()).map(|text| text.parse().expect("a number"))
}

#[tokio::test]
async fn promises_are_kept_whatever_happens() {
    if let Some(path) = std::env::var_os("Z4_CHAOS_HISTORY").filter(|path| !path.is_empty()) {
        return judge(&history::read(Path::new(&path)), "an earlier run", Path::new(&path));
    }
    let seed = number("Z4_TEST_SEED").unwrap_or_else(rand::random::<u64>);
    let seconds = number("Z4_CHAOS_SECONDS").unwrap_or(SECONDS);
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{seed}.jsonl"));
    println!("seed {seed}: make chaos SECONDS={seconds} SEED={seed}\nhistory: {}", path.display());
    let mut rng = StdRng::seed_from_u64(seed);
    let load = Load::new(&mut rng, Recorder::new(&path));
    let (clocks, disks) = (Dial::new(), Dial::new());
    let dials = [("TEST_Z4_CLOCK_DIR", clocks.dir()), ("TEST_Z4_DISK_DIR", disks.dir())];
    let options: Vec<(&str, &str)> = OPTIONS.into_iter().chain(dials.iter().map(|(name, dir)| (*name, &**dir))).collect();
    let mut injector = Injector { cluster: Cluster::of_three(&options).await, load: &load, clocks, disks };
    injector.aim();
    load.configure().await;
    let injecting = async {
        for step in faults::plan(seed, Duration::from_secs(seconds)) {
            injector.step(&step).await;
        }
        injector.finish().await;
    };
    tokio::join!(injecting, load.run());
    injector.look().await;
    judge(&load.recorder.borrow().events, &format!("seed {seed}"), &path);
    // Only the history of a run that went wrong is worth its space.
    let _ = std::fs::remove_file(&path);
}

fn judge(events: &[Event], run: &str, path: &Path) {
    let violations = checker::violations(events);
    let count = |wanted: fn(&What) -> bool| events.iter().filter(|event| wanted(&event.what)).count();
    println!(
        "{} events: {} creates answered with OK, {} calls failed, {} deliveries, {} faults",
        events.len(),
        count(|what| matches!(what, What::Created { .. })),
        count(|what| matches!(what, What::Failed { .. })),
        count(|what| matches!(what, What::Delivered { .. })),
        count(|what| matches!(what, What::Fault { .. })),
    );
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    violations.iter().for_each(|violation| *rules.entry(violation.rule).or_default() += 1);
    let shown: Vec<String> = violations.iter().take(SHOWN_MAX).map(|v| format!("{}: {}", v.rule, v.text)).collect();
    assert!(
        violations.is_empty(),
        "{run}, history {}: violations {rules:?}, the first ones:\n{}",
        path.display(),
        shown.join("\n")
    );
}
