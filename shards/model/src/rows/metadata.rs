//! How a task's metadata is packed: a count, then key and value of each pair, each with its length before it (varints).

use bytes::Bytes;

use crate::encoding::{Malformed, Reader, put_bytes, put_varint};

/// Packs metadata pairs, in their order (callers pass them sorted by key). No pairs are no bytes.
pub fn pack_metadata<'a>(pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)>) -> Bytes {
    if pairs.len() == 0 {
        return Bytes::new();
    }
    let mut out = Vec::with_capacity(64);
    put_varint(&mut out, pairs.len() as u64);
    for (key, value) in pairs {
        put_bytes(&mut out, key.as_bytes());
        put_bytes(&mut out, value.as_bytes());
    }
    Bytes::from(out)
}

/// The pairs that [`pack_metadata`] packed.
///
/// # Errors
/// Bytes that it did not write.
pub fn unpack_metadata(packed: &Bytes) -> Result<Vec<(String, String)>, Malformed> {
    if packed.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new(packed);
    let count = reader.count(2)?;
    let text = |reader: &mut Reader<'_>| {
        let bytes = reader.bytes()?;
        std::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| Malformed("metadata is not UTF-8"))
    };
    let mut pairs = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        pairs.push((text(&mut reader)?, text(&mut reader)?));
    }
    reader.finish()?;
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn metadata_round_trips(pairs in proptest::collection::vec((".{0,20}", ".{0,20}"), 0..10)) {
            let packed = pack_metadata(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            prop_assert_eq!(unpack_metadata(&packed), Ok(pairs));
        }

        #[test]
        fn any_bytes_are_metadata_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = unpack_metadata(&Bytes::from(bytes));
        }
    }
}
