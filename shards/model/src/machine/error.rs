//! Why applying failed.

use super::store::StoreError;
use crate::encoding::Malformed;

/// Applying failed: the replica must stop, for what it would do next is undefined.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The entry cannot be read.
    #[error("malformed entry: {0}")]
    Entry(Malformed),
    /// A row cannot be read.
    #[error("a row of the partition cannot be read: {0}")]
    Row(Malformed),
}

impl From<Malformed> for ApplyError {
    fn from(row: Malformed) -> Self {
        ApplyError::Row(row)
    }
}
