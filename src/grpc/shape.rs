//! What a request may repeat, looked at in its bytes before anything is built of them.
//!
//! An element that is empty has two bytes on the wire and some hundred in memory: 8 MiB of them would become half a gigabyte. So
//! elements are counted first. Only what a method knows as repeated is looked into; bytes that are no protobuf are left to the
//! decoder, which says what is wrong with them.

use super::{Invalid, Limits};

/// Requests that repeat nothing may still not be made of a million fields, each of which costs the decoder time.
const FIELDS_MAX: usize = 4_096;

/// What a method's requests repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One task.
    Create,
    /// A batch of tasks.
    Creates,
    /// A change of a task.
    Update,
    /// A message of a consumer.
    Consume,
    /// Namespaces to lease from.
    Lease,
    /// Acks, nacks or extensions.
    Settles(&'static str),
    /// Nothing.
    Plain,
}

impl Shape {
    /// The shape of a method's requests, by its path `/package.Service/Method`.
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/z4.Collection/CreateTask"
            | "/z4.Collection/CreateTaskAsync"
            | "/z4.Collection/CreateTaskStream"
            | "/z4.Collection/CreateTaskStreamAsync" => Shape::Create,
            "/z4.Collection/CreateTasks" => Shape::Creates,
            "/z4.Collection/UpdateTask" => Shape::Update,
            "/z4.Collection/Consume" => Shape::Consume,
            "/z4.Collection/LeaseTasks" => Shape::Lease,
            "/z4.Collection/AckTasks" => Shape::Settles("acks"),
            "/z4.Collection/NackTasks" => Shape::Settles("nacks"),
            "/z4.Collection/ExtendLeases" => Shape::Settles("extensions"),
            _ => Shape::Plain,
        }
    }

    /// Counts what a request repeats.
    ///
    /// # Errors
    /// There is more of it than the limits allow: the request is not to be decoded.
    pub(super) fn check(self, message: &[u8], limits: &Limits) -> Result<(), Invalid> {
        match self {
            Shape::Create => metadata(message, 3, limits),
            Shape::Update => metadata(message, 7, limits),
            Shape::Creates => {
                let tasks = count(message, 1, limits.batch_tasks_max)?;
                at_most("tasks", tasks, "tasks", limits.batch_tasks_max, "batch_tasks_max")?;
                for (position, (_, task)) in fields(message).filter(|(number, _)| *number == 1).enumerate() {
                    metadata(task, 3, limits).map_err(|invalid| invalid.at("tasks", position))?;
                }
                Ok(())
            }
            Shape::Consume => consume(message, limits),
            Shape::Lease => entries_of_namespaces(count(message, 1, limits.consumer_namespaces_max)?, limits),
            Shape::Settles(name) => {
                at_most(name, count(message, 1, limits.settles_max)?, "entries", limits.settles_max, "settles_max")
            }
            Shape::Plain => others_at_most(fields(message).take(FIELDS_MAX + 1).count(), FIELDS_MAX),
        }
    }
}

fn consume(message: &[u8], limits: &Limits) -> Result<(), Invalid> {
    // What a consumer claims again is at most what it may hold.
    let others_max = FIELDS_MAX + limits.credit_max as usize;
    let (mut settles, mut namespaces, mut others) = (0, 0, 0);
    for (number, field) in fields(message) {
        match number {
            1 => {
                for (within, _) in fields(field).take(others_max + limits.consumer_namespaces_max + 2) {
                    if within == 1 { namespaces += 1 } else { others += 1 }
                }
            }
            3..=5 => settles += 1,
            _ => others += 1,
        }
        if settles > counted_max(limits.settles_max) || others > others_max {
            break;
        }
    }
    at_most("acks, nacks and extensions", settles, "entries", limits.settles_max, "settles_max")?;
    entries_of_namespaces(namespaces, limits)?;
    others_at_most(others, others_max)
}

fn metadata(task: &[u8], field: u64, limits: &Limits) -> Result<(), Invalid> {
    let entries = count(task, field, limits.metadata_entries_max)?;
    at_most("metadata", entries, "entries", limits.metadata_entries_max, "metadata_entries_max")
}

fn entries_of_namespaces(namespaces: usize, limits: &Limits) -> Result<(), Invalid> {
    at_most("namespaces", namespaces, "entries", limits.consumer_namespaces_max, "consumer_namespaces_max")
}

/// Refuses a count above its limit, as one that was not counted to its end.
fn at_most(field: &'static str, found: usize, unit: &'static str, limit: usize, option: &'static str) -> Result<(), Invalid> {
    if found > counted_max(limit) {
        return Err(Invalid::TooMany { field, above: counted_max(limit), unit, limit, option });
    }
    super::limits::at_most(field, found, unit, limit, option)
}

fn others_at_most(found: usize, limit: usize) -> Result<(), Invalid> {
    match found <= limit {
        true => Ok(()),
        false => Err(Invalid::Request("the request is made of too many fields to be one of this method's")),
    }
}

/// What is beyond its limit is counted so far: who sends millions holds nobody up.
fn counted_max(limit: usize) -> usize {
    limit.saturating_mul(2).max(64)
}

/// How often a field is there, as far as it is counted.
///
/// # Errors
/// There are too many other fields.
fn count(message: &[u8], field: u64, limit: usize) -> Result<usize, Invalid> {
    let (mut found, mut others) = (0, 0);
    for (number, _) in fields(message) {
        if number == field {
            found += 1
        } else {
            others += 1
        }
        if found > counted_max(limit) || others > FIELDS_MAX {
            break;
        }
    }
    others_at_most(others, FIELDS_MAX).map(|()| found)
}

/// The fields of a message in their order: number, and content where it has a length. Ends where the bytes are no protobuf.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        let key = varint(&mut message)?;
        let content = match key & 7 {
            0 => {
                varint(&mut message)?;
                &[][..]
            }
            1 => take(&mut message, 8)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                take(&mut message, length)?
            }
            5 => take(&mut message, 4)?,
            // The marks of groups: what stands between them is counted as fields.
            3 | 4 => &[],
            _ => return None,
        };
        Some((key >> 3, content))
    })
}

fn take<'a>(message: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (content, rest) = message.split_at_checked(bytes)?;
    *message = rest;
    Some(content)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (place, byte) in message.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            *message = &message[place + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    //! What the decoder would build must be counted, and nothing that it takes may be refused.
    use std::collections::BTreeMap;

    use prost::Message;
    use z4_proto as proto;

    use super::*;

    fn create(metadata: usize) -> proto::CreateTaskRequest {
        let metadata: BTreeMap<_, _> = (0..metadata).map(|i| (format!("key {i}"), "value".to_owned())).collect();
        let deliver_at = Some(prost_types::Timestamp { seconds: 1 << 40, nanos: 5 });
        proto::CreateTaskRequest {
            request_id: "r".into(),
            namespace: "n".into(),
            metadata,
            payload: vec![0x0a; 500].into(),
            deliver_at,
            tts_seconds: -1,
            ..Default::default()
        }
    }

    fn text(shape: Shape, message: &impl Message) -> Result<(), String> {
        shape.check(&message.encode_to_vec(), &Limits::default()).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn elements_are_counted_at_their_limit_and_above() {
        assert_eq!(text(Shape::Create, &create(64)), Ok(()));
        let entries = "metadata has 65 entries; the limit is 64 (metadata_entries_max)";
        assert_eq!(text(Shape::Create, &create(65)), Err(entries.to_owned()));
        let mut batch = proto::CreateTasksRequest { tasks: vec![create(2); 1_000] };
        assert_eq!(text(Shape::Creates, &batch), Ok(()));
        batch.tasks[999] = create(65);
        assert_eq!(text(Shape::Creates, &batch), Err(format!("tasks[999]: {entries}")));
        batch.tasks.push(create(0));
        assert_eq!(text(Shape::Creates, &batch), Err("tasks has 1001 tasks; the limit is 1000 (batch_tasks_max)".into()));
        let acks = |n| proto::AckTasksRequest { acks: vec![proto::Ack::default(); n] };
        assert_eq!(text(Shape::Settles("acks"), &acks(10_000)), Ok(()));
        let limit = "the limit is 10000 (settles_max)";
        assert_eq!(text(Shape::Settles("acks"), &acks(10_001)), Err(format!("acks has 10001 entries; {limit}")));
        let update = proto::UpdateTaskRequest { metadata: create(65).metadata, ..Default::default() };
        assert_eq!(text(Shape::Update, &update), Err(entries.to_owned()));
        let lease = |n| proto::LeaseTasksRequest { namespaces: vec![String::new(); n], ..Default::default() };
        assert_eq!(text(Shape::Lease, &lease(1_000)), Ok(()));
        assert!(text(Shape::Lease, &lease(1_001)).is_err());
    }

    #[test]
    fn a_consumers_message_is_counted_over_its_lists_and_over_fields_sent_twice() {
        let message = proto::ConsumeRequest {
            open: Some(proto::ConsumeOpen { namespaces: vec!["n".into(); 600], ..Default::default() }),
            acks: vec![proto::Ack::default(); 5_000],
            nacks: vec![proto::Nack::default(); 5_000],
            ..Default::default()
        };
        assert_eq!(text(Shape::Consume, &message), Ok(()));
        let mut twice = message.encode_to_vec();
        // A decoder merges a field that comes twice.
        proto::ConsumeRequest { acks: Vec::new(), nacks: Vec::new(), ..message.clone() }.encode(&mut twice).expect("room");
        let refused = Shape::Consume.check(&twice, &Limits::default()).expect_err("1,200 namespaces");
        assert_eq!(refused.to_string(), "namespaces has 1200 entries; the limit is 1000 (consumer_namespaces_max)");
        let one_more = proto::ConsumeRequest { extensions: vec![proto::LeaseExtension::default()], ..message };
        assert!(text(Shape::Consume, &one_more).is_err());
    }

    /// The attack: 4 million tasks in 8 MiB.
    #[test]
    fn millions_of_empty_elements_are_refused_unbuilt() {
        let empties = [0x0a, 0].repeat(4 << 20);
        let many = Shape::Creates.check(&empties, &Limits::default()).expect_err("too many").to_string();
        assert_eq!(many, "tasks has more than 2000 tasks; the limit is 1000 (batch_tasks_max)");
        for shape in [Shape::Creates, Shape::Settles("acks"), Shape::Lease, Shape::Plain] {
            assert!(shape.check(&[0x7a, 0].repeat(4 << 20), &Limits::default()).is_err(), "of no use to {shape:?}");
            assert!(shape.check(&empties, &Limits::default()).is_err(), "{shape:?}");
        }
        for key in [0x1a, 0x12] {
            assert!(Shape::Consume.check(&[key, 0].repeat(4 << 20), &Limits::default()).is_err(), "{key}");
        }
        let mut open = vec![0x0a, 0x80, 0x80, 0x80, 0x04];
        open.extend(empties);
        assert!(Shape::Consume.check(&open, &Limits::default()).is_err(), "namespaces inside open");
    }

    #[test]
    fn what_is_no_protobuf_is_left_to_the_decoder() {
        for bytes in [&[0xff; 40][..], &[0x0a, 0x7f, 1], &[0x0f], &[0x08], &[0x0a; 11]] {
            assert_eq!(Shape::Plain.check(bytes, &Limits::default()), Ok(()));
        }
    }
}
