//! The raft log: one per shard, shared by the replicas that the shard hosts.
//!
//! # On disk
//!
//! A directory of numbered segment files without a hole in the numbers. A segment is a row of frames (`frame.rs`), a frame a row
//! of records (`record.rs`). A frame is what one write and one fdatasync make durable: everything that arrived, from all groups, while
//! the frame before was being written. There is no timer. The first frame of a segment begins with a checkpoint, which restates
//! vote, commit mark, purge point and extent of every group, so that older segments can go.
//!
//! Segment files are filled with zeros before they are used, and purged ones are used again, so that a sync never has to change
//! metadata. Number, frame number, the checksum of the frame before and the log's random identity are in each header: nothing
//! that an earlier life left in a file can pass for a frame.
//!
//! # What always holds
//!
//! - `done` is called only after the fdatasync of the frame that holds the last of the entries.
//! - At most one frame is in flight, so only the last frame can be torn. A bad frame with a good one behind it is damage, and the
//!   log refuses to open.
//! - Once a write or sync has failed nothing is acknowledged any more.
//! - Segments go oldest first, each durably, and only after the record that made them useless is durable. An entry that must
//!   exist but is in no segment is damage, even when a whole segment is missing at the begin.
//!
//! # Tasks
//!
//! `writer` builds and writes frames, `housekeeping` prepares and frees segments, `copy_forward` moves the last entries out of old
//! ones. They share `state` with the handles, and borrow it for moments only.

mod batch;
pub mod bytes;
mod copy_forward;
mod error;
mod frame;
mod group;
mod group_log;
mod housekeeping;
mod index;
mod leases;
mod newest;
mod note;
mod options;
mod read;
mod record;
mod recovery;
mod replay;
mod scan;
mod segments;
mod signal;
mod standing;
mod state;
#[cfg(test)]
mod tests;
mod weigh;
mod writer;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use z4_model::ids::GroupId;

pub use error::{LogError, Stopped};
pub use group_log::GroupLog;
pub use options::{ENTRY_BYTES_MAX, LogObservation, LogOptions, Observer};
pub use standing::GroupState;
pub use state::Done;

use crate::runtime::files::{Directory, spawn};
use crate::runtime::{pace, random};
use recovery::Recovered;
use segments::Segment;
use signal::Signal;
use state::{Shared, State, Tail};

type Task = Pin<Box<dyn Future<Output = Option<()>>>>;

/// A shard's log. A clone is another handle on the same one. It lives on the executor that opened it.
#[derive(Clone)]
pub struct Log {
    shared: Rc<Shared>,
    tasks: Rc<RefCell<Vec<Task>>>,
}

impl Log {
    /// Opens the log of a directory, which is made when it is not there. A torn tail is cut off; damage before it is an error.
    /// Nobody else may have the directory open.
    pub async fn open(directory: PathBuf, options: LogOptions) -> Result<Log, LogError> {
        options.validate()?;
        let io_error = |source| LogError::Io { directory: directory.clone(), source };
        let must_exist = options.must_exist;
        let opened = Directory::open(&directory).await.map_err(io_error)?;
        let recovered = recovery::recover(&opened, &options).await?;
        let is_new = recovered.is_none();
        if is_new && must_exist {
            return Err(LogError::Missing { directory });
        }
        let leases = leases::read(&opened)?;
        pace::remember(leases);
        let shared = Rc::new(Shared {
            directory: opened,
            options,
            leases: Cell::new(leases),
            state: RefCell::new(state(recovered)),
            work: Signal::default(),
            chores: Signal::default(),
            moves: Signal::default(),
            prepared: Signal::default(),
        });
        if is_new {
            let file = housekeeping::create(&shared, 1).await.map_err(io_error)?;
            let segment = Segment { file: file.file, bytes: file.bytes, recycled: false, live_entries: 0, live_bytes: 0 };
            shared.state.borrow_mut().segments.insert(1, segment);
        }
        let newest = shared.newest();
        if newest::read(&shared.directory)? != Some(newest) {
            newest::write(&shared.directory, &shared.options, newest).await.map_err(io_error)?;
        }
        let writer: Task = Box::pin(spawn(writer::run(Rc::clone(&shared))));
        let housekeeper: Task = Box::pin(spawn(housekeeping::run(Rc::clone(&shared))));
        let mover: Task = Box::pin(spawn(copy_forward::run(Rc::clone(&shared))));
        Ok(Log { shared, tasks: Rc::new(RefCell::new(vec![writer, housekeeper, mover])) })
    }

    /// A group's log. Empty when the group is new here.
    pub fn group(&self, group: GroupId) -> GroupLog {
        let number = self.shared.state.borrow_mut().group_number(group);
        GroupLog { log: Rc::clone(&self.shared), group: number }
    }

    /// The groups that the log has something of.
    pub fn groups(&self) -> Vec<GroupId> {
        let state = self.shared.state.borrow();
        state.groups.iter().filter(|group| group.is_restated()).map(|group| group.id).collect()
    }

    /// Bytes that the log's files take on disk, the prepared and the spare ones included.
    pub fn bytes(&self) -> u64 {
        self.shared.state.borrow().bytes()
    }

    /// Entries that were appended since the log was opened, by all its groups.
    pub fn received(&self) -> u64 {
        self.shared.state.borrow().sequence
    }

    /// Where the log keeps the number of its last durable frame. Frames are numbered from 1 on, over all segments and restarts.
    pub fn end(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.state.borrow().end)
    }

    /// Writes what waits, syncs, and closes the files. Every handle refuses writes from the call on. The error is the one that
    /// stopped the log, if something did.
    pub async fn close(self) -> io::Result<()> {
        self.shared.state.borrow_mut().closing = true;
        self.shared.work.raise();
        let tasks = self.tasks.take();
        for task in tasks {
            task.await;
        }
        if self.shared.state.borrow().stopped.is_none() {
            let newest = self.shared.newest();
            if let Err(error) = newest::write(&self.shared.directory, &self.shared.options, newest).await {
                // Everything is durable all the same.
                tracing::warn!(error = %error::describe(&error), "the raft log cannot write down where it ends");
            }
        }
        let (segments, next, spares) = {
            let mut state = self.shared.state.borrow_mut();
            (std::mem::take(&mut state.segments), state.next.take(), std::mem::take(&mut state.spares))
        };
        let files = segments.into_values().map(|segment| segment.file);
        for file in files.chain(next.into_iter().chain(spares).map(|empty| empty.file)) {
            // Somebody still reads it otherwise; then it closes when that ends.
            if let Ok(file) = Rc::try_unwrap(file) {
                file.close().await?;
            }
        }
        match &self.shared.state.borrow().stopped {
            Some(stopped) => Err(stopped.to_io()),
            None => Ok(()),
        }
    }
}

fn state(recovered: Option<Recovered>) -> State {
    let new = || Recovered {
        groups: Vec::new(),
        tail: Tail { log: random::number(), segment: 1, offset: 0, frame: 1, previous_crc: 0 },
        segments: BTreeMap::new(),
        next: None,
        spares: Vec::new(),
    };
    let Recovered { groups, tail, segments, next, spares } = recovered.unwrap_or_else(new);
    State {
        group_numbers: groups.iter().enumerate().map(|(number, group)| (group.id, number)).collect(),
        groups,
        queue: VecDeque::new(),
        waiting_bytes: 0,
        committed_waits: Vec::new(),
        checkpointed: if tail.offset > 0 { tail.segment } else { 0 },
        segments,
        next,
        next_error: None,
        spares,
        sequence: 0,
        durable_sequence: 0,
        // The last frame that was found was synced again.
        end: Arc::new(AtomicU64::new(tail.frame - 1)),
        tail,
        cache_bytes: 0,
        stopped: None,
        closing: false,
        ended: false,
    }
}
