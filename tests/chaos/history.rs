//! What was asked of a cluster, what it answered, and what was done to it; in the order in which the test saw it.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::harness::now_ms;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since 1970, by the clock that the peers have as well; an answer's is taken when it has come.
    pub at_ms: u64,
    /// The peer that was asked or that answered; empty: all of them.
    pub peer: String,
    /// What it was.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen. A task is told by its number, which its payload carries, until the cluster has given it an id. A call is told by a
/// number of its own; it has at most one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A create is sent. The same task may be sent again, with the same request id. `due_ms` 0: at once.
    Create { call: u64, number: u64, namespace: String, request_id: String, due_ms: u64 },
    /// It was answered with OK.
    Created { call: u64, id: String, duplicate: bool },
    /// A task is read, linearizable.
    Get { call: u64, id: String },
    /// It is there.
    Got { call: u64 },
    /// A task gets another due time.
    Update { call: u64, id: String, due_ms: u64 },
    /// It has.
    Updated { call: u64 },
    /// A task is deleted.
    Delete { call: u64, id: String },
    /// It was.
    Deleted { call: u64 },
    /// Any of these calls was answered with an error: a gRPC status code. Nothing at all after a call is an unknown outcome, too.
    Failed { call: u64, code: i32 },
    /// A consumer got a task.
    Delivered { number: u64, id: String, token: u64, attempt: u32, due_ms: u64 },
    /// A consumer says what becomes of a delivery.
    Settle { id: String, token: u64, verdict: Verdict },
    /// And is answered, with a gRPC status code.
    Settled { id: String, token: u64, verdict: Verdict, code: i32 },
    /// The load has ended, every peer is up, everything that was due was consumed: what follows is how it is in the end.
    Ended,
    /// A task is still there.
    Listed { number: u64, id: String },
    /// A peer's replica of a group.
    State { group: u32, index: u64, hash: u64 },
    /// Something was done to the cluster. For people.
    Fault { text: String },
}

/// What a consumer says of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ack,
    Nack,
    Extend,
}

/// Keeps the events, in memory and in a file with one JSON object a line.
pub struct Recorder {
    pub events: Vec<Event>,
    file: BufWriter<File>,
}

impl Recorder {
    /// An empty history.
    pub fn new(path: &Path) -> Self {
        Recorder { events: Vec::new(), file: BufWriter::new(File::create(path).expect("a file")) }
    }

    /// Something happens now.
    pub fn record(&mut self, peer: &str, what: What) {
        let event = Event { at_ms: now_ms(), peer: peer.to_owned(), what };
        serde_json::to_writer(&mut self.file, &event).expect("written");
        self.file.write_all(b"\n").expect("written");
        self.events.push(event);
    }
}

/// Reads a history that a [`Recorder`] wrote.
pub fn read(path: &Path) -> Vec<Event> {
    let file = BufReader::new(File::open(path).expect("the history's file"));
    file.lines().map(|line| serde_json::from_str(&line.expect("readable")).expect("an event")).collect()
}
