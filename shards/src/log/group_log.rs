//! One group's handle on its shard's log.

use std::io;
use std::ops::Range;
use std::rc::Rc;

use z4_model::log::{LogEntry, LogPosition, Vote};

use super::options::ENTRY_BYTES_MAX;
use super::read;
use super::standing::GroupState;
use super::state::{Done, Op, OpKind, Shared};

/// One group's log. A clone is another handle on the same one.
///
/// What a call changes is seen by the following calls at once; durable it is when the call says so. After a failed write nothing
/// is taken any more: every call that writes answers with that failure.
#[derive(Clone)]
pub struct GroupLog {
    pub(crate) log: Rc<Shared>,
    pub(crate) group: usize,
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

impl GroupLog {
    /// Where the log stands, with everything that was asked for, durable or not.
    pub fn state(&self) -> GroupState {
        self.log.state.borrow().groups[self.group].seen.state
    }

    /// Appends entries, which must follow the last one and each other without a hole; a log without any takes them at every index.
    /// They can be read at once; `done` is called when they are durable, or with the error that stopped the log. After `Err`
    /// nothing was appended and `done` is not called.
    pub fn append(&self, entries: Vec<LogEntry>, done: Done) -> io::Result<()> {
        let mut state = self.log.state.borrow_mut();
        state.check_writable()?;
        let mut standing = state.groups[self.group].seen;
        for LogEntry { position, payload } in &entries {
            if payload.len() > ENTRY_BYTES_MAX {
                let (bytes, limit) = (payload.len(), ENTRY_BYTES_MAX);
                return Err(invalid(format!("entry {} has a payload of {bytes} bytes; the limit is {limit}", position.index)));
            }
            let last = standing.state.last;
            standing.append(*position).map_err(|_| {
                invalid(format!("entry {} does not follow the last one, {}", position.index, last.map_or(0, |last| last.index)))
            })?;
        }
        if entries.is_empty() {
            drop(state);
            done(Ok(()));
            return Ok(());
        }
        state.groups[self.group].seen = standing;
        for LogEntry { position, payload } in entries {
            let sequence = state.cache(self.group, payload.clone());
            state.groups[self.group].index.push(position, payload.len() as u32);
            state.waiting_bytes += payload.len() as u64;
            state.queue.push_back(Op::new(self.group, OpKind::Entry { position, payload, sequence }));
        }
        if let Some(last) = state.queue.back_mut() {
            last.done = Some(done);
        }
        drop(state);
        self.log.work.raise();
        Ok(())
    }

    /// Bytes of entries, of all groups of this log, that wait for a frame.
    pub fn waiting_bytes(&self) -> u64 {
        self.log.state.borrow().waiting_bytes
    }

    /// Makes a vote durable.
    pub async fn save_vote(&self, vote: Vote) -> io::Result<()> {
        {
            let mut state = self.log.state.borrow_mut();
            state.check_writable()?;
            state.groups[self.group].seen.state.vote = Some(vote);
        }
        self.log.submit_and_wait(Op::new(self.group, OpKind::Vote(vote))).await
    }

    /// Notes the commit mark. It goes along with the next frame and forces none, so a crash may take it back to an earlier one; it
    /// never runs ahead of the entries that survive.
    pub fn save_committed(&self, committed: Option<LogPosition>) {
        let mut state = self.log.state.borrow_mut();
        let group = &mut state.groups[self.group];
        group.seen.state.committed = committed;
        if !std::mem::replace(&mut group.committed_waits, true) {
            state.committed_waits.push(self.group);
        }
    }

    /// Removes the entries after `last`; all of them when it is `None`. Durable on return. `last` must be an entry of the log, or
    /// what was purged last; nothing happens when the log ends before it.
    pub async fn truncate_after(&self, last: Option<LogPosition>) -> io::Result<()> {
        let op = {
            let mut state = self.log.state.borrow_mut();
            state.check_writable()?;
            let state = &mut *state;
            let group = &mut state.groups[self.group];
            let Some(seen_last) = group.seen.state.last else { return Ok(()) };
            if let Some(last) = last {
                if last.index > seen_last.index {
                    return Ok(());
                }
                let found = group.index.get(last.index).map(|(position, _)| position);
                if found.or(group.seen.state.purged.filter(|purged| purged.index == last.index)) != Some(last) {
                    return Err(invalid(format!(
                        "cannot truncate after entry {}: the log has another one or none there",
                        last.index
                    )));
                }
                if last.index == seen_last.index {
                    return Ok(());
                }
            }
            let cache_first = group.cache_first();
            group.seen.truncate(last);
            let end = group.seen.entries().end;
            let released = group.index.truncate_from(end);
            while cache_first + (group.cache.len() as u64) > end.max(cache_first) {
                state.cache_bytes -= group.cache.pop_back().map_or(0, |cached| cached.bytes());
            }
            Op { released, ..Op::new(self.group, OpKind::Truncate(last)) }
        };
        self.log.submit_and_wait(op).await
    }

    /// Removes the entries up to `upto`, it included; durable on return. The log goes on behind `upto` even when it ended before
    /// it. Segments that no group needs any more come free.
    pub async fn purge(&self, upto: LogPosition) -> io::Result<()> {
        let op = {
            let mut state = self.log.state.borrow_mut();
            state.check_writable()?;
            let state = &mut *state;
            let group = &mut state.groups[self.group];
            if group.seen.state.purged.is_some_and(|purged| purged.index >= upto.index) {
                return Ok(());
            }
            group.seen.purge(upto);
            let released = group.index.purge_before(upto.index + 1);
            let entries = group.seen.entries();
            while group.cache.len() as u64 > entries.end - entries.start {
                state.cache_bytes -= group.cache.pop_front().map_or(0, |cached| cached.bytes());
            }
            Op { released, ..Op::new(self.group, OpKind::Purge(upto)) }
        };
        self.log.submit_and_wait(op).await
    }

    /// The entries of a range of indices that the log has, in order: as many as `bytes_max` bytes of payload allow, but at least
    /// one if there is any. From memory, else from disk, where checksums are verified; an error of kind `InvalidData` names the
    /// place that is damaged.
    pub async fn read(&self, range: Range<u64>, bytes_max: usize) -> io::Result<Vec<LogEntry>> {
        read::read(&self.log, self.group, range, bytes_max).await
    }
}
