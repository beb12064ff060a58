//! A partition that was made of another one's chunks must be that partition: the same rows, the same state hash, also after whatever
//! comes next; and until it takes the old one's place nothing of it may count, whatever happens on the way.

use std::fs;
use std::path::{Path, PathBuf};

use z4_model::log::{LogEntry, LogPosition};

use super::history::{log, machine_rows};
use super::*;
use crate::partition::{CHUNK_BYTES_MAX, Draft, ImportError, Partition, PartitionError, Prepared};

const GROUP: GroupId = GroupId(1);

fn open(dir: &Path) -> Partition {
    Partition::open_current(dir, GROUP, &PartitionOptions::default()).expect("it opens")
}

fn apply(partition: &mut Partition, from: u64, until: u64) {
    for run in log(from, until, 300).chunks(7) {
        partition.apply(run).expect("it applies");
    }
}

fn fill(draft: &Draft, source: &Partition) -> u64 {
    let view = source.view();
    let mut filling = draft.fill().expect("it takes rows");
    for chunk in view.chunks() {
        let chunk = chunk.expect("it reads");
        assert!(chunk.rows.len() <= CHUNK_BYTES_MAX);
        assert_eq!(chunk.crc, crc32c::crc32c(&chunk.rows));
        filling.write(chunk.rows).expect("it is written");
    }
    filling.close().expect("it ends")
}

/// What `source` holds, ready to replace `target`.
fn prepare(source: &Partition, target: &Partition) -> Prepared {
    let draft = target.drafts().expect("it is in a generation").begin().expect("a draft");
    fill(&draft, source);
    draft.finish(source.applied(), source.membership().expect("the history has one")).expect("it is finished")
}

fn generations(base: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(base).expect("read").map(|entry| entry.expect("entry").path());
    let mut found: Vec<_> = names.filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

/// Story: the source has rows in tables, memtables and queued layers; the target something else. After the import both go through
/// the same further entries, which ack, retry, move and delete what was imported, one is opened again, and they stay equal.
#[test]
fn an_import_is_its_source_and_stays_so() {
    let (there, here) = (temp(), temp());
    let (mut source, mut target) = (open(there.path()), open(here.path()));
    apply(&mut source, 1, 180);
    source.persist().expect("it persists");
    source.tree.seal_memtables().expect("sealed");
    apply(&mut source, 181, 219);
    apply(&mut target, 1, 5);

    target.adopt(prepare(&source, &target)).expect("it is replaced");
    assert_eq!((target.applied(), target.membership()), (source.applied(), source.membership()));
    assert_eq!((target.state_hash(), target.totals()), (source.state_hash(), source.totals()));
    assert_eq!(target.last_stamp_ms(), source.last_stamp_ms());
    assert!(machine_rows(&target.view()) == machine_rows(&source.view()), "rows differ after the import");

    apply(&mut source, 220, 300);
    apply(&mut target, 220, 260);
    drop(target);
    let mut target = open(here.path());
    apply(&mut target, 261, 300);
    assert_eq!(target.state_hash(), source.state_hash());
    for partition in [&source, &target] {
        partition.tree.seal_memtables().expect("sealed");
        until(|| !partition.tree.flushes());
        while partition.tree.compact().expect("it compacts") {}
    }
    assert!(machine_rows(&target.view()) == machine_rows(&source.view()), "rows differ after further entries");
}

/// A row that is larger than a chunk may be is sent alone.
#[test]
fn a_large_row_is_a_chunk_of_its_own() {
    let parts = Parts::open(temp().path());
    let large = vec![7; 3 * CHUNK_BYTES_MAX];
    parts.commit(&[(&task_key(1), b"x"), (&task_key(2), &large), (&task_key(3), b"y"), (&state_key(1), b"z")]);
    let view = parts.view();
    let chunks: Vec<_> = view.chunks().map(|chunk| chunk.expect("it reads")).collect();
    assert_eq!(chunks.iter().map(|chunk| chunk.count).collect::<Vec<_>>(), [1, 1, 2]);
}

/// Chunks come from another machine: whatever is in them, they are refused in words, and the draft's directory goes.
#[test]
fn rows_that_cannot_be_are_refused() {
    let base = temp();
    let partition = open(base.path());
    let row = |key: &[u8], value: &[u8]| {
        let heads = [&(key.len() as u16).to_be_bytes()[..], &(value.len() as u32).to_be_bytes()[..]].concat();
        [&heads[..], key, value].concat()
    };
    let (task, other) = (row(&task_key(2), b"value"), row(&task_key(1), b"value"));
    let huge = [&[0, 2][..], &u32::MAX.to_be_bytes()[..], b"k1"].concat();
    let bad: [Vec<u8>; 6] = [
        task[..task.len() - 1].to_vec(),
        task[..3].to_vec(),
        [&task[..], &other].concat(),
        [&task[..], &task].concat(),
        huge,
        row(&keys::raft(), b"applied"),
    ];
    for bytes in bad {
        let draft = partition.drafts().expect("a generation").begin().expect("a draft");
        assert_eq!(generations(base.path()).len(), 2);
        let refused = draft.fill().expect("it takes rows").write(Bytes::from(bytes.clone()));
        assert!(matches!(refused, Err(ImportError::Chunk(_))), "{bytes:?}: {refused:?}");
        drop(draft);
        until(|| generations(base.path()).len() == 1);
    }
}

/// Story: a draft is begun, half written, whole, finished, and adopted; at each point the machine loses power, which a copy of the
/// files stands for. What is opened then is the old state, and from the adoption on the new one; nothing is left of the other.
#[test]
fn a_crash_at_any_moment_leaves_the_old_or_the_new() {
    let (there, here, copies) = (temp(), temp(), temp());
    let (mut source, mut target) = (open(there.path()), open(here.path()));
    apply(&mut source, 1, 219);
    apply(&mut target, 1, 30);
    target.persist().expect("it persists");
    let (old, new) = (target.state_hash(), source.state_hash());
    let crash = |moment: &str, expected: u64| {
        let copy = copies.path().join(moment);
        super::damage::copy_dir(here.path(), &copy);
        let opened = open(&copy);
        assert_eq!(opened.state_hash(), expected, "{moment}");
        assert_eq!(generations(&copy).len(), 1, "{moment}");
    };

    let draft = target.drafts().expect("a generation").begin().expect("a draft");
    crash("begun", old);
    {
        let view = source.view();
        let mut filling = draft.fill().expect("it takes rows");
        filling.write(view.chunks().next().expect("one").expect("it reads").rows).expect("written");
        crash("half written", old);
        filling.close().expect("closed");
        crash("written", old);
    }
    drop(draft);
    until(|| generations(here.path()).len() == 1);
    let prepared = prepare(&source, &target);
    crash("finished", old);
    fs::write(here.path().join("current.draft"), "generation-").expect("a switch that did not come to its rename");
    crash("switching", old);
    target.adopt(prepared).expect("adopted");
    until(|| generations(here.path()).len() == 1);
    crash("adopted", new);
}

/// Story: a query's view outlives the state that it looks at. It goes on to see all of it; then the space is given back.
#[test]
fn a_replaced_state_goes_with_its_last_view() {
    let (there, here) = (temp(), temp());
    let (mut source, mut target) = (open(there.path()), open(here.path()));
    apply(&mut source, 1, 219);
    apply(&mut target, 1, 100);
    target.persist().expect("it persists");
    let view = target.view();
    let before = machine_rows(&view);
    target.adopt(prepare(&source, &target)).expect("adopted");
    apply(&mut target, 220, 240);
    assert_eq!(generations(here.path()).len(), 2, "the view needs the old generation");
    assert!(machine_rows(&view) == before, "the view changed");
    drop(view);
    until(|| generations(here.path()).len() == 1);
    assert_eq!(target.totals(), {
        apply(&mut source, 220, 240);
        source.totals()
    });
}

/// A finished draft that is not wanted any more is removed like one that was never finished.
#[test]
fn an_unwanted_prepared_partition_goes() {
    let (there, here) = (temp(), temp());
    let (mut source, target) = (open(there.path()), open(here.path()));
    apply(&mut source, 1, 40);
    let prepared = prepare(&source, &target);
    assert_eq!(prepared.applied(), source.applied());
    drop(prepared);
    until(|| generations(here.path()).len() == 1);
}

/// A draft needs a place beside the partition; one that was opened without generations has none.
#[test]
fn a_partition_outside_of_a_generation_has_no_drafts() {
    let dir = temp();
    let partition = Partition::open(dir.path(), GROUP, &PartitionOptions::default()).expect("it opens");
    assert!(matches!(partition.drafts(), Err(PartitionError::Damaged { .. })));
}

/// The log's last entry need not have written any row.
#[test]
fn an_empty_state_is_imported_as_such() {
    let (there, here) = (temp(), temp());
    let (mut source, mut target) = (open(there.path()), open(here.path()));
    let position = LogPosition { term: 1, leader: 1, index: 1 };
    let members = z4_model::log::LogPayload::Membership(Bytes::from_static(b"voters"));
    source.apply(&[LogEntry { position, payload: members }]).expect("it applies");
    apply(&mut target, 1, 30);
    target.adopt(prepare(&source, &target)).expect("adopted");
    drop(target);
    let target = open(here.path());
    assert_eq!((target.applied(), target.totals()), (Some(position), source.totals()));
}
