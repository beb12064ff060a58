//! A namespace's row: its value, and the bytes.
//!
//! ```text
//! 1 (version, u8)  flags (u8: 1 paused)  created_ms  live  dead  low_water_ms  lease_ms  max_attempts  backoff_first_ms
//! backoff_ceiling_ms  idempotency_window_ms  backoff_factor (f64)  backoff_jitter (f64)
//! ```
//!
//! Numbers are varints unless said otherwise.

use bytes::Bytes;

use crate::encoding::{Malformed, Reader, put_varint};
use crate::settings::Settings;

const VERSION: u8 = 1;
const PAUSED: u8 = 1;

/// A namespace as its row holds it; the default is one that does not exist.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamespaceRow {
    /// Its settings.
    pub settings: Settings,
    /// When its first command was applied; 0: it does not exist and these are the defaults.
    pub created_ms: u64,
    /// Tasks that are not dead.
    pub live: u64,
    /// Tasks whose attempts are used up.
    pub dead: u64,
    /// No live row is due before this.
    pub low_water_ms: u64,
}

impl NamespaceRow {
    /// The row's value.
    pub fn encode(&self) -> Bytes {
        let s = &self.settings;
        let mut out = Vec::with_capacity(80);
        out.extend_from_slice(&[VERSION, if s.paused { PAUSED } else { 0 }]);
        for n in [self.created_ms, self.live, self.dead, self.low_water_ms, u64::from(s.lease_ms), u64::from(s.max_attempts)] {
            put_varint(&mut out, n);
        }
        for n in [s.backoff_first_ms, s.backoff_ceiling_ms, s.idempotency_window_ms] {
            put_varint(&mut out, n);
        }
        for x in [s.backoff_factor, s.backoff_jitter] {
            out.extend_from_slice(&x.to_le_bytes());
        }
        Bytes::from(out)
    }

    /// The inverse of [`NamespaceRow::encode`].
    ///
    /// # Errors
    /// Bytes that are no namespace's row of a version that this z4 knows.
    pub fn decode(value: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(value);
        if reader.u8()? != VERSION {
            return Err(Malformed("unknown version of a namespace's row"));
        }
        let flags = reader.u8()?;
        if flags & !PAUSED != 0 {
            return Err(Malformed("unknown flag in a namespace's row"));
        }
        let (created_ms, live, dead, low_water_ms) = (reader.varint()?, reader.varint()?, reader.varint()?, reader.varint()?);
        let (lease_ms, max_attempts) = (reader.varint_u32()?, reader.varint_u32()?);
        let (backoff_first_ms, backoff_ceiling_ms, idempotency_window_ms) =
            (reader.varint()?, reader.varint()?, reader.varint()?);
        let (backoff_factor, backoff_jitter) = (reader.f64()?, reader.f64()?);
        reader.finish()?;
        let settings = Settings {
            lease_ms,
            max_attempts,
            backoff_first_ms,
            backoff_factor,
            backoff_ceiling_ms,
            backoff_jitter,
            paused: flags & PAUSED != 0,
            idempotency_window_ms,
        };
        Ok(NamespaceRow { settings, created_ms, live, dead, low_water_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows outlive the binary that wrote them.
    #[test]
    fn rows_are_golden_and_round_trip() {
        let settings = Settings { paused: true, ..Settings::default() };
        let row = NamespaceRow { settings, created_ms: 1, live: 300, dead: 2, low_water_ms: 3 };
        let value = row.encode();
        let golden = b"\x01\x01\x01\xac\x02\x02\x03\xb0\xea\x01\x19\xe8\x07\x80\xdd\xdb\x01\xe0\xa7\x12\
            \x00\x00\x00\x00\x00\x00\x00\x40\x9a\x99\x99\x99\x99\x99\xb9\x3f";
        assert_eq!(value, Bytes::from_static(golden));
        assert_eq!(NamespaceRow::decode(&value), Ok(row));
        for len in 0..value.len() {
            assert!(NamespaceRow::decode(&value.slice(..len)).is_err(), "{len}");
        }
    }
}
