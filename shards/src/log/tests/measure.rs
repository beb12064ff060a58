//! What the log costs beside the bare disk, measured in turn in the same run. By hand, without other load, `TMPDIR` on the disk in
//! question:
//! `CARGO_PROFILE_DEV_OPT_LEVEL=3 cargo nextest run -p z4-shards log::tests::measure --run-ignored only --no-capture`

#![allow(clippy::disallowed_methods, reason = "it measures")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use z4_model::ids::GroupId;

use super::support::*;
use crate::log::signal::Signal;
use crate::log::{LogObservation, LogOptions};
use crate::runtime::clock::Instant;
use crate::runtime::files::{Disk, File};

async fn raw_file(directory: &std::path::Path, bytes: u64) -> File {
    let file = Disk::default().open(&directory.join("raw"), true).await.expect("opened");
    file.zero(0, bytes).await.expect("zeroed");
    file.fdatasync().await.expect("synced");
    file
}

async fn raw_write(file: &File, at: u64, bytes: usize) -> Duration {
    let start = Instant::now();
    let mut buffer = file.buffer(bytes);
    buffer.as_bytes_mut().fill(1);
    file.write_at(buffer, at).await.expect("written");
    file.fdatasync().await.expect("synced");
    start.elapsed()
}

fn percentiles(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_micros();
    println!("{what}: p50 {} us, p90 {} us, p99 {} us, {} samples", at(0.5), at(0.9), at(0.99), times.len());
}

/// A lone append of 256 bytes, a raw write of one block with fdatasync, and so on in turn.
#[test]
#[ignore = "a measurement"]
fn lone_append() {
    let directory = tempfile::tempdir().expect("a directory");
    run(async {
        let log = open(directory.path(), LogOptions::default()).await;
        let group = log.group(GroupId(1));
        let raw = raw_file(directory.path(), 32 << 20).await;
        let (mut appends, mut raws) = (Vec::new(), Vec::new());
        for index in 0..4000u64 {
            let entries = entries(1, index..index + 1, 256);
            let start = Instant::now();
            append(&group, entries).await.expect("durable");
            appends.push(start.elapsed());
            raws.push(raw_write(&raw, index * 4096, 4096).await);
        }
        percentiles("lone append of 256 bytes ", appends);
        percentiles("raw 4 KiB write+fdatasync", raws);
    });
}

/// 1 GiB of 16 KiB entries, 256 in flight from 4 groups, purged behind; beside it raw writes of the frames' mean size.
#[test]
#[ignore = "a measurement"]
fn throughput_of_16_kib_entries() {
    const ENTRIES: u64 = 65_536;
    let directory = tempfile::tempdir().expect("a directory");
    let observed: Rc<RefCell<Vec<LogObservation>>> = Rc::default();
    let observe = {
        let observed = observed.clone();
        move |observation: &LogObservation| observed.borrow_mut().push(*observation)
    };
    run(async {
        let log = open(directory.path(), LogOptions { observe: Some(Rc::new(observe)), ..LogOptions::default() }).await;
        let payload = entry(1, 0, 16 << 10).payload;
        let (in_flight, room) = (Rc::new(Cell::new(0)), Rc::new(Signal::default()));
        let start = Instant::now();
        for index in 0..ENTRIES / 4 {
            for number in 1..=4 {
                while in_flight.get() >= 256 {
                    room.wait().await;
                }
                in_flight.set(in_flight.get() + 1);
                let (in_flight, room) = (in_flight.clone(), room.clone());
                let done = move |outcome: std::io::Result<()>| {
                    outcome.expect("durable");
                    in_flight.set(in_flight.get() - 1);
                    room.raise();
                };
                let entry = z4_model::log::LogEntry { position: at(1, index), payload: payload.clone() };
                log.group(GroupId(number)).append(vec![entry], Box::new(done)).expect("taken");
            }
            if index % 1024 == 1023 {
                let log = log.clone();
                drop(crate::runtime::files::spawn(async move {
                    for number in 1..=4 {
                        log.group(GroupId(number)).purge(at(1, index - 512)).await.expect("durable");
                    }
                }));
            }
        }
        while in_flight.get() > 0 {
            room.wait().await;
        }
        let seconds = start.elapsed().as_secs_f64();
        let observed = observed.take();
        let bytes: usize = observed.iter().map(|observation| observation.bytes).sum();
        let mean = (bytes / observed.len()).next_multiple_of(4096);
        let mib = bytes as f64 / (1 << 20) as f64;
        println!(
            "log: {:.0} entries/s, {:.0} MiB/s, {} frames of {} KiB",
            ENTRIES as f64 / seconds,
            mib / seconds,
            observed.len(),
            mean >> 10
        );
        percentiles("fdatasync of a frame", observed.iter().map(|observation| observation.fdatasync).collect());

        let raw = raw_file(directory.path(), 64 << 20).await;
        let start = Instant::now();
        let mut at = 0;
        for _ in 0..observed.len() {
            raw_write(&raw, at, mean).await;
            at = if at + 2 * mean as u64 > 64 << 20 { 0 } else { at + mean as u64 };
        }
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "raw: {:.0} MiB/s with writes of {} KiB",
            (observed.len() * mean) as f64 / (1 << 20) as f64 / seconds,
            mean >> 10
        );
    });
}
