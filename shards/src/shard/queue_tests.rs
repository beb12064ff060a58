//! The bounds of the queue, and what leaves together.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use z4_model::command::{Create, Entry, encode_entry};
use z4_model::ids::{GroupId, TaskId, TaskKey};

use super::*;

fn creates(namespace: &str, count: usize, payload: usize) -> Command {
    let payload = Bytes::from(vec![0; payload]);
    let create = Create { request: None, due_ms: 1, asked_ms: None, sequence: 0, metadata: Bytes::new(), payload };
    Command { namespace: Namespace::new(namespace).expect("valid"), ops: vec![Op::Create(create); count] }
}

fn ack(namespace: &str) -> Command {
    let key = TaskKey { due_ms: 1, sequence: 1 };
    let id = TaskId { due_ms: 1, group: GroupId(1), sequence: 1 };
    Command { namespace: Namespace::new(namespace).expect("valid"), ops: vec![Op::Ack { id, key, rewritten: false, token: 0 }] }
}

/// Hands a command in; the rejection, when it is refused on the spot.
fn push(queue: &Queue, limits: &BatchLimits, command: Command) -> Option<Rejection> {
    let told: Rc<RefCell<Option<Rejection>>> = Rc::default();
    let note = Rc::clone(&told);
    let done = Done::call(move |result| *note.borrow_mut() = result.err());
    queue.push(limits, 0, (command, Bound::Anywhere), (None, done));
    told.take()
}

/// Pushes until one is refused; how many were taken, and why no more.
fn fill(queue: &Queue, limits: &BatchLimits, command: &Command) -> (usize, Rejection) {
    let mut taken = 0;
    loop {
        if let Some(refused) = push(queue, limits, command.clone()) {
            return (taken, refused);
        }
        taken += 1;
    }
}

/// Many batches of small tasks wait while an entry is on its way: they must not become one entry with more creates than an index has
/// sequences, for those past the bound would be answered INTERNAL.
#[test]
fn an_entry_holds_no_more_operations_than_it_has_sequences() {
    let (queue, limits) = (Queue::default(), BatchLimits { bytes_max: 8 << 20, ..BatchLimits::default() });
    (0..150).for_each(|_| assert_eq!(push(&queue, &limits, creates("a", 1_000, 0)), None));
    let mut left = 150;
    while let (Some(batch), _) = queue.pop_batch(&limits) {
        let ops: usize = batch.commands.iter().map(|command| command.ops.len()).sum();
        assert!(ops <= 65_536, "{ops} operations in an entry");
        left -= batch.commands.len();
    }
    assert_eq!(left, 0);
    let refused = push(&queue, &limits, creates("a", 65_537, 0)).expect("more than any entry takes");
    assert_eq!(refused, Rejection::TooLarge { what: "operations", found: 65_537, limit: 65_536 });
}

/// The raft log refuses an entry that is too large, which ends the replica, and then the next leader's: such a command must be refused
/// before, and what is taken must fit, whatever the options say.
#[test]
fn no_entry_is_larger_than_the_log_takes() {
    let (queue, limits) =
        (Queue::default(), BatchLimits { bytes_max: 32 << 20, waiting_bytes_max: 1 << 30, ..BatchLimits::default() });
    let refused = push(&queue, &limits, creates("a", 1, 16 << 20)).expect("the payload alone is as large as an entry");
    assert!(matches!(refused, Rejection::TooLarge { what: "bytes", limit: ENTRY_BYTES_MAX, .. }), "{refused}");
    assert!(refused.to_string().contains("the limit is 16777216"), "{refused}");
    assert_eq!(push(&queue, &limits, creates("a", 1, (16 << 20) - 200)), None);
    (0..12).for_each(|_| assert_eq!(push(&queue, &limits, creates("a", 1_000, 3_000)), None));
    let mut entries = 0;
    while let (Some(batch), _) = queue.pop_batch(&limits) {
        let bytes = encode_entry(&Entry { stamp_ms: u64::MAX, now_ms: Some(u64::MAX), commands: batch.commands });
        assert!(bytes.len() <= ENTRY_BYTES_MAX, "an entry of {} bytes", bytes.len());
        entries += 1;
    }
    assert_eq!(entries, 4);
}

/// One namespace that sends as much as it can must leave room for the others, and for the acks of everybody.
#[test]
fn a_namespace_cannot_fill_the_queue_of_its_group() {
    for (limits, command) in [
        (BatchLimits { waiting_max: 1_000, ..BatchLimits::default() }, creates("flood", 1, 0)),
        (BatchLimits { waiting_bytes_max: 1 << 20, ..BatchLimits::default() }, creates("flood", 1, 1_000)),
    ] {
        let queue = Queue::default();
        let (taken, refused) = fill(&queue, &limits, &command);
        assert!(refused.to_string().contains("the namespace's share"), "{refused}");
        assert!(taken >= 700, "alone it gets three quarters: {taken}");
        for other in ["b", "c", "d"] {
            let (taken, _) =
                fill(&queue, &limits, &Command { namespace: Namespace::new(other).expect("valid"), ..command.clone() });
            assert!(taken > 0, "{other} found no room");
        }
        // When all is full, deliveries still end.
        for n in 0.. {
            if push(&queue, &limits, creates(&format!("n{n}"), 1, 1_000)).is_some() {
                break;
            }
        }
        assert_eq!(push(&queue, &limits, ack("flood")), None);
        let (acks, refused) = fill(&queue, &limits, &ack("flood"));
        assert!(acks >= 100 && matches!(refused, Rejection::Overloaded { .. }), "{acks}: {refused}");
        // Nothing is counted any more when all has left.
        while queue.pop_batch(&limits).0.is_some() {}
        assert!(queue.0.borrow().of.is_empty() && queue.0.borrow().all.bytes == 0);
        assert_eq!(fill(&queue, &limits, &command).0, taken);
    }
}

/// A client that has given up is not to find its task made ten seconds later: what nobody waits for does not leave.
#[test]
fn what_nobody_waits_for_does_not_leave() {
    let (queue, limits) = (Queue::default(), BatchLimits::default());
    let mut waiting = Vec::new();
    for n in 0..6 {
        let (tx, rx) = futures_channel::oneshot::channel();
        queue.push(&limits, 0, (creates("a", n + 1, 0), Bound::Anywhere), (None, Done::Answer(tx)));
        waiting.push(rx);
    }
    let kept: Vec<_> = waiting.into_iter().enumerate().filter(|(n, _)| n % 2 == 1).map(|(_, rx)| rx).collect();
    let (batch, gone) = queue.pop_batch(&limits);
    let sizes: Vec<_> = batch.expect("three are waited for").commands.iter().map(|command| command.ops.len()).collect();
    assert_eq!((sizes, gone.len(), kept.len()), (vec![2, 4, 6], 3, 3));
    assert!(queue.is_empty() && queue.0.borrow().of.is_empty());
}
