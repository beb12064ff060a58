//! What the tests share: entries, options, and how to look at a log's files.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;
use z4_model::ids::GroupId;
use z4_model::log::{LogEntry, LogPayload, LogPosition};

use crate::log::frame::FrameHeader;
use crate::log::{GroupLog, Log, LogError, LogOptions};
use crate::runtime::files::BLOCK_BYTES;
pub(crate) use crate::runtime::testing::run;

pub(crate) const ALL: std::ops::Range<u64> = 0..u64::MAX;

/// The smallest segments, and a cache that never evicts.
pub(crate) fn options() -> LogOptions {
    LogOptions { segment_bytes: 1 << 20, ..LogOptions::default() }
}

/// The same, and nothing durable stays in memory: reads go to the disk.
pub(crate) fn without_cache() -> LogOptions {
    LogOptions { cache_bytes_max: 0, ..options() }
}

pub(crate) fn at(term: u64, index: u64) -> LogPosition {
    LogPosition { term, leader: 7, index }
}

/// An entry whose content follows from its position.
pub(crate) fn entry(term: u64, index: u64, bytes: usize) -> LogEntry {
    let content: Vec<u8> = (0..bytes).map(|i| (term * 31 + index * 7 + i as u64) as u8).collect();
    LogEntry { position: at(term, index), payload: LogPayload::Normal(Bytes::from(content)) }
}

pub(crate) fn entries(term: u64, indices: std::ops::Range<u64>, bytes: usize) -> Vec<LogEntry> {
    indices.map(|index| entry(term, index, bytes)).collect()
}

pub(crate) async fn open(directory: &Path, options: LogOptions) -> Log {
    Log::open(directory.to_owned(), options).await.expect("the log opens")
}

pub(crate) async fn group(directory: &Path, options: LogOptions) -> (Log, GroupLog) {
    let log = open(directory, options).await;
    let group = log.group(GroupId(1));
    (log, group)
}

/// Appends and waits until it is durable.
pub(crate) async fn append(group: &GroupLog, entries: Vec<LogEntry>) -> io::Result<()> {
    let (sender, receiver) = futures_channel::oneshot::channel();
    group.append(entries, Box::new(|outcome| sender.send(outcome).expect("the test waits")))?;
    receiver.await.expect("done is called")
}

pub(crate) async fn read_all(group: &GroupLog) -> Vec<LogEntry> {
    group.read(ALL, usize::MAX).await.expect("entries are read")
}

/// Why the log does not open.
pub(crate) fn refusal(directory: &Path) -> LogError {
    run(async { Log::open(directory.to_owned(), options()).await.err().expect("the log must not open") })
}

/// A segment's path.
pub(crate) fn segment(directory: &Path, number: u32) -> PathBuf {
    directory.join(crate::log::segments::segment_name(number))
}

/// The frames of a segment file: offset, length.
pub(crate) fn frames(path: &Path, number: u32) -> Vec<(usize, usize)> {
    let bytes = std::fs::read(path).expect("the segment is read");
    let mut at = 0;
    let mut frames = Vec::new();
    while at + BLOCK_BYTES <= bytes.len()
        && let Some(header) = FrameHeader::parse(&bytes[at..]).filter(|header| header.segment == number)
    {
        frames.push((at, header.frame_bytes()));
        at += header.frame_bytes();
    }
    frames
}

/// Changes bytes of a file in place.
pub(crate) fn patch(path: &Path, offset: usize, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("the file opens");
    file.write_all_at(bytes, offset as u64).expect("the patch is written");
}

/// The file that says how far a log is, as a crash finds it: put back with an older image of the segments.
pub(crate) struct Newest {
    path: PathBuf,
    content: Vec<u8>,
}

impl Newest {
    pub(crate) fn of(directory: &Path) -> Self {
        let path = directory.join("newest");
        Newest { content: std::fs::read(&path).expect("read"), path }
    }

    pub(crate) fn put_back(&self) {
        std::fs::write(&self.path, &self.content).expect("written");
    }
}

/// Collects the outcomes of appends.
#[derive(Clone, Default)]
pub(crate) struct Outcomes(pub(crate) Rc<RefCell<Vec<io::Result<()>>>>);

impl Outcomes {
    pub(crate) fn done(&self) -> Box<dyn FnOnce(io::Result<()>)> {
        let outcomes = self.0.clone();
        Box::new(move |outcome| outcomes.borrow_mut().push(outcome))
    }
}

/// Lets the log's tasks work until the condition holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        turn().await;
    }
}

/// Lets the other tasks run once.
async fn turn() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
