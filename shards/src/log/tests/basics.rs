//! What a group's log promises to the raft adapters, in memory and after a reopen.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use z4_model::ids::GroupId;
use z4_model::log::{LogEntry, LogPayload, Vote};

use super::support::*;
use crate::log::{GroupState, LogOptions};

/// Entries of every payload kind, votes and marks of three groups, appended in turn, must all come back after a kill, from disk,
/// in order, and in their own group.
#[test]
fn a_reopened_log_gives_everything_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let entries_of = |group: u64| -> Vec<LogEntry> {
        let mut all = entries(group, 0..40, 100 * group as usize);
        all[3].payload = LogPayload::Blank;
        all[4].payload = LogPayload::Membership(Bytes::from_static(b"members"));
        all
    };
    let vote = |group: u64| Vote { term: group, leader: group + 1, committed: group == 2 };
    run(async {
        let log = open(directory.path(), options()).await;
        for index in 0..40 {
            for group in 1..=3 {
                append(&log.group(GroupId(group as u16)), vec![entries_of(group)[index].clone()]).await.expect("durable");
            }
        }
        for group in 1..=3 {
            log.group(GroupId(group as u16)).save_vote(vote(group)).await.expect("durable");
        }
    });
    run(async {
        let log = open(directory.path(), options()).await;
        assert_eq!(log.groups(), [GroupId(1), GroupId(2), GroupId(3)]);
        for group in 1..=3 {
            let handle = log.group(GroupId(group as u16));
            let state = GroupState { last: Some(at(group, 39)), vote: Some(vote(group)), ..GroupState::default() };
            assert_eq!(handle.state(), state);
            assert_eq!(read_all(&handle).await, entries_of(group));
        }
        assert_eq!(log.group(GroupId(9)).state(), GroupState::default(), "an unknown group is empty");
    });
}

/// An entry is readable before it is durable; `done` comes after the sync, in the order of the appends, one frame for all that
/// arrived together.
#[test]
fn appends_are_readable_at_once_and_batched() {
    let directory = tempfile::tempdir().expect("a directory");
    let observed = Rc::new(RefCell::new(Vec::new()));
    let observe = {
        let observed = observed.clone();
        move |o: &crate::log::LogObservation| observed.borrow_mut().push(*o)
    };
    run(async {
        let options = LogOptions { observe: Some(Rc::new(observe)), ..options() };
        let (log, group) = group(directory.path(), options).await;
        let outcomes = Outcomes::default();
        for index in 0..10 {
            group.append(entries(1, index..index + 1, 10), outcomes.done()).expect("taken");
        }
        assert!(outcomes.0.borrow().is_empty(), "nothing is durable before the writer ran");
        assert_eq!(read_all(&group).await, entries(1, 0..10, 10));
        log.close().await.expect("closed");
        assert_eq!(outcomes.0.borrow().len(), 10, "close writes what waits");
        let observed = observed.take();
        assert_eq!(observed.len(), 1, "ten appends make one frame");
        assert_eq!((observed[0].records, observed[0].bytes), (10, 4096));
        assert!(append(&group, entries(1, 10..11, 10)).await.is_err(), "a closed log takes nothing");
    });
}

/// Holes, payloads over the limit, and positions that are not in the log are refused, and nothing of such a call happens.
#[test]
fn what_does_not_fit_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        append(&group, entries(1, 0..3, 10)).await.expect("durable");
        let state = group.state();
        let error = append(&group, entries(1, 4..5, 10)).await.expect_err("a hole");
        assert!(error.to_string().contains("entry 4 does not follow the last one, 2"), "{error}");
        append(&group, vec![entry(1, 3, 1), entry(1, 5, 1)]).await.expect_err("a hole within");
        append(&group, entries(1, 2..3, 10)).await.expect_err("an entry that is there");
        let error = append(&group, entries(1, 3..4, (16 << 20) + 1)).await.expect_err("too large");
        assert!(error.to_string().contains("16777217 bytes; the limit is 16777216"), "{error}");
        group.truncate_after(Some(at(9, 1))).await.expect_err("another term is there");
        assert_eq!(group.state(), state);
        assert_eq!(read_all(&group).await, entries(1, 0..3, 10));
        append(&group, entries(1, 3..4, 512 << 10)).await.expect("the limit itself is fine");
    });
}

/// After a truncation other entries take the place of those that went; a reopen must not bring the old ones back, whether the
/// truncation came alone or together with appends that had not been written yet.
#[test]
fn truncated_entries_stay_away() {
    let directory = tempfile::tempdir().expect("a directory");
    let expected = [entries(1, 0..5, 50), entries(2, 5..7, 60), entries(3, 7..9, 70)].concat();
    run(async {
        let (_log, group) = group(directory.path(), without_cache()).await;
        append(&group, entries(1, 0..10, 50)).await.expect("durable");
        group.truncate_after(Some(at(1, 4))).await.expect("durable");
        assert_eq!(group.state().last, Some(at(1, 4)));
        group.append(entries(2, 5..12, 60), Box::new(|_| {})).expect("taken");
        // Not awaited before the next append: all three go into one frame.
        let truncation = group.truncate_after(Some(at(2, 6)));
        let after = async { append(&group, entries(3, 7..9, 70)).await };
        let (truncated, appended) = futures_util::join!(truncation, after);
        truncated.and(appended).expect("both are durable");
        assert_eq!(read_all(&group).await, expected);
    });
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        assert_eq!(read_all(&group).await, expected);
        group.truncate_after(None).await.expect("durable");
        assert_eq!(group.state().last, None);
    });
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        assert_eq!((group.state(), read_all(&group).await), (GroupState::default(), Vec::new()));
    });
}

/// The commit mark forces no sync, but goes along with the next frame or with close, and never runs ahead of its entry.
#[test]
fn the_commit_mark_goes_along() {
    let directory = tempfile::tempdir().expect("a directory");
    let reopened = |committed| {
        run(async {
            let (_log, group) = group(directory.path(), options()).await;
            assert_eq!(group.state().committed, committed);
        });
    };
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        append(&group, entries(1, 0..5, 10)).await.expect("durable");
        group.save_committed(Some(at(1, 3)));
        assert_eq!(group.state().committed, Some(at(1, 3)));
    });
    reopened(None);
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        group.save_committed(Some(at(1, 5)));
        group.save_vote(Vote { term: 1, leader: 1, committed: true }).await.expect("durable");
    });
    reopened(None);
    run(async {
        let (log, group) = group(directory.path(), options()).await;
        group.save_committed(Some(at(1, 4)));
        log.close().await.expect("closed");
    });
    reopened(Some(at(1, 4)));
}

/// Ranges, byte limits and purged entries, with everything in memory, with everything on disk, and with both.
#[test]
fn reads_are_in_order_and_bounded() {
    for cache_bytes_max in [0, 1500, u64::MAX] {
        let directory = tempfile::tempdir().expect("a directory");
        run(async {
            let (_log, group) = group(directory.path(), LogOptions { cache_bytes_max, ..options() }).await;
            for index in 0..20 {
                append(&group, entries(1, index..index + 1, 100)).await.expect("durable");
            }
            let indices = async |range, bytes_max| -> Vec<u64> {
                let found = group.read(range, bytes_max).await.expect("read");
                found.iter().for_each(|found| assert_eq!(*found, entry(1, found.position.index, 100)));
                found.iter().map(|entry| entry.position.index).collect()
            };
            assert_eq!(indices(0..20, usize::MAX).await, (0..20).collect::<Vec<_>>());
            assert_eq!(indices(5..8, usize::MAX).await, [5, 6, 7]);
            assert_eq!(indices(5..20, 300).await, [5, 6, 7]);
            assert_eq!(indices(5..20, 0).await, [5], "at least one");
            assert_eq!(indices(20..30, 100).await, [0u64; 0]);
            group.purge(at(1, 9)).await.expect("durable");
            assert_eq!(indices(0..12, usize::MAX).await, [10, 11]);
        });
    }
}

/// A snapshot is ahead of the log: the purge goes past the last entry, and the log goes on behind it, also after a reopen.
#[test]
fn a_purge_past_the_end_moves_the_log_on() {
    let directory = tempfile::tempdir().expect("a directory");
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        append(&group, entries(1, 0..5, 10)).await.expect("durable");
        group.purge(at(2, 100)).await.expect("durable");
        assert_eq!((group.state().purged, group.state().last), (Some(at(2, 100)), Some(at(2, 100))));
        append(&group, entries(2, 5..6, 10)).await.expect_err("a hole");
        append(&group, entries(2, 101..103, 10)).await.expect("durable");
        group.truncate_after(Some(at(2, 101))).await.expect("durable");
    });
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        assert_eq!((group.state().purged, group.state().last), (Some(at(2, 100)), Some(at(2, 101))));
        assert_eq!(read_all(&group).await, entries(2, 101..102, 10));
        group.truncate_after(None).await.expect("durable");
        assert_eq!(group.state().last, Some(at(2, 100)), "what was purged is still the end");
    });
}
