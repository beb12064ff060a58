//! Where the next page of ListTasks starts, as opaque text: hexadecimal of version, position and a check over both and the namespace.

use z4_model::ids::{Namespace, TaskKey};
use z4_shards::shard::api::ListCursor;

use super::Invalid;

const VERSION: u8 = 1;
/// Version, dead, due time, sequence, check.
const BYTES: usize = 1 + 1 + 8 + 8 + 4;

/// The token that continues after `cursor`.
pub(super) fn encode(namespace: &Namespace, cursor: ListCursor) -> String {
    let mut bytes = [0u8; BYTES];
    bytes[0] = VERSION;
    bytes[1] = u8::from(cursor.dead);
    bytes[2..10].copy_from_slice(&cursor.key.due_ms.to_be_bytes());
    bytes[10..18].copy_from_slice(&cursor.key.sequence.to_be_bytes());
    let check = check(namespace, &bytes[..18]);
    bytes[18..].copy_from_slice(&check.to_be_bytes());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The position in a token of the same namespace.
pub(super) fn decode(namespace: &Namespace, token: &str) -> Result<ListCursor, Invalid> {
    parse(namespace, token).ok_or_else(|| Invalid::PageToken(token.chars().take(100).collect()))
}

fn parse(namespace: &Namespace, token: &str) -> Option<ListCursor> {
    let token = token.as_bytes();
    if token.len() != 2 * BYTES {
        return None;
    }
    let mut bytes = [0u8; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(token.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    if bytes[0] != VERSION || bytes[1] > 1 || bytes[18..] != check(namespace, &bytes[..18]).to_be_bytes() {
        return None;
    }
    let due_ms = u64::from_be_bytes(bytes[2..10].try_into().ok()?);
    let sequence = u64::from_be_bytes(bytes[10..18].try_into().ok()?);
    Some(ListCursor { dead: bytes[1] == 1, key: TaskKey { due_ms, sequence } })
}

fn digit(c: u8) -> Option<u8> {
    // Lower case only: each position has one spelling.
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

/// FNV-1a: it finds tokens that were cut, mistyped or meant for another namespace. It is no protection, and needs none: a token only
/// says where to go on reading.
fn check(namespace: &Namespace, bytes: &[u8]) -> u32 {
    let all = namespace.as_bytes().iter().chain(bytes);
    all.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(name: &str) -> Namespace {
        Namespace::new(name).expect("valid")
    }

    proptest! {
        /// A token leads back to its position; the same token with any one character changed, or in another namespace, is refused.
        #[test]
        fn tokens_round_trip_and_damage_shows(dead: bool, due_ms: u64, sequence: u64, at in 0..2 * BYTES, to in "[0-9a-f]") {
            let cursor = ListCursor { dead, key: TaskKey { due_ms, sequence } };
            let token = encode(&name("a"), cursor);
            prop_assert_eq!(decode(&name("a"), &token), Ok(cursor));
            prop_assert!(decode(&name("b"), &token).is_err());
            let mut damaged = token.clone();
            damaged.replace_range(at..=at, &to);
            if damaged != token {
                prop_assert!(decode(&name("a"), &damaged).is_err());
            }
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for bad in ["", "x", "00", &"é".repeat(BYTES), &"0".repeat(2 * BYTES)] {
            assert!(decode(&name("a"), bad).is_err(), "{bad}");
        }
        assert_eq!(
            decode(&name("a"), "nonsense").expect_err("no token").to_string(),
            "page_token \"nonsense\" did not come from this list; send next_page_token as it was, or nothing for the first page"
        );
    }
}
