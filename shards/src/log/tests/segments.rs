//! Segments come, go and are used again.

use std::path::Path;

use z4_model::ids::GroupId;
use z4_model::log::Vote;

use super::support::*;
use crate::log::{Log, LogOptions};

fn segment_numbers(directory: &Path) -> Vec<u32> {
    let names = std::fs::read_dir(directory).expect("listed").map(|name| name.expect("a name").file_name());
    let mut numbers: Vec<u32> = names.filter_map(|name| crate::log::segments::segment_number(&name.to_string_lossy())).collect();
    numbers.sort_unstable();
    numbers
}

/// Two groups fill segments. Purging one frees nothing while the other still needs them; purging both frees all but the present
/// one, and the space does not grow however often the log goes round. Everything stays readable, after each reopen too, and vote
/// and purge point survive the segments in which they were first written.
#[test]
fn purged_segments_are_freed_and_used_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let vote = Vote { term: 5, leader: 2, committed: true };
    let bytes_max = (1 << 20) * (5 + 1 + 2);
    for round in 0..5u64 {
        let first = round * 30;
        run(async {
            let log = open(directory.path(), LogOptions { cache_bytes_max: 0, ..options() }).await;
            let (one, two) = (log.group(GroupId(1)), log.group(GroupId(2)));
            if round == 0 {
                two.save_vote(vote).await.expect("durable");
            }
            assert_eq!(two.state().vote, Some(vote));
            for index in first..first + 30 {
                append(&one, entries(1, index..index + 1, 60_000)).await.expect("durable");
                append(&two, entries(2, index..index + 1, 60_000)).await.expect("durable");
            }
            assert_eq!(read_all(&one).await, entries(1, first..first + 30, 60_000), "round {round}");
            assert_eq!(read_all(&two).await, entries(2, first..first + 30, 60_000), "round {round}");
            let before = segment_numbers(directory.path());
            one.purge(at(1, first + 29)).await.expect("durable");
            assert_eq!(segment_numbers(directory.path())[0], before[0], "group 2 still needs the oldest");
            two.purge(at(2, first + 29)).await.expect("durable");
            until(|| segment_numbers(directory.path()).len() <= 2).await;
            assert!(log.bytes() <= bytes_max, "round {round}: {} bytes", log.bytes());
        });
    }
    run(async {
        let log = open(directory.path(), options()).await;
        assert_eq!(log.group(GroupId(2)).state().vote, Some(vote));
        assert_eq!(log.group(GroupId(1)).state().purged, Some(at(1, 149)));
        assert!(segment_numbers(directory.path())[0] > 15, "the log went round");
    });
}

/// A used-again segment holds frames of its former life behind the present ones. At each kill, wherever the log ends in it, they
/// must neither come back nor pass for damage.
#[test]
fn frames_of_a_former_life_never_validate() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut index = 0;
    for life in 0..60u64 {
        run(async {
            let (_log, group) = group(directory.path(), options()).await;
            let first = group.state().purged.map_or(0, |purged| purged.index + 1);
            assert_eq!(read_all(&group).await, entries(1, first..index, 70_000), "life {life}");
            for _ in 0..7 {
                append(&group, entries(1, index..index + 1, 70_000)).await.expect("durable");
                index += 1;
            }
            group.purge(at(1, index - 3)).await.expect("durable");
            let segments = segment_numbers(directory.path()).len();
            assert!(segments <= 4, "life {life}: {segments} segments");
        });
    }
    assert!(segment_numbers(directory.path())[0] > 20, "segments were used again");
}

/// A file that was half filled with zeros when the process died, a spare of another size, and a prepared segment of another size
/// must not be taken for more than they are.
#[test]
fn leftovers_are_tidied() {
    let directory = tempfile::tempdir().expect("a directory");
    run(async {
        let (log, group) = group(directory.path(), options()).await;
        append(&group, entries(1, 0..5, 100)).await.expect("durable");
        log.close().await.expect("closed");
    });
    assert_eq!(segment_numbers(directory.path()), [1, 2]);
    std::fs::write(directory.path().join("unfinished.new"), [0; 8192]).expect("written");
    std::fs::write(directory.path().join("0000000000.spare"), [0; 8192]).expect("written");
    let larger = LogOptions { segment_bytes: 2 << 20, ..options() };
    run(async {
        let (log, group) = group(directory.path(), larger.clone()).await;
        assert_eq!(read_all(&group).await, entries(1, 0..5, 100));
        append(&group, entries(1, 5..8, 1 << 20)).await.expect("larger entries fit into larger segments");
        log.close().await.expect("closed");
    });
    let names: Vec<_> =
        std::fs::read_dir(directory.path()).expect("listed").map(|name| name.expect("a name").file_name()).collect();
    assert!(names.iter().all(|name| name == "newest" || name.to_string_lossy().ends_with(".log")), "{names:?}");
    run(async {
        let (_log, group) = group(directory.path(), larger).await;
        assert_eq!(group.state().last, Some(at(1, 7)));
    });
}

/// Options out of range are refused by name, value and range.
#[test]
fn options_are_checked() {
    let directory = tempfile::tempdir().expect("a directory");
    for (options, text) in [
        (LogOptions { segment_bytes: 4096, ..options() }, "segment_bytes is 4096; it must be a multiple of 4096 from 1048576"),
        (LogOptions { segment_bytes: (1 << 20) + 1, ..options() }, "segment_bytes is 1048577; it must be"),
        (LogOptions { batch_bytes_max: 1, ..options() }, "batch_bytes_max is 1; it must be at least 4096"),
    ] {
        let error = run(Log::open(directory.path().to_owned(), options)).err().expect("refused");
        assert!(error.to_string().starts_with(text), "{error}");
    }
}

/// A segment's file went, but its name could not be made durable, and the log was told so. It asks again, and goes on freeing: else
/// the log would grow until the disk is full.
#[test]
fn a_segment_that_is_gone_already_is_freed() {
    let directory = tempfile::tempdir().expect("a directory");
    run(async {
        let (_log, group) = group(directory.path(), LogOptions { spare_segments_max: 0, ..options() }).await;
        for index in 0..50 {
            append(&group, entries(1, index..index + 1, 100_000)).await.expect("durable");
        }
        std::fs::remove_file(segment(directory.path(), 1)).expect("removed");
        group.purge(at(1, 49)).await.expect("durable");
        until(|| segment_numbers(directory.path()).len() <= 2).await;
    });
}

/// The leader's segments may be larger than a follower's: what its log has taken must not stop another replica. An entry as large as any
/// log takes goes into a log of the smallest segments, in front of, between and behind small ones, and is there after a reopen.
#[test]
fn an_entry_larger_than_a_segment_is_taken() {
    let directory = tempfile::tempdir().expect("a directory");
    let large = 16 << 20;
    let mut all = Vec::new();
    run(async {
        let (log, group) = group(directory.path(), without_cache()).await;
        log.group(GroupId(2)).save_vote(Vote { term: 5, leader: 2, committed: true }).await.expect("durable");
        for (index, bytes) in [large, 10, 600 << 10, 600 << 10, large, large, 10].into_iter().enumerate() {
            all.push(entry(1, index as u64, bytes));
            append(&group, vec![entry(1, index as u64, bytes)]).await.expect("taken");
        }
        assert!(read_all(&group).await == all);
    });
    run(async {
        let (_log, group) = group(directory.path(), without_cache()).await;
        assert!(read_all(&group).await == all);
        group.purge(at(1, 5)).await.expect("durable");
        append(&group, entries(1, 7..9, 600 << 10)).await.expect("the log goes on in segments of its own size");
        assert_eq!(group.state().last, Some(at(1, 8)));
    });
}
