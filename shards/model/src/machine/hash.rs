//! The hash over every write, and the hasher of the machine's maps.

use std::hash::{BuildHasherDefault, DefaultHasher};

use xxhash_rust::xxh3::xxh3_64;

/// For maps whose keys users choose. Without a random seed: the machine has no randomness, and nothing iterates these maps.
pub(super) type Hashed = BuildHasherDefault<DefaultHasher>;

const KEY: u64 = 0x9e37_79b1_85eb_ca87;
const VALUE: u64 = 0xc2b2_ae3d_27d4_eb4f;
const DELETED: u64 = 0x1656_67b1_9e37_79f9;

/// A hash over every put and delete since the group began, in their order: equal on all replicas at the same index. Each write's
/// xxh3 is folded into what was before by steps that lose nothing, so one write that differs is never healed by the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateHash(pub(super) u64);

impl StateHash {
    #[inline]
    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.fold(xxh3_64(key), KEY);
        self.fold(xxh3_64(value), VALUE);
    }

    #[inline]
    pub(super) fn delete(&mut self, key: &[u8]) {
        self.fold(xxh3_64(key), KEY);
        self.fold(DELETED, DELETED);
    }

    #[inline]
    fn fold(&mut self, hash: u64, odd: u64) {
        self.0 = (self.0.rotate_left(23) ^ hash).wrapping_mul(odd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash is stored and compared across versions of z4; and it must see the order and the kind of each write.
    #[test]
    fn hashes_are_golden_and_see_order_and_kind() {
        let hash = |writes: &[(&str, Option<&str>)]| {
            let mut hash = StateHash(0);
            for (key, value) in writes {
                match value {
                    Some(value) => hash.put(key.as_bytes(), value.as_bytes()),
                    None => hash.delete(key.as_bytes()),
                }
            }
            hash.0
        };
        let (a, b) = (("a", Some("1")), ("b", Some("2")));
        assert_eq!(hash(&[a, b]), GOLDEN);
        assert_ne!(hash(&[a, b]), hash(&[b, a]));
        assert_ne!(hash(&[a]), hash(&[("a", None)]));
        assert_ne!(hash(&[a, ("a", None)]), hash(&[]));
    }

    const GOLDEN: u64 = 4_935_061_404_784_521_472;
}
