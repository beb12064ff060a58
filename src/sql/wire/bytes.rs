//! Reads and writes MySQL's integers and strings. Reading never goes beyond the end.

/// Bytes that are left to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// An integer that says its own length; NULL's byte is none.
    pub(super) fn number(&mut self) -> Option<u64> {
        match self.u8()? {
            0xfb | 0xff => None,
            0xfc => self.u16().map(u64::from),
            0xfd => self.array().map(|[a, b, c]| u64::from(u32::from_le_bytes([a, b, c, 0]))),
            0xfe => self.array().map(u64::from_le_bytes),
            byte => Some(u64::from(byte)),
        }
    }

    /// A string after its length.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    /// A string up to a zero, or up to the end.
    pub(super) fn terminated(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0);
        let string = &self.0[..end.unwrap_or(self.0.len())];
        self.0 = end.and_then(|end| self.0.get(end + 1..)).unwrap_or_default();
        string
    }
}

/// Appends an integer that says its own length.
pub(super) fn push_number(into: &mut Vec<u8>, number: u64) {
    let bytes = number.to_le_bytes();
    match number {
        0..=250 => into.push(number as u8),
        251..=0xffff => {
            into.push(0xfc);
            into.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xff_ffff => {
            into.push(0xfd);
            into.extend_from_slice(&bytes[..3]);
        }
        _ => {
            into.push(0xfe);
            into.extend_from_slice(&bytes);
        }
    }
}

/// Appends a string after its length.
pub(super) fn push_string(into: &mut Vec<u8>, string: &[u8]) {
    push_number(into, string.len() as u64);
    into.extend_from_slice(string);
}
