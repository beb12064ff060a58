//! From what waits to one frame in memory.

use std::io;
use std::rc::Rc;

use z4_model::encoding::Malformed;
use z4_model::log::LogPosition;

use super::frame::{CHECKPOINT, FrameHeader, HEADER_BYTES, NEWEST, RECYCLED, VERSION, frame_bytes};
use super::group::Group;
use super::options::LogOptions;
use super::record::{Change, MARK_BYTES, Payload, STANDING_BYTES};
use super::segments::{Released, SegmentNumber};
use super::state::{Done, Op, OpKind, State};
use crate::runtime::files::{Buffer, File};

/// A frame that is ready to be written.
pub(crate) struct Batch {
    pub(crate) file: Rc<File>,
    pub(crate) segment: SegmentNumber,
    pub(crate) offset: u64,
    pub(crate) buffer: Buffer,
    pub(crate) records: u32,
    /// Who waits for it.
    pub(crate) done: Vec<Done>,
    /// Entries that no longer live once it is durable.
    pub(crate) released: Released,
    /// Entries that are here now. Until the frame is durable they are read where they were.
    pub(crate) moved: Vec<Moved>,
    /// The sequence after the last append in it, if there is any.
    pub(crate) sequence_end: Option<u64>,
}

/// An entry's second record.
pub(crate) struct Moved {
    group: usize,
    position: LogPosition,
    offset: u32,
}

impl Moved {
    /// Reads the entry here from now on, if it still lives.
    pub(crate) fn apply(self, state: &mut State, segment: SegmentNumber, released: &mut Released) {
        let index = &mut state.groups[self.group].index;
        if index.get(self.position.index).is_none_or(|(found, slot)| found != self.position || slot.segment == 0) {
            return;
        }
        if let Some(before) = index.place(self.position.index, segment, self.offset) {
            released.add(&before);
            if let Some(segment) = state.segments.get_mut(&segment) {
                segment.live_entries += 1;
                segment.live_bytes += before.record_bytes() as u64;
            }
        }
    }
}

/// What the writer does next.
pub(crate) enum Step {
    /// Nothing waits.
    Idle,
    /// What waits first does not fit into the segment any more.
    Rotate,
    /// This.
    Write(Batch),
}

/// How much of what waits goes into the next frame.
struct Measure {
    payload_bytes: usize,
    ops: usize,
}

/// Takes what fits into one frame off the queue. `flush`: commit marks that wait are reason enough for a frame.
pub(crate) fn next_step(state: &mut State, options: &LogOptions, flush: bool) -> io::Result<Step> {
    let marks = state.committed_waits.iter().any(|group| mark_is_due(&state.groups[*group]));
    if state.queue.is_empty() && !(flush && marks) {
        return Ok(Step::Idle);
    }
    let Some(segment) = state.segments.get(&state.tail.segment) else {
        return Err(io::Error::other("the segment that is being written is not open"));
    };
    let (file, recycled, room) = (Rc::clone(&segment.file), segment.recycled, segment.bytes - state.tail.offset);
    let Some(measure) = measure(state, options, room as usize)? else { return Ok(Step::Rotate) };

    let mut encoder = Encoder {
        buffer: file.buffer(frame_bytes(measure.payload_bytes)),
        at: HEADER_BYTES,
        records: 0,
        segment: state.tail.segment,
        offset: state.tail.offset,
        live_entries: 0,
        live_bytes: 0,
        done: Vec::new(),
        released: Released::default(),
        moved: Vec::new(),
        sequence_end: None,
        entry_bytes: 0,
    };
    let mut flags = NEWEST | if recycled { RECYCLED } else { 0 };
    if state.tail.offset == 0 {
        flags |= CHECKPOINT;
        for group in state.groups.iter().filter(|group| group.is_restated()) {
            encoder.put(group, &Change::Checkpoint(group.written));
        }
    }
    for op in state.queue.drain(..measure.ops) {
        encoder.op(&mut state.groups[op.group], op).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    }
    encoder.marks(state);
    Ok(Step::Write(encoder.finish(state, file, flags)))
}

/// The mark belongs to an entry that the log has. One that runs ahead waits for its entry, so that no crash leaves it alone.
fn mark_is_due(group: &Group) -> bool {
    let last = group.written.state.last.map(|last| last.index);
    group.seen.state.committed.map(|committed| committed.index) <= last
}

/// `None` when not even the first fits into `room` bytes.
fn measure(state: &State, options: &LogOptions, room: usize) -> io::Result<Option<Measure>> {
    let restated = if state.tail.offset == 0 { state.groups.iter().filter(|group| group.is_restated()).count() } else { 0 };
    let mut measure = Measure { payload_bytes: restated * STANDING_BYTES + state.committed_waits.len() * MARK_BYTES, ops: 0 };
    if state.tail.offset == 0 && frame_bytes(measure.payload_bytes) > room / 4 {
        let text = format!("the checkpoint of {restated} groups is larger than a quarter of a segment of {room} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if frame_bytes(measure.payload_bytes) > room {
        return Ok(None);
    }
    let batch_bytes_max = usize::try_from(options.batch_bytes_max).unwrap_or(usize::MAX);
    for op in &state.queue {
        let payload_bytes = measure.payload_bytes + op.record_bytes();
        if frame_bytes(payload_bytes) > room || (frame_bytes(payload_bytes) > batch_bytes_max && measure.ops > 0) {
            break;
        }
        measure = Measure { payload_bytes, ops: measure.ops + 1 };
    }
    // A segment's first frame may be its checkpoint alone, when a large entry is first in line.
    let useful = measure.ops > 0 || state.queue.is_empty() || state.tail.offset == 0;
    Ok(useful.then_some(measure))
}

/// How large the next segment must be for its checkpoint and for what waits first.
pub(crate) fn segment_bytes_min(state: &State) -> u64 {
    let standings = state.groups.len() * (STANDING_BYTES + MARK_BYTES);
    let first = state.queue.front().map_or(0, Op::record_bytes);
    (frame_bytes(standings) + frame_bytes(standings + first)) as u64
}

struct Encoder {
    buffer: Buffer,
    at: usize,
    records: u32,
    segment: SegmentNumber,
    offset: u64,
    live_entries: u64,
    live_bytes: u64,
    done: Vec<Done>,
    released: Released,
    moved: Vec<Moved>,
    sequence_end: Option<u64>,
    entry_bytes: u64,
}

impl Encoder {
    /// Encodes one record. Returns where it begins in the segment.
    fn put(&mut self, group: &Group, change: &Change<'_>) -> u32 {
        let begin = self.offset as usize + self.at;
        self.at += change.encode(group.id, &mut self.buffer.as_bytes_mut()[self.at..]);
        self.records += 1;
        begin as u32
    }

    fn op(&mut self, group: &mut Group, op: Op) -> Result<(), Malformed> {
        match op.kind {
            OpKind::Entry { position, payload, sequence } => {
                self.entry_bytes += payload.len() as u64;
                group.written.append(position)?;
                let offset = self.put(group, &Change::Entry(position, Payload::new(&payload)));
                self.sequence_end = Some(sequence + 1);
                // The entry may have been truncated, and even replaced, since it was put in line.
                if group.cached(position.index).is_some_and(|cached| cached.sequence == sequence)
                    && let Some(slot) = group.index.place(position.index, self.segment, offset)
                {
                    self.live_entries += 1;
                    self.live_bytes += slot.record_bytes() as u64;
                }
            }
            OpKind::Move { position, payload } => {
                // Moved only while it lives and is in a segment: it may have been purged or truncated since.
                if group.index.get(position.index).is_some_and(|(found, slot)| found == position && slot.segment != 0) {
                    let offset = self.put(group, &Change::Moved(position, Payload::new(&payload)));
                    self.moved.push(Moved { group: op.group, position, offset });
                }
            }
            OpKind::Vote(vote) => {
                group.written.state.vote = Some(vote);
                self.put(group, &Change::Vote(vote));
            }
            OpKind::Truncate(last) => {
                group.written.truncate(last);
                self.put(group, &Change::Truncate(last));
            }
            OpKind::Purge(upto) => {
                group.written.purge(upto);
                self.put(group, &Change::Purge(upto));
            }
        }
        self.released.append(op.released);
        self.done.extend(op.done);
        Ok(())
    }

    /// The commit marks that wait, last: they may belong to entries of this very frame.
    fn marks(&mut self, state: &mut State) {
        let mut waits = std::mem::take(&mut state.committed_waits);
        waits.retain(|number| {
            let group = &mut state.groups[*number];
            if !mark_is_due(group) {
                return true;
            }
            group.committed_waits = false;
            group.written.state.committed = group.seen.state.committed;
            self.put(group, &Change::Committed(group.written.state.committed));
            false
        });
        state.committed_waits = waits;
    }

    /// Completes the frame and moves the tail behind it.
    fn finish(mut self, state: &mut State, file: Rc<File>, flags: u16) -> Batch {
        // What was measured may be more than what was put: moves and marks can drop out.
        let bytes = frame_bytes(self.at - HEADER_BYTES);
        self.buffer.trim_to_size(bytes);
        let frame = self.buffer.as_bytes_mut();
        frame[self.at..].fill(0);
        let header = FrameHeader {
            version: VERSION,
            flags,
            log: state.tail.log,
            frame: state.tail.frame,
            segment: self.segment,
            payload_bytes: (self.at - HEADER_BYTES) as u32,
            records: self.records,
            previous_crc: state.tail.previous_crc,
        };
        state.waiting_bytes = state.waiting_bytes.saturating_sub(self.entry_bytes);
        state.tail.previous_crc = header.seal(frame);
        state.tail.frame += 1;
        state.tail.offset += bytes as u64;
        if let Some(segment) = state.segments.get_mut(&self.segment) {
            segment.live_entries += self.live_entries;
            segment.live_bytes += self.live_bytes;
        }
        Batch {
            file,
            segment: self.segment,
            offset: self.offset,
            buffer: self.buffer,
            records: self.records,
            done: self.done,
            released: self.released,
            moved: self.moved,
            sequence_end: self.sequence_end,
        }
    }
}
