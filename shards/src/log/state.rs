//! What a log knows, and the tasks' way to it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use z4_model::ids::GroupId;
use z4_model::log::{LogPayload, LogPosition, Vote};

use super::error::Stopped;
use super::group::{Cached, Group};
use super::newest::Newest;
use super::options::LogOptions;
use super::record::{ENTRY_HEADER_BYTES, MARK_BYTES, VOTE_RECORD_BYTES};
use super::segments::{EmptyFile, Released, Segment, SegmentNumber};
use super::signal::Signal;
use crate::runtime::files::Directory;
use crate::runtime::maps::HashMap;

/// Is called once: when what was asked for is durable, or with the error that stopped the log.
pub type Done = Box<dyn FnOnce(io::Result<()>)>;

/// A change that waits for its frame.
pub(crate) struct Op {
    /// Which group, as an index into [`State::groups`].
    pub(crate) group: usize,
    pub(crate) kind: OpKind,
    /// Entries that stop to live once this is durable.
    pub(crate) released: Released,
    /// Who waits.
    pub(crate) done: Option<Done>,
}

/// What changes.
pub(crate) enum OpKind {
    Entry { position: LogPosition, payload: LogPayload, sequence: u64 },
    Move { position: LogPosition, payload: LogPayload },
    Vote(Vote),
    Truncate(Option<LogPosition>),
    Purge(LogPosition),
}

impl Op {
    pub(crate) fn new(group: usize, kind: OpKind) -> Self {
        Op { group, kind, released: Released::default(), done: None }
    }

    /// Bytes of its record.
    pub(crate) fn record_bytes(&self) -> usize {
        match &self.kind {
            OpKind::Entry { payload, .. } | OpKind::Move { payload, .. } => ENTRY_HEADER_BYTES + payload.len(),
            OpKind::Vote(_) => VOTE_RECORD_BYTES,
            OpKind::Truncate(_) | OpKind::Purge(_) => MARK_BYTES,
        }
    }
}

/// Where the next frame goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The log's identity.
    pub(crate) log: u64,
    /// The segment that is being written.
    pub(crate) segment: SegmentNumber,
    /// The place in it.
    pub(crate) offset: u64,
    /// The frame's number.
    pub(crate) frame: u64,
    /// The checksum of the frame before.
    pub(crate) previous_crc: u32,
}

/// What a log knows. Borrowed for moments, never across an await.
pub(crate) struct State {
    pub(crate) groups: Vec<Group>,
    pub(crate) group_numbers: HashMap<GroupId, usize>,
    /// What waits for the next frames, in order.
    pub(crate) queue: VecDeque<Op>,
    /// Bytes of the entries among them.
    pub(crate) waiting_bytes: u64,
    /// Groups whose commit mark waits for a frame.
    pub(crate) committed_waits: Vec<usize>,
    pub(crate) tail: Tail,
    pub(crate) segments: BTreeMap<SegmentNumber, Segment>,
    /// The newest segment whose checkpoint is durable. Segments before it may go.
    pub(crate) checkpointed: SegmentNumber,
    /// The file of the segment after the present one.
    pub(crate) next: Option<EmptyFile>,
    /// Why there is no next file.
    pub(crate) next_error: Option<io::Error>,
    pub(crate) spares: Vec<EmptyFile>,
    /// The sequence of the next append.
    pub(crate) sequence: u64,
    /// Every append before this sequence is durable, so its payload may leave the memory.
    pub(crate) durable_sequence: u64,
    /// The number of the last durable frame, for everybody who tells of it.
    pub(crate) end: Arc<AtomicU64>,
    pub(crate) cache_bytes: u64,
    pub(crate) stopped: Option<Stopped>,
    /// Takes nothing more.
    pub(crate) closing: bool,
    /// The writer has ended: there will be no frame any more.
    pub(crate) ended: bool,
}

impl State {
    /// Bytes that the log's files take.
    pub(crate) fn bytes(&self) -> u64 {
        let segments: u64 = self.segments.values().map(|segment| segment.bytes).sum();
        segments + self.next.iter().chain(&self.spares).map(|file| file.bytes).sum::<u64>()
    }

    /// The group's index in [`State::groups`].
    pub(crate) fn group_number(&mut self, id: GroupId) -> usize {
        *self.group_numbers.entry(id).or_insert_with(|| {
            self.groups.push(Group::new(id));
            self.groups.len() - 1
        })
    }

    /// Says no when nothing is written any more.
    pub(crate) fn check_writable(&self) -> io::Result<()> {
        match &self.stopped {
            Some(stopped) => Err(stopped.to_io()),
            None if self.closing => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the raft log is closed")),
            None => Ok(()),
        }
    }

    /// Lets durable payloads go, the longest appended first, until the rest fits.
    pub(crate) fn evict(&mut self, cache_bytes_max: u64) {
        while self.cache_bytes > cache_bytes_max {
            let front = |group: &Group| group.cache.front().map_or(u64::MAX, |cached| cached.sequence);
            let Some(oldest) = (0..self.groups.len()).min_by_key(|number| front(&self.groups[*number])) else { return };
            let others = self.groups.iter().enumerate().filter(|(number, _)| *number != oldest);
            let until = others.map(|(_, group)| front(group)).min().unwrap_or(u64::MAX).min(self.durable_sequence);
            let before = self.cache_bytes;
            let cache = &mut self.groups[oldest].cache;
            while self.cache_bytes > cache_bytes_max
                && let Some(cached) = cache.pop_front_if(|cached| cached.sequence < until)
            {
                self.cache_bytes -= cached.bytes();
            }
            if self.cache_bytes == before {
                return;
            }
        }
    }

    /// Takes a payload into memory.
    pub(crate) fn cache(&mut self, group: usize, payload: LogPayload) -> u64 {
        let sequence = self.sequence;
        self.sequence += 1;
        let cached = Cached { sequence, payload };
        self.cache_bytes += cached.bytes();
        self.groups[group].cache.push_back(cached);
        sequence
    }
}

/// One log: what its handles and its tasks share.
pub(crate) struct Shared {
    pub(crate) directory: Directory,
    pub(crate) options: LogOptions,
    /// What is written down of leases, see [`leases`](super::leases).
    pub(crate) leases: Cell<u32>,
    pub(crate) state: RefCell<State>,
    /// The writer has something to do.
    pub(crate) work: Signal,
    /// The housekeeper has something to do.
    pub(crate) chores: Signal,
    /// Segments came or went: it may be worth moving entries.
    pub(crate) moves: Signal,
    /// The housekeeper made a next file, or failed to.
    pub(crate) prepared: Signal,
}

impl Shared {
    /// What is there now.
    pub(crate) fn newest(&self) -> Newest {
        let state = self.state.borrow();
        Newest { segment: state.tail.segment + u32::from(state.next.is_some()), frame: state.end.load(Ordering::Acquire) }
    }

    /// The number of the last durable frame.
    pub(crate) fn durable_frame(&self) -> u64 {
        self.state.borrow().end.load(Ordering::Acquire)
    }

    /// Puts a change in line and wakes the writer.
    pub(crate) fn submit(&self, op: Op) {
        self.state.borrow_mut().queue.push_back(op);
        self.work.raise();
    }

    /// Puts a change in line and waits until it is durable.
    pub(crate) async fn submit_and_wait(&self, mut op: Op) -> io::Result<()> {
        let (sender, receiver) = futures_channel::oneshot::channel();
        op.done = Some(Box::new(move |outcome| {
            // Who no longer waits needs no answer.
            let _ = sender.send(outcome);
        }));
        self.submit(op);
        receiver.await.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::BrokenPipe, "the raft log's executor has ended")))
    }
}
