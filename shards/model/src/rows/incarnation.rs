//! Which disk is a peer, and the row of the registry that says so.
//!
//! A peer is the disk that it has kept its promises on. Each pair of directories makes up a number once, when nothing is in them, and
//! the first one that joins as a peer claims that peer's row: `incarnation/{number}` → 32 hexadecimal digits. The row is written once
//! and never changed. Whoever comes under that number with another disk, an emptied one above all, is somebody else.

use std::fmt;

use bytes::Bytes;

use super::peer_row;
use crate::ids::PeerNumber;

/// The names of these rows begin with this; the peer's number follows, in decimal digits.
pub const PREFIX: &str = "incarnation/";

/// The disk of a peer: 128 bits, made up when its directories were empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(u128);

impl Incarnation {
    /// One of these bits, which must be random.
    pub const fn new(bits: u128) -> Self {
        Incarnation(bits)
    }

    /// Reads 32 lower-case hexadecimal digits; `None`: it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        digits.then(|| u128::from_str_radix(text, 16).ok().map(Incarnation)).flatten()
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The name of a peer's row.
pub fn name(number: PeerNumber) -> Bytes {
    Bytes::from(format!("{PREFIX}{number}"))
}

/// The inverse; `None`: it is not the name of such a row.
pub fn parse_name(name: &[u8]) -> Option<PeerNumber> {
    peer_row::parse_number(std::str::from_utf8(name).ok()?.strip_prefix(PREFIX)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_golden_and_nothing_else_is_read_as_one() {
        let one = Incarnation::new(0xab);
        assert_eq!(one.to_string(), "000000000000000000000000000000ab");
        assert_eq!(Incarnation::parse(&one.to_string()), Some(one));
        let long = "0".repeat(33);
        for text in ["", "ab", "000000000000000000000000000000AB", "+00000000000000000000000000000ab", &long] {
            assert_eq!(Incarnation::parse(text), None, "{text}");
        }
        assert_eq!(name(17), Bytes::from_static(b"incarnation/17"));
        assert_eq!(parse_name(&name(17)), Some(17));
        for other in ["incarnation/", "incarnation/0", "incarnation/01", "peer/1"] {
            assert_eq!(parse_name(other.as_bytes()), None, "{other}");
        }
    }
}
