//! A partition is killed while it applies, again and again. What is there afterwards must be what the machine makes of the log up to
//! the position that the partition names: a batch that is there by half, or a position that is ahead of its rows, would make this
//! replica differ from the others for ever. And nothing may be missing that a persist vouched for.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rand::{RngExt, SeedableRng};

use super::history::{Replay, log, machine_rows};
use super::*;
use crate::partition::Partition;

const DIR: &str = "Z4_TEST_KILL_DIR";
const PAYLOAD_BYTES: usize = 1500;
const RUN: u64 = 4;

fn options() -> PartitionOptions {
    PartitionOptions { memtable_bytes: 1 << 20, compaction_tables: 2, table_bytes: 1 << 20, ..PartitionOptions::default() }
}

/// The process that is killed. It is no test of its own: alone, it does nothing.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let mut partition = Partition::open(Path::new(&dir), GroupId(1), &options()).expect("it opens");
    let mut next = partition.applied().map_or(0, |p| p.index) + 1;
    loop {
        partition.apply(&log(next, next + RUN - 1, PAYLOAD_BYTES)).expect("it applies");
        next += RUN;
        if next % 160 < RUN {
            let persisted = partition.persist().expect("it persists").map_or(0, |p| p.index);
            println!("\npersisted {persisted}");
        }
        println!("\napplied");
    }
}

#[test]
fn a_killed_partition_is_a_whole_number_of_entries() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let dir = temp();
    let mut replay = Replay::new(PAYLOAD_BYTES);
    let mut before = 0;
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().expect("this test's binary"))
            .args(["--exact", "partition::tests::kill::child", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut runs = random.random_range(1..400);
        let mut persisted = 0;
        for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
            let line = line.expect("it is text");
            if let Some(index) = line.strip_prefix("persisted ") {
                persisted = index.parse().expect("a number");
            }
            runs -= i32::from(line == "applied");
            if runs == 0 {
                child.kill().expect("it can be killed");
                break;
            }
        }
        child.wait().expect("it ends");
        assert_eq!(runs, 0, "the child ended by itself");
        let partition = Partition::open(dir.path(), GroupId(1), &options()).expect("it opens after a kill");
        let index = partition.applied().map_or(0, |p| p.index);
        println!("round {round}: was at {before}, killed, now at {index}, persisted {persisted}");
        assert!(index >= persisted, "an entry that was persisted is gone");
        assert!(index >= before, "what was there before is gone");
        let (rows, hash) = replay.at(index);
        assert!(machine_rows(&partition.view()) == rows, "rows are not those of the log up to {index}");
        assert_eq!(partition.state_hash(), hash);
        before = index;
    }
    assert!(before > 100, "hardly anything reached the disk");
}
