//! What one read does is bounded, however much is stored.

use z4_model::ids::Namespace;
use z4_model::log::{LogEntry, LogPayload, LogPosition};
use z4_model::machine::testing::{command, create, entry};

use super::*;
use crate::partition::{Due, Partition};

const NOW_MS: u64 = 1_000;

fn apply(partition: &mut Partition, index: u64, namespace: &str, tasks: impl Iterator<Item = u64>, payload: usize) {
    let payload = vec![7; payload];
    let ops = tasks.map(|due_ms| create(due_ms, &payload)).collect();
    let position = LogPosition { term: 1, leader: 1, index };
    let payload = LogPayload::Normal(entry(1, vec![command(namespace, ops)]));
    partition.apply(&[LogEntry { position, payload }]).expect("it applies");
}

/// The gauges of due tasks were set by reading all of them, with their payloads, every five seconds.
#[test]
fn counting_what_is_due_reads_a_bounded_number_of_rows_and_bytes() {
    let dir = temp();
    let mut partition = Partition::open(dir.path(), GroupId(1), &PartitionOptions::default()).expect("it opens");
    // All due; none; some; some that are large; more than are counted in one part.
    apply(&mut partition, 1, "a", 1..=3_000, 10);
    apply(&mut partition, 2, "b", 5_000..5_100, 10);
    apply(&mut partition, 3, "c", 995..1_005, 10);
    apply(&mut partition, 4, "d", (0..200).map(|n| if n == 0 { 5_000 } else { n + 1 }), 64 << 10);
    apply(&mut partition, 5, "e", (0..20_000).map(|n| if n == 0 { 9_000 } else { 500 }), 10);
    apply(&mut partition, 6, "f", 3..=4, 10);
    let view = partition.view();
    let (mut due, mut after, mut parts): (Due, Option<Namespace>, _) = (Due::default(), None, 0);
    loop {
        let part = view.due(NOW_MS, after.as_ref()).expect("it reads");
        assert!(part.read_rows <= 10_001 && part.read_bytes <= (4 << 20) + (65 << 10), "{part:?}");
        due.rows += part.due.rows;
        due.oldest_ms = [due.oldest_ms, part.due.oldest_ms].into_iter().flatten().min();
        parts += 1;
        if !part.full {
            break;
        }
        after = part.last;
    }
    assert_eq!(due.oldest_ms, Some(1));
    // "a" has as many due as the clock says; of "d" and "e" so many at least were counted.
    assert!((1_000 + 6 + 64 + 10_000 - 200..=1_000 + 6 + 199 + 19_999 + 2).contains(&due.rows), "{due:?}");
    assert!(parts <= 4, "{parts}");
}
