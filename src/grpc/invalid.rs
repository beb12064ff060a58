//! Why a request is refused before it reaches a shard. The texts name the field, its value and the limit.

use tonic::Status;
use tonic::metadata::MetadataValue;
use z4_model::ids::{DUE_MS_MAX, NamespaceError};
use z4_proto::{DONE_TRAILER, NOT_DONE};

/// A request that breaks a limit or makes no sense. Nothing of it was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A field is larger than its limit.
    #[error("{field} has {found} {unit}; the limit is {limit} ({option})")]
    TooLarge {
        /// Which field.
        field: &'static str,
        /// What was sent.
        found: usize,
        /// What is counted.
        unit: &'static str,
        /// The most that is taken.
        limit: usize,
        /// The option that sets the limit.
        option: &'static str,
    },
    /// A field is so much larger than its limit that it was not counted to its end.
    #[error("{field} has more than {above} {unit}; the limit is {limit} ({option})")]
    TooMany {
        /// Which field.
        field: &'static str,
        /// So far it was counted.
        above: usize,
        /// What is counted.
        unit: &'static str,
        /// The most that is taken.
        limit: usize,
        /// The option that sets the limit.
        option: &'static str,
    },
    /// A number is outside its range.
    #[error("{field} is {found}; it takes {range}")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// What was sent.
        found: i128,
        /// What it takes.
        range: String,
    },
    /// The fraction of a time.
    #[error("{field}.nanos is {found}; it takes 0 to 999999999")]
    Nanos {
        /// Which time.
        field: &'static str,
        /// What was sent.
        found: i32,
    },
    /// A time that no task can have.
    #[error(
        "{field} is {seconds} seconds and {nanos} nanos since 1970; it takes times up to the last millisecond of year 9999, {} seconds and \
         {} nanos",
        DUE_MS_MAX / 1_000,
        DUE_MS_MAX % 1_000 * 1_000_000
    )]
    TooLate {
        /// Which time.
        field: &'static str,
        /// Seconds of what was sent.
        seconds: i64,
        /// Nanoseconds of what was sent.
        nanos: i32,
    },
    /// The namespace's name.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A task id that no task can have.
    #[error("task_id {0:?} is not a task id: it takes 26 characters of Crockford's base 32")]
    TaskId(String),
    /// A page token that did not come from this list.
    #[error("page_token {0:?} did not come from this list; send next_page_token as it was, or nothing for the first page")]
    PageToken(String),
    /// Fields that do not go together, or one that is missing.
    #[error("{0}")]
    Request(&'static str),
    /// A request inside a batch.
    #[error("{list}[{position}]: {cause}")]
    At {
        /// The repeated field.
        list: &'static str,
        /// Counts from 0.
        position: usize,
        /// What is wrong with it.
        cause: Box<Invalid>,
    },
}

impl Invalid {
    /// The same, said of one request of a batch.
    pub fn at(self, list: &'static str, position: usize) -> Self {
        Invalid::At { list, position, cause: Box::new(self) }
    }
}

impl From<Invalid> for Status {
    fn from(invalid: Invalid) -> Self {
        let mut status = Status::invalid_argument(invalid.to_string());
        status.metadata_mut().insert(DONE_TRAILER, MetadataValue::from_static(NOT_DONE));
        status
    }
}
