//! Disks that are full or broken. What was acknowledged stays; what was not is answered with an error; nothing is acknowledged
//! after a failure; and once the disk is well again, a restart goes on.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use z4_model::ids::GroupId;
use z4_model::log::Vote;

use super::support::*;
use crate::log::{Log, LogError, LogOptions};
use crate::runtime::files::{Disk, Faults};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

/// A disk with so much space for new segments, whose syncs or writes can be made to fail.
#[derive(Default)]
struct Sick {
    space: Cell<Option<usize>>,
    sync_fails: Cell<bool>,
    write_fails: Cell<bool>,
    /// Only the first frame of this segment can be written.
    breaks_in: Cell<Option<&'static str>>,
}

impl Faults for Sick {
    fn before_write(&self, path: &Path, at: u64, bytes: usize) -> io::Result<()> {
        if path.ends_with("unfinished.new")
            && let Some(space) = self.space.get()
        {
            let left = space.checked_sub(bytes).ok_or_else(|| io::Error::from_raw_os_error(ENOSPC))?;
            self.space.set(Some(left));
        } else if self.write_fails.get() || (at > 0 && self.breaks_in.get().is_some_and(|name| path.ends_with(name))) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        Ok(())
    }

    fn before_sync(&self, _path: &Path) -> io::Result<()> {
        if self.sync_fails.get() { Err(io::Error::from_raw_os_error(EIO)) } else { Ok(()) }
    }
}

fn on(sick: &Rc<Sick>) -> LogOptions {
    LogOptions { disk: Disk::with_faults(sick.clone()), ..options() }
}

/// Space for two and a half segments: appends go on until both are full, the next is told why, nothing that was acknowledged is
/// lost, and with space again the log goes on.
#[test]
fn a_full_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let durable = run(async {
        let sick = Rc::new(Sick { space: Cell::new(Some(5 << 19)), ..Sick::default() });
        let (log, group) = group(directory.path(), on(&sick)).await;
        let mut index = 0;
        let error = loop {
            match append(&group, entries(1, index..index + 1, 100_000)).await {
                Ok(()) => index += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let text = crate::log::error::describe(&error);
        assert!(text.contains("unfinished.new") && text.contains("No space left"), "{text}");
        assert_eq!(index, 20, "two segments of ten entries");
        let again = append(&group, entries(1, index + 1..index + 2, 1)).await.expect_err("the log has stopped");
        assert_eq!(again.kind(), io::ErrorKind::StorageFull);
        group.save_vote(Vote::default()).await.expect_err("the log has stopped");
        log.close().await.expect_err("says what stopped it");
        index
    });
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        assert_eq!(read_all(&group).await, entries(1, 0..durable, 100_000));
        append(&group, entries(1, durable..durable + 5, 100_000)).await.expect("there is space again");
    });
}

/// The disk is full when the next segment is prepared, but purged segments come free before it is needed: nobody notices.
#[test]
fn a_full_disk_that_is_purged_in_time() {
    let directory = tempfile::tempdir().expect("a directory");
    run(async {
        let sick = Rc::new(Sick { space: Cell::new(Some(2 << 20)), ..Sick::default() });
        let (_log, group) = group(directory.path(), on(&sick)).await;
        for index in 0..100 {
            append(&group, entries(1, index..index + 1, 100_000)).await.expect("durable");
            group.purge(at(1, index)).await.expect("durable");
        }
    });
}

/// There is no space even for the first segment: the error says so, and with space the log opens.
#[test]
fn a_disk_that_is_full_from_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    run(async {
        let sick = Rc::new(Sick { space: Cell::new(Some(1 << 19)), ..Sick::default() });
        match Log::open(directory.path().to_owned(), on(&sick)).await.err().expect("refused") {
            LogError::Io { source, .. } => assert_eq!(source.kind(), io::ErrorKind::StorageFull),
            other => panic!("{other}"),
        }
        sick.space.set(None);
        let (_log, group) = group(directory.path(), on(&sick)).await;
        append(&group, entries(1, 0..1, 10)).await.expect("durable");
    });
}

/// A sync fails once and would succeed the next time. The kernel may have dropped the pages, so nothing is acknowledged any more:
/// not the frame, not what waited behind it, not what comes later.
#[test]
fn a_failed_sync_is_final() {
    let directory = tempfile::tempdir().expect("a directory");
    for sync in [true, false] {
        let (durable, wanted) = run(async {
            let sick = Rc::new(Sick::default());
            let (log, group) = group(directory.path(), on(&sick)).await;
            let first = group.state().last.map_or(0, |last| last.index + 1);
            append(&group, entries(1, first..first + 3, 10)).await.expect("durable");
            (if sync { &sick.sync_fails } else { &sick.write_fails }).set(true);
            let outcomes = Outcomes::default();
            group.append(entries(1, first + 3..first + 4, 10), outcomes.done()).expect("taken");
            group.append(entries(1, first + 4..first + 5, 10), outcomes.done()).expect("taken");
            let vote = group.save_vote(Vote::default()).await.expect_err("not durable");
            sick.sync_fails.set(false);
            sick.write_fails.set(false);
            assert!(crate::log::error::describe(&vote).contains("0000000001.log: Input/output error"), "{vote:?}");
            append(&group, entries(1, first + 5..first + 6, 10)).await.expect_err("the log has stopped");
            group.truncate_after(None).await.expect_err("the log has stopped");
            log.close().await.expect_err("the log has stopped");
            let outcomes = outcomes.0.take();
            assert_eq!(outcomes.len(), 2);
            assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
            (first + 3, first + 5)
        });
        run(async {
            let (_log, group) = group(directory.path(), options()).await;
            let found = read_all(&group).await;
            assert!(found.len() as u64 >= durable && found.len() as u64 <= wanted, "{} entries", found.len());
            assert_eq!(found, entries(1, 0..found.len() as u64, 10));
        });
    }
}

/// Counts writes to one place of a file, and makes them fail when it is told to.
struct Watched {
    at: u64,
    writes: Cell<u32>,
    synced_after: Cell<bool>,
    fails: bool,
}

impl Faults for Watched {
    fn before_write(&self, path: &Path, at: u64, _bytes: usize) -> io::Result<()> {
        if path.ends_with("0000000001.log") && at == self.at {
            self.writes.set(self.writes.get() + 1);
            if self.fails {
                return Err(io::Error::from_raw_os_error(EIO));
            }
        }
        Ok(())
    }

    fn before_sync(&self, path: &Path) -> io::Result<()> {
        if path.ends_with("0000000001.log") && self.writes.get() > 0 {
            self.synced_after.set(true);
        }
        Ok(())
    }
}

/// The sync of the last frame failed, the process ended, and the frame can be read: from the cache of a drive, perhaps. The next one
/// would send and acknowledge it, so it is written and synced again before anybody sees it; where that fails the log does not open.
#[test]
fn the_last_frame_is_made_durable_again_before_it_counts() {
    let directory = tempfile::tempdir().expect("a directory");
    run(async {
        let (log, group) = group(directory.path(), options()).await;
        append(&group, entries(1, 0..2, 3_000)).await.expect("durable");
        append(&group, entries(1, 2..4, 6_000)).await.expect("durable");
        log.close().await.expect("closed");
    });
    let path = segment(directory.path(), 1);
    let (last, bytes) = *frames(&path, 1).last().expect("two frames");
    let image = std::fs::read(&path).expect("read");
    for fails in [true, false] {
        let watched = Rc::new(Watched { at: last as u64, writes: Cell::new(0), synced_after: Cell::new(false), fails });
        run(async {
            let options = LogOptions { disk: Disk::with_faults(watched.clone()), ..options() };
            let opened = Log::open(directory.path().to_owned(), options).await;
            assert_eq!(opened.is_err(), fails);
            if let Ok(log) = opened {
                assert_eq!(read_all(&log.group(GroupId(1))).await, [entries(1, 0..2, 3_000), entries(1, 2..4, 6_000)].concat());
                log.close().await.expect("closed");
            }
        });
        assert_eq!((watched.writes.get(), watched.synced_after.get()), (1, !fails));
        assert_eq!(std::fs::read(&path).expect("read")[..last + bytes], image[..last + bytes], "it is what it was");
    }
}

/// Everything in the first segment is purged and the log goes on in the second, whose first frame never becomes durable. The first
/// segment must still be there: it alone says what was purged, and how the groups voted.
#[test]
fn an_old_checkpoint_stays_until_the_next_is_durable() {
    let directory = tempfile::tempdir().expect("a directory");
    let vote = Vote { term: 4, leader: 2, committed: true };
    run(async {
        let sick = Rc::new(Sick::default());
        let (log, group) = group(directory.path(), on(&sick)).await;
        group.save_vote(vote).await.expect("durable");
        append(&group, entries(1, 0..9, 100_000)).await.expect("durable");
        group.purge(at(1, 8)).await.expect("durable");
        // The second segment's file is made beside the writes; the disk breaks when the log goes on in it.
        until(|| log.shared.state.borrow().next.is_some()).await;
        sick.sync_fails.set(true);
        append(&group, entries(1, 9..10, 300_000)).await.expect_err("the disk is broken");
    });
    // The write never got to the disk.
    patch(&segment(directory.path(), 2), 0, &vec![0; 400_000]);
    run(async {
        let (_log, group) = group(directory.path(), options()).await;
        assert_eq!((group.state().vote, group.state().purged), (Some(vote), Some(at(1, 8))));
        append(&group, entries(1, 9..10, 300_000)).await.expect("durable");
    });
}

/// Old entries are being moved to the log's end when the disk breaks. They must still be readable where they were.
#[test]
fn a_move_that_fails_loses_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    run(async {
        let sick = Rc::new(Sick::default());
        let options = LogOptions { copy_forward_segments_min: 4, cache_bytes_max: 0, ..on(&sick) };
        let (log, quiet) = group(directory.path(), options).await;
        append(&quiet, entries(1, 0..5, 5_000)).await.expect("durable");
        let busy = log.group(z4_model::ids::GroupId(2));
        sick.breaks_in.set(Some("0000000004.log"));
        let mut index = 0;
        // The fourth segment is begun, and entries are moved into it at once.
        while append(&busy, entries(2, index..index + 1, 300_000)).await.is_ok() && busy.purge(at(2, index)).await.is_ok() {
            index += 1;
        }
        until(|| log.shared.state.borrow().stopped.is_some()).await;
        assert_eq!(read_all(&quiet).await, entries(1, 0..5, 5_000));
    });
}
