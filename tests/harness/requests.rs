//! Small makers of requests, and times in milliseconds.

use std::time::{SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;
use z4_proto::{Ack, CreateTaskRequest, Delivery, LeaseExtension, Nack, Task};

/// Milliseconds since 1970, by the clock that the peer on the same machine reads as well.
#[allow(clippy::disallowed_methods, reason = "a client has its own clock, which is the point of the comparison")]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("before the year 500 million")
}

/// Milliseconds as a protobuf time.
pub fn timestamp(ms: u64) -> Timestamp {
    let seconds = i64::try_from(ms / 1_000).expect("fits");
    Timestamp { seconds, nanos: i32::try_from(ms % 1_000 * 1_000_000).expect("fits") }
}

/// A task's due time, milliseconds.
pub fn due_ms(task: &Task) -> u64 {
    let due = task.deliver_at.as_ref().expect("every task has a due time");
    u64::try_from(due.seconds).expect("after 1970") * 1_000 + u64::try_from(due.nanos).expect("not negative") / 1_000_000
}

/// A create of a task that is due at once.
pub fn create(namespace: &str, payload: &str) -> CreateTaskRequest {
    CreateTaskRequest {
        namespace: namespace.to_owned(),
        payload: payload.to_owned().into_bytes().into(),
        ..CreateTaskRequest::default()
    }
}

/// A create of a task that is due at a time, milliseconds.
pub fn due_at(namespace: &str, payload: &str, ms: u64) -> CreateTaskRequest {
    CreateTaskRequest { deliver_at: Some(timestamp(ms)), ..create(namespace, payload) }
}

/// The number that a test put into a payload.
pub fn payload_number(task: &Task) -> Option<u64> {
    std::str::from_utf8(&task.payload).ok()?.parse().ok()
}

fn parts(delivery: &Delivery) -> (String, String, u64) {
    let task = delivery.task.as_ref().expect("a delivery carries its task");
    (task.namespace.clone(), task.id.clone(), delivery.token)
}

/// Acknowledges a delivery.
pub fn ack_of(delivery: &Delivery) -> Ack {
    let (namespace, task_id, token) = parts(delivery);
    Ack { namespace, task_id, token }
}

/// Gives a delivery up; `delay_ms` `None`: by the namespace's backoff.
pub fn nack_of(delivery: &Delivery, delay_ms: Option<u64>, reason: &str) -> Nack {
    let (namespace, task_id, token) = parts(delivery);
    Nack { namespace, task_id, token, delay_ms, reason: reason.to_owned() }
}

/// Asks for more time for a delivery.
pub fn extension_of(delivery: &Delivery, lease_ms: u32) -> LeaseExtension {
    let (namespace, task_id, token) = parts(delivery);
    LeaseExtension { namespace, task_id, token, lease_ms }
}
