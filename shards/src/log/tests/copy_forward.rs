//! A group that writes rarely must not keep every segment since its last entry.

use std::cell::Cell;

use z4_model::ids::GroupId;
use z4_model::log::Vote;

use super::support::*;
use crate::log::LogOptions;

/// Group 1 writes ten entries and falls silent; group 2 writes and purges on and on. The log's size must stay bounded, and group
/// 1's entries must stay readable, now and after a kill, and be counted once.
#[test]
fn a_quiet_group_does_not_pin_segments() {
    let directory = tempfile::tempdir().expect("a directory");
    let quiet = entries(1, 0..10, 20_000);
    let vote = Vote { term: 3, leader: 3, committed: true };
    let mut index = 0;
    for life in 0..4 {
        run(async {
            let log = open(directory.path(), LogOptions { copy_forward_segments_min: 4, ..without_cache() }).await;
            let (one, two) = (log.group(GroupId(1)), log.group(GroupId(2)));
            if life == 0 {
                one.save_vote(vote).await.expect("durable");
                append(&one, quiet.clone()).await.expect("durable");
                one.truncate_after(Some(at(1, 8))).await.expect("durable");
            }
            for _ in 0..60 {
                let written = Cell::new(false);
                let writes = async {
                    append(&two, entries(2, index..index + 1, 200_000)).await.expect("durable");
                    two.purge(at(2, index)).await.expect("durable");
                    written.set(true);
                };
                // Whoever reads while entries move finds them where they were, or where they are.
                let reads = async {
                    while !written.get() {
                        assert_eq!(read_all(&one).await, quiet[..9]);
                    }
                };
                futures_util::join!(writes, reads);
                index += 1;
                assert!(log.bytes() <= 10 << 20, "life {life}, entry {index}: {} bytes", log.bytes());
            }
            assert_eq!(read_all(&one).await, quiet[..9], "life {life}");
            assert_eq!(one.state().vote, Some(vote));
        });
    }
    // They can be changed where they are now.
    run(async {
        let log = open(directory.path(), options()).await;
        let one = log.group(GroupId(1));
        assert_eq!(read_all(&one).await, quiet[..9]);
        one.truncate_after(Some(at(1, 4))).await.expect("durable");
        append(&one, entries(4, 5..7, 10)).await.expect("durable");
        one.purge(at(1, 1)).await.expect("durable");
    });
    run(async {
        let log = open(directory.path(), options()).await;
        assert_eq!(read_all(&log.group(GroupId(1))).await, [&quiet[2..5], &entries(4, 5..7, 10)].concat());
    });
}

/// A segment that is full of one group's entries is moved too when almost all behind it is garbage, for it alone keeps that.
#[test]
fn a_dense_old_segment_is_moved_when_the_rest_is_garbage() {
    let directory = tempfile::tempdir().expect("a directory");
    let quiet = entries(1, 0..9, 100_000);
    run(async {
        let log = open(directory.path(), LogOptions { copy_forward_segments_min: 4, ..without_cache() }).await;
        let (one, two) = (log.group(GroupId(1)), log.group(GroupId(2)));
        append(&one, quiet.clone()).await.expect("durable");
        for index in 0..100 {
            append(&two, entries(2, index..index + 1, 200_000)).await.expect("durable");
            two.purge(at(2, index)).await.expect("durable");
            assert!(log.bytes() <= 12 << 20, "entry {index}: {} bytes", log.bytes());
        }
        assert_eq!(read_all(&one).await, quiet);
    });
    run(async {
        let log = open(directory.path(), options()).await;
        assert_eq!(read_all(&log.group(GroupId(1))).await, quiet);
    });
}
