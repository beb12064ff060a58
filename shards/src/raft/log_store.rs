//! Our raft log as openraft's `RaftLogStorage`.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};

use futures_util::{Stream, stream};
use openraft::OptionalSend;
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};

use super::types::{self, Entry, LogId, RaftVote, TypeConfig};
use crate::log::GroupLog;

/// One read for replication or apply brings about this many bytes at most.
const READ_BYTES_MAX: usize = 4 << 20;

/// One group's log.
#[derive(Clone)]
pub struct LogStore {
    log: GroupLog,
    /// What is known to be committed is applied before anything else.
    replays: bool,
}

impl LogStore {
    pub fn new(log: GroupLog) -> Self {
        LogStore { log, replays: true }
    }

    /// The same log, that says of nothing that it is committed: openraft applies what it is told of later.
    pub fn without_replay(self) -> Self {
        LogStore { replays: false, ..self }
    }

    async fn entries(&self, start: u64, end: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let entries = self.log.read(start..end, bytes_max).await?;
        entries.into_iter().map(|entry| types::raft_entry(entry).map_err(io::Error::from)).collect()
    }

    /// The same, from `start` on: that it was purged is an error, and not a range that begins later.
    async fn entries_from(&self, start: u64, end: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let entries = self.entries(start, end, bytes_max).await?;
        match entries.first().map(|entry| entry.log_id().index) {
            Some(first) if first != start => {
                let text = format!("entry {start} of the raft log is wanted, but the first that is there is {first}");
                Err(io::Error::new(io::ErrorKind::NotFound, text))
            }
            _ => Ok(entries),
        }
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(n) => *n,
        Bound::Excluded(n) => n.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(n) => n.saturating_add(1),
        Bound::Excluded(n) => *n,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug>(&mut self, range: RB) -> io::Result<Vec<Entry>> {
        let (start, end) = bounds(&range);
        self.entries(start, end, usize::MAX).await
    }

    /// What is applied: it begins where it is wanted.
    async fn entries_stream<RB>(&mut self, range: RB) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (start, end) = bounds(&range);
        let (entries, error) = match self.entries_from(start, end, usize::MAX).await {
            Ok(entries) => (entries, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        stream::iter(entries.into_iter().map(Ok).chain(error.map(Err)))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.entries_from(start, end, READ_BYTES_MAX).await
    }

    async fn read_vote(&mut self) -> io::Result<Option<RaftVote>> {
        Ok(self.log.state().vote.map(types::raft_vote))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let state = self.log.state();
        let purged = state.purged.map(types::log_id);
        Ok(LogState { last_purged_log_id: purged, last_log_id: state.last.map(types::log_id).or(purged) })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &RaftVote) -> io::Result<()> {
        self.log.save_vote(types::vote(vote)).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.log.save_committed(committed.as_ref().map(types::position));
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.log.state().committed.filter(|_| self.replays).map(types::log_id))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry>,
    {
        let entries = entries.into_iter().map(types::log_entry).collect();
        self.log.append(entries, Box::new(move |result| callback.io_completed(result)))
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        self.log.truncate_after(last_log_id.as_ref().map(types::position)).await
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        self.log.purge(types::position(&log_id)).await
    }
}
