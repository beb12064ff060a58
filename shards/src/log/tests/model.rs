//! Random operations against a model in memory, with kills and reopens: after each, the log must say what the model says.

use std::collections::BTreeMap;
use std::rc::Rc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use z4_model::ids::GroupId;
use z4_model::log::{LogEntry, LogPosition, Vote};

use super::support::*;
use crate::log::{GroupLog, GroupState, Log, LogOptions};

#[derive(Clone, Default)]
struct Model {
    entries: BTreeMap<u64, LogEntry>,
    state: GroupState,
}

impl Model {
    fn append(&mut self, entries: &[LogEntry]) {
        for entry in entries {
            self.entries.insert(entry.position.index, entry.clone());
            self.state.last = Some(entry.position);
        }
    }

    fn truncate(&mut self, last: Option<LogPosition>) {
        let end = last.map_or(0, |last| last.index + 1);
        self.entries.retain(|index, _| *index < end);
        self.state.last = last.or(self.state.purged);
    }

    fn purge(&mut self, upto: LogPosition) {
        self.entries.retain(|index, _| *index > upto.index);
        self.state.purged = Some(upto);
        self.state.last = self.state.last.filter(|last| last.index > upto.index).or(Some(upto));
    }

    fn random_position(&self, random: &mut StdRng) -> Option<LogPosition> {
        let at = random.random_range(0..self.entries.len().max(1));
        self.entries.values().nth(at).map(|entry| entry.position)
    }
}

/// One operation, on the log and on the model. Durable on return.
async fn operate(log: &GroupLog, model: &mut Model, random: &mut StdRng) {
    match random.random_range(0..100) {
        0..60 => {
            let term = model.state.last.map_or(1, |last| last.term) + u64::from(random.random_ratio(1, 10));
            let first = model.state.last.map_or(0, |last| last.index + 1);
            let bytes = if random.random_ratio(1, 8) { 150_000 } else { 3_000 };
            let batch: Vec<LogEntry> = (first..first + random.random_range(1..5))
                .map(|index| entry(term, index, random.random_range(0..bytes)))
                .collect();
            model.append(&batch);
            append(log, batch).await.expect("durable");
        }
        60..68 => {
            let last = model.random_position(random).or(model.state.purged);
            model.truncate(last);
            log.truncate_after(last).await.expect("durable");
        }
        68..84 => {
            let Some(upto) = model.random_position(random) else { return };
            model.purge(upto);
            log.purge(upto).await.expect("durable");
        }
        84..86 => {
            let last = model.state.last.unwrap_or_default();
            let upto = LogPosition { index: last.index + random.random_range(0..4), ..last };
            if model.state.purged.is_none_or(|purged| purged.index < upto.index) {
                model.purge(upto);
                log.purge(upto).await.expect("durable");
            }
        }
        86..92 => {
            let vote = Vote { term: random.random(), leader: random.random(), committed: random.random() };
            model.state.vote = Some(vote);
            log.save_vote(vote).await.expect("durable");
        }
        _ => {
            // Made durable by the vote's frame.
            let vote = Vote { term: random.random(), leader: 1, committed: false };
            (model.state.committed, model.state.vote) = (model.random_position(random), Some(vote));
            log.save_committed(model.state.committed);
            log.save_vote(vote).await.expect("durable");
        }
    }
}

async fn check(log: &Log, models: &[Model], random: &mut StdRng, what: &str) {
    for (number, model) in models.iter().enumerate() {
        let group = log.group(GroupId(number as u16));
        assert_eq!(group.state(), model.state, "{what}, group {number}");
        let all: Vec<LogEntry> = model.entries.values().cloned().collect();
        assert_eq!(read_all(&group).await, all, "{what}, group {number}");
        let (from, bytes_max) = (random.random_range(0..50), random.random_range(0..20_000));
        let from = model.entries.keys().next().copied().unwrap_or(0) + from;
        let mut bytes = 0;
        let expected: Vec<LogEntry> = model
            .entries
            .range(from..)
            .enumerate()
            .take_while(|(number, (_, entry))| {
                bytes += entry.payload.len();
                *number == 0 || bytes <= bytes_max
            })
            .map(|(_, (_, entry))| entry.clone())
            .collect();
        assert_eq!(group.read(from..u64::MAX, bytes_max).await.expect("read"), expected, "{what}, group {number}");
    }
}

fn random_lives(seed: u64) {
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let mut models = vec![Model::default(); 4];
    for life in 0..12 {
        let options = LogOptions {
            cache_bytes_max: [0, 50_000, u64::MAX][random.random_range(0..3)],
            batch_bytes_max: [4096, 100_000, 4 << 20][random.random_range(0..3)],
            copy_forward_segments_min: 3,
            ..options()
        };
        let close = random.random();
        run(async {
            let log = open(directory.path(), options).await;
            check(&log, &models, &mut random, &format!("seed {seed}, life {life}, reopened")).await;
            for _ in 0..random.random_range(1..40) {
                // The groups' operations run at the same time and share frames; some groups rest.
                let active = random.random_range(1..=models.len());
                let mut seeds: Vec<StdRng> = (0..active).map(|_| StdRng::seed_from_u64(random.random())).collect();
                let handles: Vec<GroupLog> = (0..active).map(|number| log.group(GroupId(number as u16))).collect();
                let operations = handles.iter().zip(&mut models).zip(&mut seeds);
                let operations = operations.map(|((handle, model), random)| operate(handle, model, random));
                futures_util::future::join_all(operations).await;
            }
            check(&log, &models, &mut random, &format!("seed {seed}, life {life}, at its end")).await;
            if close {
                log.close().await.expect("closed");
            }
        });
    }
}

#[test]
fn a_log_is_what_the_model_says() {
    for seed in 0..6 {
        random_lives(seed);
    }
}

/// The same with a seed that nobody has tried before; it is printed.
#[test]
fn a_log_is_what_the_model_says_with_a_new_seed() {
    random_lives(rand::random());
}

/// A kill at a random moment, with appends under way that nobody waited for: what was acknowledged is there, what follows it is
/// a prefix of what was asked for.
#[test]
fn a_kill_with_appends_under_way() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let mut durable_before = 0;
    for life in 0..25 {
        let durable = Rc::new(std::cell::Cell::new(durable_before));
        run(async {
            let (_log, group) = group(directory.path(), options()).await;
            let first = group.state().last.map_or(0, |last| last.index + 1);
            assert!(first >= durable_before, "seed {seed}, life {life}: {first} entries of {durable_before}");
            assert_eq!(read_all(&group).await, entries(1, 0..first, 9_000), "seed {seed}, life {life}");
            let last = first + random.random_range(1..12);
            let until = random.random_range(first..=last);
            for index in first..last {
                let durable = durable.clone();
                let done = move |outcome: std::io::Result<()>| outcome.map(|()| durable.set(index + 1)).expect("durable");
                group.append(entries(1, index..index + 1, 9_000), Box::new(done)).expect("taken");
                if index == until {
                    append(&group, Vec::new()).await.expect("nothing to do");
                    group.save_vote(Vote { term: 1, leader: 1, committed: false }).await.expect("durable");
                }
            }
        });
        durable_before = durable.get();
    }
}
