//! The few primitives that every byte format of a group is made of: little-endian numbers, varints, bytes with their length.

use bytes::Bytes;

/// Bytes that are not what they should be, and why. Who reads them says what they should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// The most bytes a varint takes.
pub(crate) const VARINT_BYTES_MAX: usize = 10;

const _: () = assert!(
    VARINT_BYTES_MAX * 7 >= u64::BITS as usize && (VARINT_BYTES_MAX - 1) * 7 < u64::BITS as usize,
    "seven bits a byte hold every number"
);

/// No more room is set aside before the first number was read.
const ASCENDING_RESERVED_MAX: usize = 4_096;

/// Appends `n`, seven bits a byte, the low ones first; all bytes but the last have their top bit set.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    if n < 0x80 {
        out.push(n as u8);
        return;
    }
    let mut bytes = [0u8; VARINT_BYTES_MAX];
    let mut len = 0;
    while n >= 0x80 {
        bytes[len] = n as u8 | 0x80;
        n >>= 7;
        len += 1;
    }
    bytes[len] = n as u8;
    out.extend_from_slice(&bytes[..=len]);
}

/// Appends a length as a varint, then the bytes.
#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends how many there are, the first number, and how much larger each next one is: `numbers` ascend strictly.
pub(crate) fn put_ascending(out: &mut Vec<u8>, numbers: &[u64]) {
    assert!(numbers.is_sorted_by(|a, b| a < b), "what would be written could not be read");
    put_varint(out, numbers.len() as u64);
    let mut before = 0;
    for n in numbers {
        put_varint(out, n.wrapping_sub(before));
        before = *n;
    }
}

/// What [`put_ascending`] wrote.
pub(crate) fn take_ascending(reader: &mut Reader<'_>) -> Result<Vec<u64>, Malformed> {
    let count = reader.count(1)?;
    let mut numbers: Vec<u64> = Vec::with_capacity(count.min(ASCENDING_RESERVED_MAX));
    for _ in 0..count {
        let step = reader.varint()?;
        numbers.push(match numbers.last() {
            None => step,
            Some(before) => before.checked_add(step).filter(|n| n > before).ok_or(Malformed("numbers do not ascend"))?,
        });
    }
    Ok(numbers)
}

/// Reads a buffer from its beginning. Never allocates: byte strings are slices of the buffer.
pub(crate) struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a Bytes) -> Self {
        Reader { bytes, at: 0 }
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        debug_assert!(self.at <= self.bytes.len());
        self.bytes.len() - self.at
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        let byte = *self.bytes.get(self.at).ok_or(Malformed("it ends early"))?;
        self.at += 1;
        Ok(byte)
    }

    /// One encoding per number: overlong ones are refused.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        self.long_varint(first)
    }

    fn long_varint(&mut self, first: u8) -> Result<u64, Malformed> {
        let mut n = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                return Err(Malformed("a number has more than 64 bits"));
            }
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return if byte == 0 { Err(Malformed("a number is longer than it needs")) } else { Ok(n) };
            }
            shift += 7;
        }
    }

    #[inline]
    pub(crate) fn varint_u32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.varint()?).map_err(|_| Malformed("a number has more than 32 bits"))
    }

    #[inline]
    pub(crate) fn varint_u16(&mut self) -> Result<u16, Malformed> {
        u16::try_from(self.varint()?).map_err(|_| Malformed("a number has more than 16 bits"))
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>()).ok_or(Malformed("it ends early"))?;
        self.at += N;
        Ok(*bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u128(&mut self) -> Result<u128, Malformed> {
        self.array().map(u128::from_le_bytes)
    }

    #[inline]
    pub(crate) fn f64(&mut self) -> Result<f64, Malformed> {
        self.array().map(f64::from_le_bytes)
    }

    /// A slice of the next `len` bytes.
    #[inline]
    pub(crate) fn slice(&mut self, len: usize) -> Result<Bytes, Malformed> {
        if len > self.left() {
            return Err(Malformed("a length goes past the end"));
        }
        let slice = self.bytes.slice(self.at..self.at + len);
        self.at += len;
        Ok(slice)
    }

    /// What [`put_bytes`] wrote.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<Bytes, Malformed> {
        let len = self.varint()?;
        self.slice(usize::try_from(len).map_err(|_| Malformed("a length goes past the end"))?)
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> Bytes {
        let slice = self.bytes.slice(self.at..);
        self.at = self.bytes.len();
        slice
    }

    /// A count of things that take at least `least` bytes each, so that a count that cannot be true allocates nothing.
    #[inline]
    pub(crate) fn count(&mut self, least: usize) -> Result<usize, Malformed> {
        match usize::try_from(self.varint()?) {
            Ok(count) if count <= self.left() / least.max(1) => Ok(count),
            _ => Err(Malformed("a count goes past the end")),
        }
    }

    /// Nothing may follow.
    pub(crate) fn finish(self) -> Result<(), Malformed> {
        if self.left() == 0 { Ok(()) } else { Err(Malformed("bytes follow its end")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_round_trip(n: u64, shift in 0u32..64) {
            let n = n >> shift;
            let mut out = Vec::new();
            put_varint(&mut out, n);
            let bytes = Bytes::from(out);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), Ok(n));
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }

    /// Two encodings of one number would let two different entries mean the same.
    #[test]
    fn a_number_has_one_encoding() {
        for bad in [&[0x80, 0x00][..], &[0x80], &[0xff; 11], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]] {
            let bytes = Bytes::copy_from_slice(bad);
            assert!(Reader::new(&bytes).varint().is_err(), "{bad:?}");
        }
    }
}
