//! Small histories: good ones, and one for each rule that breaks it and nothing else.

use super::violations;
use crate::history::{Event, Verdict, What};

use Verdict::{Ack, Nack};

/// Events with their times: 1,000 ms, 1,001 ms ...
fn history(whats: Vec<What>) -> Vec<Event> {
    let event = |(n, what)| Event { at_ms: 1_000 + n as u64, peer: format!("peer-{}", n % 3), what };
    whats.into_iter().enumerate().map(event).collect()
}

fn broken(whats: Vec<What>) -> Vec<&'static str> {
    violations(&history(whats)).into_iter().map(|violation| violation.rule).collect()
}

fn create(call: u64, number: u64) -> What {
    let request_id = format!("r{number}");
    What::Create { call, number, namespace: "n".into(), request_id, due_ms: 500 }
}

fn created(call: u64, id: &str) -> What {
    What::Created { call, id: id.into(), duplicate: false }
}

fn failed(call: u64, code: i32) -> What {
    What::Failed { call, code }
}

fn delivered(number: u64, id: &str, token: u64) -> What {
    attempted(number, id, token, 1)
}

fn attempted(number: u64, id: &str, token: u64, attempt: u32) -> What {
    What::Delivered { number, id: id.into(), token, attempt, due_ms: 500 }
}

fn settle(id: &str, token: u64, verdict: Verdict) -> What {
    What::Settle { id: id.into(), token, verdict }
}

fn settled(id: &str, token: u64, verdict: Verdict, code: i32) -> What {
    What::Settled { id: id.into(), token, verdict, code }
}

fn listed(number: u64, id: &str) -> What {
    What::Listed { number, id: id.into() }
}

fn get(call: u64, id: &str) -> What {
    What::Get { call, id: id.into() }
}

fn update(call: u64, id: &str, due_ms: u64) -> What {
    What::Update { call, id: id.into(), due_ms }
}

fn delete(call: u64, id: &str) -> What {
    What::Delete { call, id: id.into() }
}

/// A task that was created, and what follows.
fn then(more: Vec<What>) -> Vec<What> {
    [vec![create(1, 7), created(1, "a")], more].concat()
}

#[test]
fn good_histories_break_nothing() {
    let acked = then(vec![delivered(7, "a", 1), settle("a", 1, Ack), settled("a", 1, Ack, 0), What::Ended]);
    let kept = then(vec![What::Ended, listed(7, "a")]);
    let deleted = then(vec![delete(2, "a"), What::Deleted { call: 2 }, What::Ended]);
    // Nobody knows, so all of it is right.
    let perhaps_acked = then(vec![delivered(7, "a", 1), settle("a", 1, Ack), What::Ended]);
    let perhaps_deleted = then(vec![delete(2, "a"), failed(2, 14), What::Ended]);
    let perhaps_made = vec![create(1, 7), failed(1, 14), What::Ended];
    let made_after_all = vec![create(1, 7), failed(1, 14), What::Ended, listed(7, "a")];
    let again = vec![create(1, 7), failed(1, 4), create(2, 7), created(2, "a"), What::Ended, listed(7, "a")];
    let at_two_peers = vec![create(1, 7), create(2, 7), created(2, "a"), created(1, "a"), What::Ended, listed(7, "a")];
    // Nacked, lapsed, lost with a leader: the next ones have higher tokens. An older delivery comes late.
    let many = then(vec![
        attempted(7, "a", 1, 1),
        settle("a", 1, Nack),
        settled("a", 1, Nack, 0),
        attempted(7, "a", 5, 2),
        attempted(7, "a", 3, 2),
        settle("a", 3, Ack),
        settled("a", 3, Ack, 9),
        settle("a", 5, Ack),
        settled("a", 5, Ack, 0),
        What::Ended,
    ]);
    let acked_late =
        then(vec![delivered(7, "a", 2), settle("a", 2, Ack), settled("a", 2, Ack, 0), delivered(7, "a", 1), What::Ended]);
    let moved = then(vec![
        update(2, "a", 300),
        failed(2, 14),
        What::Delivered { number: 7, id: "a".into(), token: 1, attempt: 1, due_ms: 300 },
    ]);
    let read = then(vec![
        get(2, "a"),
        What::Got { call: 2 },
        get(3, "a"),
        delete(4, "a"),
        failed(3, 5),
        What::Deleted { call: 4 },
        get(5, "a"),
        failed(5, 5),
        get(6, "a"),
        failed(6, 14),
        What::Ended,
    ]);
    let states = vec![
        What::State { group: 1, index: 5, hash: 1 },
        What::State { group: 1, index: 6, hash: 2 },
        What::State { group: 2, index: 5, hash: 3 },
        What::State { group: 1, index: 6, hash: 2 },
    ];
    let all = [
        acked,
        kept,
        deleted,
        perhaps_acked,
        perhaps_deleted,
        perhaps_made,
        made_after_all,
        again,
        at_two_peers,
        many,
        acked_late,
        moved,
        read,
        states,
    ];
    for (n, whats) in all.into_iter().enumerate() {
        assert_eq!(violations(&history(whats)), [], "history {n}");
    }
    // An acknowledged create that nobody has looked for yet is not lost.
    assert!(broken(then(vec![])).is_empty());
}

#[test]
fn an_acknowledged_create_that_is_gone_is_lost() {
    assert_eq!(broken(then(vec![What::Ended])), ["lost"]);
    // A refused ack or delete does not explain it, nor does a nack.
    let refused = vec![delivered(7, "a", 1), settle("a", 1, Ack), settled("a", 1, Ack, 9), delete(2, "a"), failed(2, 10)];
    assert_eq!(broken(then([refused, vec![What::Ended]].concat())), ["lost"]);
    let nacked = vec![delivered(7, "a", 1), settle("a", 1, Nack), settled("a", 1, Nack, 0), What::Ended];
    assert_eq!(broken(then(nacked)), ["lost"]);
}

#[test]
fn a_create_that_made_two_tasks_is_found_by_answers_deliveries_and_lists() {
    assert_eq!(broken(then(vec![create(2, 7), created(2, "b")])), ["made twice"]);
    assert_eq!(broken(then(vec![delivered(7, "b", 1)])), ["made twice"]);
    assert_eq!(broken(then(vec![What::Ended, listed(7, "a"), listed(7, "b")])), ["made twice"]);
}

#[test]
fn a_refused_create_makes_nothing() {
    assert_eq!(broken(vec![create(1, 7), failed(1, 8), delivered(7, "a", 1)]), ["made though refused"]);
}

#[test]
fn what_nobody_sent_is_strange() {
    assert_eq!(broken(vec![delivered(7, "a", 1)]), ["strange"]);
    assert_eq!(broken(vec![What::Got { call: 1 }]), ["strange"]);
}

#[test]
fn a_delivery_before_its_time_is_early() {
    let whats = then(vec![What::Delivered { number: 7, id: "a".into(), token: 1, attempt: 1, due_ms: 1_003 }]);
    assert_eq!(broken(whats), ["early"]);
    // The cluster cannot talk its way out by another due time.
    let whats = then(vec![What::Delivered { number: 7, id: "a".into(), token: 1, attempt: 1, due_ms: 499 }]);
    assert_eq!(broken(whats), ["due time"]);
    let whats = then(vec![
        update(2, "a", 300),
        failed(2, 10),
        What::Delivered { number: 7, id: "a".into(), token: 1, attempt: 1, due_ms: 300 },
    ]);
    assert_eq!(broken(whats), ["due time"]);
}

#[test]
fn each_delivery_has_a_token_of_its_own_that_grows_with_attempts() {
    assert_eq!(broken(then(vec![delivered(7, "a", 1), delivered(7, "a", 1)])), ["token twice"]);
    assert_eq!(broken(then(vec![attempted(7, "a", 1, 2), attempted(7, "a", 2, 1)])), ["attempts"]);
}

#[test]
fn one_ack_is_accepted_and_ends_it() {
    let two = vec![settle("a", 1, Ack), settle("a", 2, Ack), settled("a", 1, Ack, 0), settled("a", 2, Ack, 0)];
    assert_eq!(broken(then(two)), ["acked twice"]);
    let after = vec![delivered(7, "a", 1), settle("a", 1, Ack), settled("a", 1, Ack, 0), delivered(7, "a", 2)];
    assert_eq!(broken(then(after)), ["delivered after its ack"]);
    // The later lease was there already when the ack of the earlier one was accepted.
    let voided = vec![delivered(7, "a", 1), delivered(7, "a", 2), settle("a", 1, Ack), settled("a", 1, Ack, 0)];
    assert_eq!(broken(then(voided)), ["delivered after its ack"]);
}

#[test]
fn what_is_gone_is_neither_changed_nor_read() {
    let gone = || vec![delete(2, "a"), What::Deleted { call: 2 }];
    let changed = [gone(), vec![update(3, "a", 1), What::Updated { call: 3 }]].concat();
    assert_eq!(broken(then(changed)), ["changed when gone"]);
    let acked = [gone(), vec![settle("a", 1, Ack), settled("a", 1, Ack, 0)]].concat();
    assert_eq!(broken(then(acked)), ["changed when gone"]);
    let read = [gone(), vec![get(3, "a"), What::Got { call: 3 }]].concat();
    assert_eq!(broken(then(read)), ["read when gone"]);
    let there = [gone(), vec![What::Ended, listed(7, "a")]].concat();
    assert_eq!(broken(then(there)), ["there in the end"]);
}

#[test]
fn what_is_there_is_read() {
    assert_eq!(broken(then(vec![get(2, "a"), failed(2, 5)])), ["not read when there"]);
    let refused = vec![settle("a", 1, Ack), settled("a", 1, Ack, 9), get(2, "a"), failed(2, 5)];
    assert_eq!(broken(then(refused)), ["not read when there"]);
}

#[test]
fn equal_indexes_have_equal_states() {
    let whats = vec![What::State { group: 1, index: 5, hash: 1 }, What::State { group: 1, index: 5, hash: 2 }];
    assert_eq!(broken(whats), ["states differ"]);
}

/// A history that was written to a file says the same when it is read again: tokens need all of their 64 bits.
#[test]
fn a_file_keeps_a_history() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let path = dir.path().join("history.jsonl");
    let mut recorder = crate::history::Recorder::new(&path);
    for what in then(vec![delivered(7, "a", u64::MAX), settle("a", u64::MAX, Ack), What::Ended, failed(9, 14)]) {
        recorder.record("peer-1", what);
    }
    let events = recorder.events.clone();
    drop(recorder);
    assert_eq!(crate::history::read(&path), events);
}
