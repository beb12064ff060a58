//! The machine's only door to durable state.

use bytes::Bytes;

/// Reading failed: the disk, or a checksum. Nothing that depends on it may be served.
#[derive(Debug, thiserror::Error)]
#[error("reading the partition failed")]
pub struct StoreError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// An ordered map of bytes under one write batch: reads see the writes of the batch, and the batch becomes durable as a whole.
pub trait Store {
    /// The value at `key`.
    fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Sets `key`.
    fn put(&mut self, key: Bytes, value: Bytes);

    /// Removes `key`. `weak` promises that the key was never written before the one time that is cancelled now, so that the two
    /// writes may vanish together early. (An LSM tree that drops an older delete below the newer value would otherwise bring a
    /// value from before that delete back.)
    fn delete(&mut self, key: Bytes, weak: bool);

    /// Up to `limit` pairs with `from <= key < until`, in the order of keys.
    fn scan(&mut self, from: &[u8], until: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError>;
}
