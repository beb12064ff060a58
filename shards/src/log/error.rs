//! Why a log does not open, and why it stopped.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a log does not open.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// An option is out of its range.
    #[error("{option} is {value}; {range}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What was asked for.
        value: u64,
        /// What is possible.
        range: &'static str,
    },
    /// The disk said no. The cause's text names operation and path.
    #[error("cannot open the raft log in {directory}")]
    Io {
        /// The log's directory.
        directory: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// What was made durable is not there any more. Nothing was changed: the replicas of this log have to be rebuilt under a new
    /// peer number (`add-peer --replace`).
    #[error("the raft log is damaged: {file} at byte {offset}: {reason}")]
    Damaged {
        /// The segment.
        file: PathBuf,
        /// Where the damage begins in it.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// There must be a log, and there is none.
    #[error("the raft log in {directory} is missing: what it held is lost")]
    Missing {
        /// The log's directory.
        directory: PathBuf,
    },
    /// A newer z4 wrote this.
    #[error("{file} at byte {offset} has format version {version}; this z4 reads version {supported}")]
    Version {
        /// The segment.
        file: PathBuf,
        /// The frame's place in it.
        offset: u64,
        /// The frame's version.
        version: u16,
        /// The version that this code reads and writes.
        supported: u16,
    },
}

/// The log stopped: a write or a sync failed, so nobody knows what the disk holds, and nothing is acknowledged any more. Only a
/// restart, which reads the disk, goes on from here.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the raft log has stopped after a failed write")]
pub struct Stopped(#[source] Arc<io::Error>);

impl Stopped {
    pub(crate) fn new(cause: io::Error) -> Self {
        Stopped(Arc::new(cause))
    }

    /// The same failure for one more caller: an error of the cause's kind with this as its content.
    pub(crate) fn to_io(&self) -> io::Error {
        io::Error::new(self.0.kind(), self.clone())
    }
}

/// An error and its causes on one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
