//! What SQL reads of a view: every row of a span once, in due order or backwards, whatever the size of the pages and wherever the rows
//! are; and views that other threads make while entries are applied. What would be wrong: a row that is missed or comes twice at the edge of a
//! page, one that was removed and shows through a newer snapshot, a view that is half of one entry and half of another.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use z4_model::command::Op;
use z4_model::ids::{Namespace, TaskKey};
use z4_model::log::{LogEntry, LogPayload, LogPosition};
use z4_model::machine::testing::{command, create, entry};

use super::store::Fate;
use super::*;
use crate::partition::{Partition, Span};

type Rows = Vec<(TaskKey, Bytes)>;

fn ns(name: &str) -> Namespace {
    Namespace::new(name).expect("valid")
}

/// Everything of a span, in pages. The pages must keep to their limits and make progress.
fn read(view: &View, span: Span, (rows_max, bytes_max): (usize, usize)) -> Rows {
    let (mut rows, mut left) = (Rows::new(), Some(span));
    while let Some(span) = left {
        let before = rows.len();
        left = view.read(&span, (rows_max, bytes_max), &mut rows).expect("it reads");
        let page = &rows[before..];
        assert!(page.len() <= rows_max.max(1) && (left.is_none() || !page.is_empty()), "{} rows, left {left:?}", page.len());
        let first: usize = page[..page.len().saturating_sub(1)].iter().map(|(_, value)| value.len()).sum();
        assert!(page.len() <= 1 || first < bytes_max, "{first} bytes before the last row");
    }
    rows
}

fn names() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a"), Just("aa"), Just("b")]
}

fn positions() -> impl Strategy<Value = TaskKey> {
    (0u64..6, 0u64..4).prop_map(|(due_ms, sequence)| TaskKey { due_ms, sequence })
}

type Named = (&'static str, bool, TaskKey);
type Run = (Vec<(Named, Option<usize>)>, Fate);

fn runs() -> impl Strategy<Value = Run> {
    let named = (names(), any::<bool>(), positions());
    let ops = proptest::collection::vec((named, proptest::option::weighted(0.6, 0usize..9)), 1..30);
    (ops, prop_oneof![3 => Just(Fate::Queued), 3 => Just(Fate::Written), 1 => Just(Fate::Flushed)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_span_has_its_rows_once_in_either_direction(
        runs in proptest::collection::vec(runs(), 1..8),
        spans in proptest::collection::vec((names(), any::<bool>(), positions(), positions(), any::<bool>()), 1..6),
        limits in (0usize..9, 0usize..40),
    ) {
        let dir = temp();
        let parts = Parts::open(dir.path());
        let mut model = BTreeMap::new();
        for (ops, fate) in runs {
            let mut layer = Layer::default();
            for ((name, dead, at), value) in ops {
                let key = keys::row(&ns(name), dead, at);
                match value {
                    Some(bytes) => layer.put(key, Bytes::from(vec![7; bytes])),
                    None => layer.delete(key, false),
                }
                match value {
                    Some(bytes) => model.insert((name, dead, at), Bytes::from(vec![7; bytes])),
                    None => model.remove(&(name, dead, at)),
                };
            }
            layer.put(state_key(1), Bytes::new());
            parts.finish(layer, fate);
        }
        let view = parts.view();
        for (name, dead, from, until, backwards) in spans {
            let inside = model.iter().filter(|((n, d, at), _)| *n == name && *d == dead && (from..until).contains(at));
            let mut want: Rows = inside.map(|((_, _, at), value)| (*at, value.clone())).collect();
            if backwards {
                want.reverse();
            }
            let span = Span { namespace: ns(name), dead, from, until, backwards };
            prop_assert_eq!(read(&view, span, limits), want);
        }
    }
}

/// Entry `index`: creates three tasks and removes the first two, so that after it there are as many as its index says.
fn one_more(index: u64) -> LogEntry {
    let creates = (0..3).map(|n| create(1_000_000 + index * 3 + n, b"payload")).collect();
    let commands = vec![command("a", creates), command("a", vec![Op::Purge { limit: 2 }])];
    LogEntry { position: LogPosition { term: 1, leader: 1, index }, payload: LogPayload::Normal(entry(index, commands)) }
}

fn all(name: &str, backwards: bool) -> Span {
    Span { namespace: ns(name), dead: false, from: TaskKey::MIN, until: TaskKey::MAX, backwards }
}

/// It is the state after one entry, by all that can be seen.
fn check(view: &View) -> u64 {
    let index = view.applied_index().expect("it reads").unwrap_or(0);
    let live = view.namespace(&ns("a")).expect("it reads").map_or(0, |row| row.live);
    let rows = read(view, all("a", false), (7, 1 << 20));
    let mut backwards = read(view, all("a", true), (5, 1 << 20));
    backwards.reverse();
    assert_eq!((live, rows.len() as u64), (index, index), "live and rows of the state after entry {index}");
    assert!(rows == backwards, "forwards and backwards differ after entry {index}");
    index
}

/// Story: two threads look again and again while entries are applied, written and synced, some of them one at a time, so that the queue is
/// mostly empty: the case in which a snapshot can be newer than the layers over it. What they see never goes back.
#[test]
fn views_of_other_threads_are_of_one_entry_each() {
    let dir = temp();
    let mut partition = Partition::open(dir.path(), GroupId(1), &PartitionOptions::default()).expect("it opens");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (viewer, ended) = (partition.viewer(), &ended);
            scope.spawn(move || {
                let mut last = 0;
                while !ended.load(Ordering::Relaxed) {
                    let now = check(&viewer.view().expect("open"));
                    assert!(now >= last, "it went back from {last} to {now}");
                    last = now;
                }
            });
        }
        for index in 1..=300 {
            partition.apply(&[one_more(index)]).expect("it applies");
            if index.is_multiple_of(3) {
                partition.persist().expect("it persists");
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
    let viewer = partition.viewer();
    let view = viewer.view().expect("open");
    drop(partition);
    assert!(viewer.view().is_none(), "a closed partition has no views");
    assert_eq!(check(&view), 300, "but what was seen stays");
}

/// A layer that was pushed and written between the look at the queue and the snapshot spoils the two. One that only waits does not, nor does
/// the writing of what was looked at.
#[test]
fn layers_and_a_snapshot_that_do_not_belong_together_are_found_out() {
    let dir = temp();
    let parts = Parts::open(dir.path());
    let push = |n: u8| {
        let mut layer = Layer::default();
        layer.put(task_key(n), Bytes::new());
        parts.queue.push(layer, None).expect("there is room");
    };
    push(1);
    let look = parts.queue.look();
    assert!(parts.queue.stands(&look));
    push(2);
    assert!(parts.queue.stands(&look), "the first is still in the queue, so the second is not being written");
    let layers = parts.queue.layers();
    parts.queue.written(&layers[1]);
    assert!(!parts.queue.stands(&look), "the second may be written to fjall by now");
    let look = parts.queue.look();
    parts.queue.written(&layers[0]);
    assert!(parts.queue.stands(&look), "nothing was pushed since");
}

/// Story: a thread has a viewer and a view when another peer's state replaces the partition. The view stays what it was, the viewer shows the
/// new state at once, the old state goes after its last view, and closing ends it.
#[test]
fn a_viewer_follows_an_installed_snapshot() {
    let (here, there) = (temp(), temp());
    let options = PartitionOptions::default();
    let mut source = Partition::open_current(there.path(), GroupId(1), &options).expect("it opens");
    source.apply(&(1..=9).map(one_more).collect::<Vec<_>>()).expect("it applies");
    let mut target = Partition::open_current(here.path(), GroupId(1), &options).expect("it opens");
    target.apply(&[one_more(1)]).expect("it applies");
    let viewer = target.viewer();
    let before = viewer.view().expect("open");

    target.install(&source.view(), source.applied(), (None, Bytes::from_static(b"members"))).expect("it installs");
    assert_eq!((check(&before), check(&viewer.view().expect("open"))), (1, 9));
    target.apply(&[one_more(10)]).expect("it applies");
    assert_eq!((check(&before), check(&viewer.view().expect("open"))), (1, 10));

    let old = here.path().join("generation-1");
    assert!(old.exists(), "a view of it lives");
    drop(before);
    for _ in 0..600_000 {
        if !old.exists() {
            break;
        }
        std::thread::yield_now();
    }
    assert!(!old.exists(), "nothing keeps the old state");
    drop(target);
    assert!(viewer.view().is_none());
    Partition::open_current(here.path(), GroupId(1), &options).expect("nothing keeps it open");
}
