//! A partition's rows in pieces that can be sent.
//!
//! ```text
//! per row: key length u16, value length u32, key, value
//! ```
//! Numbers are big-endian, rows in the order of their keys. The partition's own row is in no chunk: whoever sends chunks says apart
//! from them what is applied.

use bytes::{BufMut, Bytes, BytesMut};
use z4_model::encoding::Malformed;
use z4_model::keys;

use super::error::PartitionError;
use super::layer::Row;
use super::view::View;

/// A chunk's size, bytes; a single larger row is a chunk of its own.
pub const CHUNK_BYTES_MAX: usize = 512 << 10;

const HEAD_BYTES: usize = 2 + 4;

/// Rows that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The rows, encoded.
    pub rows: Bytes,
    /// How many.
    pub count: u64,
    /// CRC-32C of `rows`.
    pub crc: u32,
}

impl View {
    /// Everything that the view holds, read as it is asked for. After an error there is nothing more to come.
    pub fn chunks(&self) -> Chunks<'_> {
        let rows = self.range(&[], &[u8::MAX]).filter(|row| !matches!(row, Ok((key, _)) if key[..] == [keys::RAFT]));
        Chunks { rows: Box::new(rows), ahead: None }
    }
}

/// See [`View::chunks`].
pub struct Chunks<'a> {
    rows: Box<dyn Iterator<Item = Result<Row, PartitionError>> + 'a>,
    /// The row that did not fit into the last chunk.
    ahead: Option<Row>,
}

impl Iterator for Chunks<'_> {
    type Item = Result<Chunk, PartitionError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut out = BytesMut::with_capacity(CHUNK_BYTES_MAX);
        let mut count = 0;
        loop {
            let (key, value) = match self.ahead.take().map(Ok).or_else(|| self.rows.next()) {
                Some(Ok(row)) => row,
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            };
            if count > 0 && out.len() + HEAD_BYTES + key.len() + value.len() > CHUNK_BYTES_MAX {
                self.ahead = Some((key, value));
                break;
            }
            out.put_u16(key.len() as u16);
            out.put_u32(value.len() as u32);
            out.put_slice(&key);
            out.put_slice(&value);
            count += 1;
        }
        let rows = out.freeze();
        (count > 0).then(|| Ok(Chunk { crc: crc32c::crc32c(&rows), rows, count }))
    }
}

/// Takes the first row off; values share the chunk's memory.
pub(super) fn take_row(rows: &mut Bytes) -> Result<Option<Row>, Malformed> {
    if rows.is_empty() {
        return Ok(None);
    }
    let Some(&[k1, k2, v1, v2, v3, v4]) = rows.first_chunk::<HEAD_BYTES>() else { return Err(Malformed("a row ends early")) };
    let key_bytes = usize::from(u16::from_be_bytes([k1, k2]));
    let value_bytes = u32::from_be_bytes([v1, v2, v3, v4]) as usize;
    if rows.len() - HEAD_BYTES < key_bytes + value_bytes {
        return Err(Malformed("a row ends early"));
    }
    let mut row = rows.split_to(HEAD_BYTES + key_bytes + value_bytes).slice(HEAD_BYTES..);
    let value = row.split_off(key_bytes);
    // A copy, because tables under construction keep some keys, and each would keep its whole chunk.
    Ok(Some((Bytes::copy_from_slice(&row), value)))
}
