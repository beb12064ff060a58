//! The tasks that a run creates: namespaces, payload, due time, encoded once where they are all alike.

use std::str::FromStr;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use z4_proto::{CreateTaskRequest, CreateTasksRequest};

use crate::clock;
use crate::error::{Error, Result};
use crate::wire;

/// When the tasks of a run are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// At once.
    Now,
    /// That many seconds after they are created.
    In(i64),
    /// At times spread evenly over a span, in an order that has nothing to do with time.
    Spread {
        /// The first due time, in milliseconds since 1970.
        from_ms: i64,
        /// Length of the span in milliseconds.
        span_ms: u64,
    },
}

/// `now`, `+SECONDS`, or `spread`: over the next hour.
impl FromStr for Due {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "now" => Ok(Self::Now),
            "spread" => Ok(Self::Spread { from_ms: clock::wall_millis(), span_ms: 3_600_000 }),
            _ => match text.strip_prefix('+').map(str::parse::<i64>) {
                Some(Ok(seconds)) if seconds > 0 => Ok(Self::In(seconds)),
                _ => Err(Error::Input(format!("due {text:?} is none of: now, +SECONDS (a whole number above 0), spread"))),
            },
        }
    }
}

/// What the tasks of a run look like.
#[derive(Clone, Debug)]
pub struct Workload {
    namespaces: Vec<String>,
    payload: Bytes,
    due: Due,
    /// One encoded task per namespace, for runs in which all tasks of a namespace are alike.
    encoded: Vec<Bytes>,
}

impl Workload {
    /// Tasks in `namespaces` namespaces that no other run uses, with `payload_bytes` of payload.
    pub fn new(namespaces: usize, payload_bytes: usize, due: Due) -> Self {
        let run = clock::wall_micros();
        let namespaces: Vec<String> = (0..namespaces.max(1)).map(|n| format!("bench-{run:x}-{n}")).collect();
        // Not all the same byte, so that compression on disk has the work that text gives it.
        let payload: Bytes = (0..payload_bytes).map(|i| b' ' + (i * 31 % 95) as u8).collect::<Vec<_>>().into();
        let mut workload = Self { namespaces, payload, due, encoded: Vec::new() };
        workload.encoded = (0..workload.namespaces.len()).map(|n| workload.request(n, 0).encode_to_vec().into()).collect();
        workload
    }

    /// The same tasks in the same namespaces, due at another time.
    pub fn due(mut self, due: Due) -> Self {
        self.due = due;
        self.encoded = (0..self.namespaces.len()).map(|n| self.request(n, 0).encode_to_vec().into()).collect();
        self
    }

    /// All namespaces.
    pub fn namespaces(&self) -> &[String] {
        &self.namespaces
    }

    /// The namespaces that worker `worker` of `workers` uses, as indexes: all are used, evenly, and every worker has one.
    pub fn share(&self, worker: usize, workers: usize) -> Vec<usize> {
        let own: Vec<usize> = (worker..self.namespaces.len()).step_by(workers.max(1)).collect();
        if own.is_empty() { vec![worker % self.namespaces.len()] } else { own }
    }

    /// Task number `index` of the run in a namespace.
    fn request(&self, namespace: usize, index: u64) -> CreateTaskRequest {
        let mut request = CreateTaskRequest {
            namespace: self.namespaces[namespace].clone(),
            payload: self.payload.clone(),
            ..CreateTaskRequest::default()
        };
        match self.due {
            Due::Now => {}
            Due::In(seconds) => request.tts_seconds = seconds,
            Due::Spread { from_ms, span_ms } => {
                request.deliver_at = Some(wire::timestamp(from_ms + scatter(index, span_ms) as i64));
            }
        }
        request
    }

    /// An encoded `CreateTaskRequest`.
    pub fn task(&self, namespace: usize, index: u64) -> Bytes {
        match self.due {
            Due::Now | Due::In(_) => self.encoded[namespace].clone(),
            Due::Spread { .. } => self.request(namespace, index).encode_to_vec().into(),
        }
    }

    /// An encoded `CreateTaskRequest` whose payload starts with `stamp`; see [`stamp_of`].
    pub fn stamped_task(&self, namespace: usize, stamp: u64) -> Bytes {
        let mut payload = BytesMut::from(&self.payload[..]);
        payload.resize(payload.len().max(8), 0);
        payload[..8].copy_from_slice(&stamp.to_le_bytes());
        CreateTaskRequest { payload: payload.freeze(), ..self.request(namespace, 0) }.encode_to_vec().into()
    }

    /// An encoded `CreateTasksRequest` with the tasks `first..first + count` of the run.
    pub fn batch(&self, namespace: usize, first: u64, count: u64) -> Bytes {
        match self.due {
            Due::Now | Due::In(_) => repeated(&self.encoded[namespace], count),
            Due::Spread { .. } => {
                let tasks = (first..first + count).map(|i| self.request(namespace, i)).collect();
                CreateTasksRequest { tasks }.encode_to_vec().into()
            }
        }
    }
}

/// `count` times the same message as field 1, which is what a `CreateTasksRequest` is.
fn repeated(message: &Bytes, count: u64) -> Bytes {
    let mut batch = BytesMut::with_capacity(count as usize * (message.len() + 6));
    for _ in 0..count {
        batch.put_u8(1 << 3 | 2);
        prost::encoding::encode_varint(message.len() as u64, &mut batch);
        batch.put_slice(message);
    }
    batch.freeze()
}

/// The stamp that [`Workload::stamped_task`] put into a payload.
pub fn stamp_of(payload: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(payload.get(..8)?.try_into().ok()?))
}

/// A number below `span` for each index, in an order that looks random, the same in every run and evenly spread however many are
/// taken: Weyl's sequence with the golden ratio.
pub(crate) fn scatter(index: u64, span: u64) -> u64 {
    let fraction = index.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((u128::from(fraction) * u128::from(span)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    //! The bytes that are sent must be the messages of the protocol, whichever shortcut made them, and the load must be spread as the
    //! run says: a share that leaves a namespace out would leave a shard idle.
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn batches_are_the_messages_of_the_protocol() {
        for due in [Due::Now, Due::In(60), Due::Spread { from_ms: 1_000, span_ms: 10 }] {
            let workload = Workload::new(3, 256, due);
            let batch = CreateTasksRequest::decode(workload.batch(2, 5, 7)).expect("a batch");
            assert_eq!(batch.tasks, (5..12).map(|i| workload.request(2, i)).collect::<Vec<_>>());
            assert_eq!(batch.tasks[0].payload.len(), 256);
            let one = CreateTaskRequest::decode(workload.task(1, 9)).expect("a task");
            assert_eq!(one, workload.request(1, 9));
        }
    }

    #[test]
    fn stamps_come_back_and_payloads_keep_their_size() {
        for (size, want) in [(256, 256), (8, 8), (0, 8)] {
            let workload = Workload::new(1, size, Due::Now);
            let task = CreateTaskRequest::decode(workload.stamped_task(0, 77)).expect("a task");
            assert_eq!((task.payload.len(), stamp_of(&task.payload)), (want, Some(77)));
        }
        assert_eq!(stamp_of(b"short"), None);
    }

    #[test]
    fn every_namespace_is_used_and_every_worker_has_one() {
        for (namespaces, workers) in [(16, 16), (1, 16), (1_000, 16), (5, 3), (3, 5)] {
            let workload = Workload::new(namespaces, 0, Due::Now);
            let shares: Vec<_> = (0..workers).map(|w| workload.share(w, workers)).collect();
            assert!(shares.iter().all(|s| !s.is_empty()));
            assert_eq!(shares.iter().flatten().collect::<BTreeSet<_>>().len(), namespaces);
        }
    }

    #[test]
    fn spread_due_times_fill_the_span_evenly() {
        let due = Due::Spread { from_ms: 5_000, span_ms: 10_000 };
        let workload = Workload::new(1, 0, due);
        let mut seconds = [0u32; 10];
        for i in 0..100_000 {
            let at = workload.request(0, i).deliver_at.expect("a due time");
            seconds[(at.seconds - 5) as usize] += 1;
        }
        assert!(seconds.iter().all(|&n| (9_900..=10_100).contains(&n)), "{seconds:?}");
    }

    #[test]
    fn due_is_parsed_or_refused() {
        assert_eq!("now".parse::<Due>().ok(), Some(Due::Now));
        assert_eq!("+30".parse::<Due>().ok(), Some(Due::In(30)));
        assert!(matches!("spread".parse::<Due>(), Ok(Due::Spread { span_ms: 3_600_000, .. })));
        for bad in ["", "later", "+", "+0", "+1.5", "-3", "30"] {
            assert!(bad.parse::<Due>().is_err(), "{bad:?}");
        }
    }
}
