//! One write to the store, and to the state hash.

use bytes::Bytes;

use super::hash::StateHash;
use super::store::Store;

/// One write to the store.
pub(super) enum Write {
    /// Key and value.
    Put(Bytes, Bytes),
    /// Key, and whether the delete may be a weak one.
    Delete(Bytes, bool),
}

impl Write {
    /// Hands it to the store, and makes it part of the state hash.
    #[inline]
    pub(super) fn run(self, store: &mut impl Store, hash: &mut StateHash) {
        match self {
            Write::Put(key, value) => {
                hash.put(&key, &value);
                store.put(key, value);
            }
            Write::Delete(key, weak) => {
                hash.delete(&key);
                store.delete(key, weak);
            }
        }
    }
}
