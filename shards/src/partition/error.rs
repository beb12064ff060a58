//! Why a partition cannot serve.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::trouble::{Trouble, Troubles};
use z4_model::ids::GroupId;
use z4_model::machine::{ApplyError, StoreError};

/// A partition's failure. After any of them but [`PartitionError::Locked`] the partition is in doubt: the replica stops.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PartitionError {
    /// What is on disk is not what was written, or is not there any more: a checksum, a length, a missing file. The partition is
    /// never served; it is rebuilt from a peer's snapshot.
    #[error("the partition of group {group} in {dir} is damaged; it must be rebuilt and is not served")]
    Damaged {
        /// Whose partition.
        group: GroupId,
        /// The directory.
        dir: Arc<Path>,
        /// A file is not there any more, or is empty: somebody took it away, or its file system is not mounted. At a start nothing takes its
        /// place.
        missing: bool,
        /// What was found.
        source: Cause,
    },
    /// The disk refused to read or to write (full, gone, no permission), or a background thread failed earlier.
    #[error("the partition of group {group} in {dir} cannot be read or written")]
    Storage {
        /// Whose partition.
        group: GroupId,
        /// The directory.
        dir: Arc<Path>,
        /// What failed.
        source: Cause,
    },
    /// Another process, or a view that still lives in this one, has it open.
    #[error("the partition of group {group} in {dir} is in use by another process")]
    Locked {
        /// Whose partition.
        group: GroupId,
        /// The directory.
        dir: Arc<Path>,
    },
    /// The machine could not apply an entry.
    #[error("the partition of group {group} in {dir} cannot apply the entry at index {index}")]
    Apply {
        /// Whose partition.
        group: GroupId,
        /// The directory.
        dir: Arc<Path>,
        /// The entry.
        index: u64,
        /// Why.
        source: Arc<ApplyError>,
    },
}

/// An error that can be told more than once: the writer thread's failure is the answer to every later call.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct Cause(Arc<dyn std::error::Error + Send + Sync>);

impl Cause {
    /// Wraps the error that was found.
    pub(super) fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Cause(Arc::new(error))
    }
}

/// Something that the journal audit or a row decoder found wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Finding(pub(super) String);

/// Where an error happened: every error of a partition names its group and directory.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) group: GroupId,
    pub(super) dir: Arc<Path>,
    /// Its rows are lost: there is nothing that could be read.
    pub(super) lost: bool,
    told: Arc<Told>,
}

type Tell = Arc<dyn Fn(&PartitionError) + Send + Sync>;

/// Who is told of damage, once somebody wants to be.
#[derive(Default)]
struct Told(OnceLock<Tell>);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Told").field(&self.0.get().is_some()).finish()
    }
}

impl Place {
    pub(super) fn new(group: GroupId, dir: Arc<Path>) -> Self {
        Place { group, dir, lost: false, told: Arc::default() }
    }

    /// Has `tell` called with all damage that is found here from now on. The first one stays.
    pub(super) fn tell(&self, tell: Tell) {
        let _ = self.told.0.set(tell);
    }

    /// Damage here is told to whom damage there is told to.
    pub(super) fn tell_like(&self, other: &Place) {
        if let Some(tell) = other.told.0.get() {
            self.tell(Arc::clone(tell));
        }
    }

    /// An error of the tree, sorted into what it means for the replica.
    pub(super) fn tree(&self, error: impl Troubles) -> PartitionError {
        match error.trouble() {
            Trouble::Locked => self.locked(),
            Trouble::Missing => self.damage(true, error),
            Trouble::Damaged => self.damaged(error),
            Trouble::Storage => self.storage(error),
        }
    }

    pub(super) fn damaged(&self, source: impl std::error::Error + Send + Sync + 'static) -> PartitionError {
        self.damage(false, source)
    }

    /// Something is not there any more.
    pub(super) fn missing(&self, what: impl Into<String>) -> PartitionError {
        self.damage(true, Finding(what.into()))
    }

    fn damage(&self, missing: bool, source: impl std::error::Error + Send + Sync + 'static) -> PartitionError {
        let error = PartitionError::Damaged { group: self.group, dir: self.dir.clone(), missing, source: Cause::new(source) };
        if let Some(tell) = self.told.0.get() {
            tell(&error);
        }
        error
    }

    /// A row or file that is not what it should be.
    pub(super) fn finding(&self, what: impl Into<String>) -> PartitionError {
        self.damaged(Finding(what.into()))
    }

    pub(super) fn storage(&self, source: impl std::error::Error + Send + Sync + 'static) -> PartitionError {
        PartitionError::Storage { group: self.group, dir: self.dir.clone(), source: Cause::new(source) }
    }

    pub(super) fn locked(&self) -> PartitionError {
        PartitionError::Locked { group: self.group, dir: self.dir.clone() }
    }

    /// The machine's failure at an entry.
    pub(super) fn applying(&self, index: u64, error: ApplyError) -> PartitionError {
        match own(error) {
            Ok(own) => own,
            Err(other) => PartitionError::Apply { group: self.group, dir: self.dir.clone(), index, source: Arc::new(other) },
        }
    }

    /// The machine's failure when it only reads: what it cannot read is damaged.
    pub(super) fn reading(&self, error: ApplyError) -> PartitionError {
        own(error).unwrap_or_else(|other| self.damaged(other))
    }
}

/// The partition's own error, when that is what the machine met.
fn own(error: ApplyError) -> Result<PartitionError, ApplyError> {
    match error {
        ApplyError::Store(StoreError(source)) => match source.downcast() {
            Ok(own) => Ok(*own),
            Err(other) => Err(ApplyError::Store(StoreError(other))),
        },
        other => Err(other),
    }
}

impl From<PartitionError> for StoreError {
    fn from(error: PartitionError) -> Self {
        StoreError(Box::new(error))
    }
}
