//! Names of things: groups, slots, peers, namespaces, tasks. Pure values, no IO.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// How many hash slots there are. Part of the on-disk format: it never changes.
pub const SLOTS: u16 = 4096;

/// The longest namespace, in bytes. A key stores the length in one byte.
pub const NAMESPACE_BYTES_MAX: usize = 255;

/// Names that begin so are kept for z4 itself.
pub const RESERVED_PREFIX: &str = "z4:";

/// The last millisecond of the year 9999 UTC: no task is due later. It fits the 48 bits that a task id has for it.
pub const DUE_MS_MAX: u64 = 253_402_300_799_999;

const _: () = {
    assert!(NAMESPACE_BYTES_MAX == u8::MAX as usize, "a key stores the length of a name in one byte");
    assert!(DUE_MS_MAX >> ID_DUE_BITS == 0, "a task's id has room for its due time");
    assert!(SLOTS.is_power_of_two(), "no slot has more hashes than another");
    assert!(ID_CHARS * ID_CHAR_BITS >= 128 && (ID_CHARS - 1) * ID_CHAR_BITS < 128, "an id takes as many characters as it needs");
    assert!(ALPHABET.len() == 1 << ID_CHAR_BITS, "each value of a character has one");
};

/// One Raft group, the same number on every peer. Group 0 is the registry, groups 1..=G hold tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u16);

impl GroupId {
    /// The group that holds peers, slot table and settings.
    pub const REGISTRY: GroupId = GroupId(0);

    /// The shard that hosts the group's replica on a peer with `shards` shards.
    pub fn shard(self, shards: usize) -> usize {
        usize::from(self.0) % shards
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A peer's number inside Raft. The registry maps it to the peer's id (a string chosen by the operator) and address; a number is
/// never given out twice.
pub type PeerNumber = u64;

/// A routing key and unit of configuration: 1 to 255 bytes of UTF-8 without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Bytes);

/// Why a string is no namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// Zero bytes.
    #[error("namespace is empty; it takes 1 to {NAMESPACE_BYTES_MAX} bytes")]
    Empty,
    /// Over the limit.
    #[error("namespace has {0} bytes; the limit is {NAMESPACE_BYTES_MAX}")]
    TooLong(usize),
    /// A control character, at this byte.
    #[error("namespace has a control character at byte {0}; control characters are not allowed")]
    Control(usize),
    /// A new name must be told from others by who reads it: this character, at this byte, is not seen.
    #[error("namespace has the invisible character U+{character:04X} at byte {at}; new namespaces take visible characters only")]
    Invisible {
        /// Where.
        at: usize,
        /// Which.
        character: u32,
    },
    /// A new name that begins as names of z4's own will.
    #[error("namespace begins with {RESERVED_PREFIX:?}, which is reserved")]
    Reserved,
    /// Bytes that are no UTF-8.
    #[error("namespace is not valid UTF-8")]
    Utf8,
}

impl Namespace {
    /// Checks and takes a name.
    pub fn new(name: &str) -> Result<Self, NamespaceError> {
        Self::check(name)?;
        Ok(Self(Bytes::copy_from_slice(name.as_bytes())))
    }

    /// Checks and takes bytes, as read from a key or an entry.
    pub fn from_bytes(name: Bytes) -> Result<Self, NamespaceError> {
        Self::check(std::str::from_utf8(&name).map_err(|_| NamespaceError::Utf8)?)?;
        Ok(Self(name))
    }

    fn check(name: &str) -> Result<(), NamespaceError> {
        if name.is_empty() {
            return Err(NamespaceError::Empty);
        }
        if name.len() > NAMESPACE_BYTES_MAX {
            return Err(NamespaceError::TooLong(name.len()));
        }
        match name.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, _)) => Err(NamespaceError::Control(at)),
            None => Ok(()),
        }
    }

    /// Checks a name under which something is to be written. Names that exist may break these rules: they are read, consumed and purged as
    /// any other.
    pub fn check_new(&self) -> Result<(), NamespaceError> {
        let name = self.as_str();
        if name.starts_with(RESERVED_PREFIX) {
            return Err(NamespaceError::Reserved);
        }
        match name.char_indices().find(|(_, c)| is_invisible(*c)) {
            Some((at, c)) => Err(NamespaceError::Invisible { at, character: c.into() }),
            None => Ok(()),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        // Both constructors checked it; a lossy view of nothing is what a broken invariant would show.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The name's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The slot, `xxh3_64(namespace) % 4096`. Golden vectors in the tests keep it from changing.
    pub fn slot(&self) -> u16 {
        (xxh3_64(&self.0) % u64::from(SLOTS)) as u16
    }
}

/// Characters that are not seen: marks that turn the direction of the text around them, spaces and joints without a width, byte order
/// marks, fillers, tags, separators of lines. Two names that differ in these look the same. What scripts and emoji need to join letters
/// (U+200C, U+200D, variation selectors) is not among them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180e}' | '\u{200b}'
        | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A request id as the idempotency window keeps it: 128 bits of hash over namespace and id. Two different ids of one namespace
/// share a hash with probability 2^-128 per pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestHash(pub u128);

impl RequestHash {
    /// Hashes a request id that is not empty.
    pub fn new(namespace: &Namespace, request_id: &str) -> Self {
        let mut bytes = Vec::with_capacity(1 + namespace.as_bytes().len() + request_id.len());
        bytes.push(namespace.as_bytes().len() as u8);
        bytes.extend_from_slice(namespace.as_bytes());
        bytes.extend_from_slice(request_id.as_bytes());
        Self(xxh3_128(&bytes))
    }
}

/// Where a task's row is within its namespace: rows are clustered by due time, the sequence breaks ties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey {
    /// Milliseconds since 1970-01-01 UTC.
    pub due_ms: u64,
    /// Unique in the group, for ever.
    pub sequence: u64,
}

impl TaskKey {
    /// Before every row.
    pub const MIN: TaskKey = TaskKey { due_ms: 0, sequence: 0 };
    /// After every row.
    pub const MAX: TaskKey = TaskKey { due_ms: u64::MAX, sequence: u64::MAX };

    /// The first position of a due time.
    pub fn at(due_ms: u64) -> Self {
        TaskKey { due_ms, sequence: 0 }
    }

    /// The position right after this one.
    pub fn next(self) -> Self {
        match self.sequence.checked_add(1) {
            Some(sequence) => TaskKey { due_ms: self.due_ms, sequence },
            None => TaskKey { due_ms: self.due_ms.saturating_add(1), sequence: 0 },
        }
    }
}

/// A task's name for its whole life: 48 bits of due time at creation, 16 bits of group, 64 bits of sequence. Unique in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// Due time at creation, milliseconds, at most [`DUE_MS_MAX`].
    pub due_ms: u64,
    /// The group that assigned it.
    pub group: GroupId,
    /// The sequence of the row.
    pub sequence: u64,
}

/// A string that is no task id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a task id has 26 characters of Crockford's base 32 (0-9, A-Z without I, L, O, U), the first at most 7")]
pub struct TaskIdError;

/// The bits of the due time in a task's id; 16 of the group and 64 of the sequence follow.
const ID_DUE_BITS: u32 = 48;
/// Characters of a task's id as text, and the bits of each.
const ID_CHARS: usize = 26;
const ID_CHAR_BITS: usize = 5;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl TaskId {
    /// The id as one number; its order is the order of (due, group, sequence).
    pub fn to_u128(self) -> u128 {
        (u128::from(self.due_ms) << 80) | (u128::from(self.group.0) << 64) | u128::from(self.sequence)
    }

    /// The inverse of [`TaskId::to_u128`].
    pub fn from_u128(n: u128) -> Self {
        TaskId { due_ms: (n >> 80) as u64, group: GroupId((n >> 64) as u16), sequence: n as u64 }
    }

    /// Where the row is, unless the task was moved since its creation.
    pub fn home(self) -> TaskKey {
        TaskKey { due_ms: self.due_ms, sequence: self.sequence }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.to_u128();
        let mut text = [0u8; ID_CHARS];
        for (i, c) in text.iter_mut().enumerate() {
            *c = ALPHABET[((n >> (ID_CHAR_BITS * (ID_CHARS - 1 - i))) & 31) as usize];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl FromStr for TaskId {
    type Err = TaskIdError;

    fn from_str(s: &str) -> Result<Self, TaskIdError> {
        let bytes = s.as_bytes();
        if bytes.len() != ID_CHARS || bytes[0] > b'7' {
            return Err(TaskIdError);
        }
        let mut n = 0u128;
        for b in bytes {
            let digit = ALPHABET.iter().position(|a| *a == b.to_ascii_uppercase()).ok_or(TaskIdError)?;
            n = (n << ID_CHAR_BITS) | digit as u128;
        }
        Ok(Self::from_u128(n))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Slots decide where data lives: were one of these to change, tasks on disk could not be found any more.
    #[test]
    fn slots_are_golden() {
        let golden = [("a", 3615u16), ("welcome_emails", 386), ("namespace-000001", 662), ("ä", 1204)];
        for (name, slot) in golden {
            assert_eq!(Namespace::new(name).expect("valid").slot(), slot, "{name}");
        }
    }

    #[test]
    fn namespaces_are_checked() {
        assert_eq!(Namespace::new(""), Err(NamespaceError::Empty));
        assert_eq!(Namespace::new(&"x".repeat(256)), Err(NamespaceError::TooLong(256)));
        assert_eq!(Namespace::new("a\nb"), Err(NamespaceError::Control(1)));
        assert_eq!(Namespace::from_bytes(Bytes::from_static(&[0xff])), Err(NamespaceError::Utf8));
        assert!(Namespace::new(&"x".repeat(255)).is_ok());
    }

    /// Two names that look alike are one name to a person; but tasks under such names that exist must not be lost from sight.
    #[test]
    fn new_names_are_seen_as_a_whole_and_old_ones_stay_readable() {
        let check = |name: &str| Namespace::new(name).expect("a name that may exist").check_new();
        for name in ["a\u{202e}b", "a\u{200b}b", "a\u{feff}b", "a\u{2066}b", "a\u{ad}b"] {
            let character = name.chars().nth(1).expect("three").into();
            assert_eq!(check(name), Err(NamespaceError::Invisible { at: 1, character }), "{name:?}");
        }
        assert_eq!(
            check("a\u{200b}").expect_err("refused").to_string(),
            "namespace has the invisible character U+200B at byte 1; new namespaces take visible characters only"
        );
        assert_eq!(check("z4:settings"), Err(NamespaceError::Reserved));
        for name in ["a", "z4", "Z4:x", "ä ö", "می\u{200c}خواهم", "\u{1f468}\u{200d}\u{1f469}", "\u{2764}\u{fe0f}"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    proptest! {
        #[test]
        fn ids_round_trip_and_sort_by_due_time(due in 0..=DUE_MS_MAX, group: u16, sequence: u64, later in 1u64..1000) {
            let id = TaskId { due_ms: due, group: GroupId(group), sequence };
            prop_assert_eq!(id.to_string().parse::<TaskId>(), Ok(id));
            prop_assert_eq!(id.to_string().to_lowercase().parse::<TaskId>(), Ok(id));
            let next = TaskId { due_ms: due + later, ..id };
            prop_assert!(next.to_string() > id.to_string());
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for bad in ["", "0", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "0000000000000000000000000U", "000000000000000000000000000"] {
            assert_eq!(bad.parse::<TaskId>(), Err(TaskIdError), "{bad}");
        }
    }
}
