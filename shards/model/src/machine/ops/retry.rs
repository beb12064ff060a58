//! A delivery ended without an ack.

use bytes::Bytes;

use crate::command::{Ended, OpReply};
use crate::ids::{DUE_MS_MAX, TaskId, TaskKey};
use crate::keys;
use crate::machine::effect::Effect;
use crate::machine::plan::{Plan, Planned};
use crate::machine::store::Store;
use crate::rows::record::TaskRecord;
use crate::rows::task::Place;

/// So much of a nack's reason is kept, in bytes.
pub const LAST_ERROR_BYTES_MAX: usize = 1024;

const _: () = assert!(LAST_ERROR_BYTES_MAX >= char::MAX.len_utf8(), "what is kept of a reason holds a character");

pub(super) fn plan<S: Store>(p: &mut Plan<'_, S>, key: TaskKey, (due_ms, error): (u64, &Bytes), of: Option<Ended>) -> Planned {
    let at = p.at;
    let Some(row) = p.store.get(&keys::task(at.namespace, key))? else {
        return Err(p.not_found(TaskId { due_ms: key.due_ms, group: at.group, sequence: key.sequence }));
    };
    let mut record = TaskRecord::decode(&row)?;
    record.attempts = record.attempts.saturating_add(1);
    record.last_retry_ms = at.now_ms;
    record.last_error = capped(error);
    if let Some(Ended { token, nacked }) = of {
        record.fence = record.fence.max(token);
        if nacked {
            p.settled(token, key.sequence, false);
        }
    }
    let id = record.id(at.group, key);
    let from = Place::live(key);
    if record.attempts >= p.row.settings.max_attempts {
        p.rewrite(id, from, Place { dead: true, key }, &mut record);
        return Ok(OpReply::Retried { dead: true });
    }
    let key = TaskKey { due_ms: due_ms.min(DUE_MS_MAX).max(at.now_ms), sequence: key.sequence };
    record.asked_ms = 0;
    let row = p.rewrite(id, from, Place::live(key), &mut record);
    p.draft.effects.push(Effect::Added { namespace: at.namespace.clone(), key, row });
    Ok(OpReply::Retried { dead: false })
}

/// The beginning of an error text, cut between two characters.
fn capped(error: &Bytes) -> Bytes {
    if error.len() <= LAST_ERROR_BYTES_MAX {
        return error.clone();
    }
    let mut end = LAST_ERROR_BYTES_MAX;
    // A byte 10xxxxxx goes on with a character, which has four bytes at most.
    while end > LAST_ERROR_BYTES_MAX - 4 && error[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    error.slice(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_is_cut_between_characters() {
        for c in ["x", "ä", "€", "𝄞"] {
            let cut = capped(&Bytes::from(c.repeat(1024)));
            let text = std::str::from_utf8(&cut).expect("cut between characters");
            assert!(cut.len() > LAST_ERROR_BYTES_MAX - 4 && cut.len() <= LAST_ERROR_BYTES_MAX && !text.is_empty());
        }
        assert_eq!(capped(&Bytes::from(vec![0x80; 2000])).len(), LAST_ERROR_BYTES_MAX - 4);
    }
}
