//! What entries weigh.

use super::group_log::GroupLog;
use crate::runtime::executor;

/// Entries that are looked at before others may work.
const ENTRIES_PER_TURN: u64 = 50_000;

impl GroupLog {
    /// From which entry on those up to `upto` take at most `bytes_max` bytes of records. Entries that are not in the log weigh
    /// nothing and end the search: the answer is then the log's first.
    pub async fn first_within(&self, upto: u64, bytes_max: u64) -> u64 {
        let (mut first, mut bytes) = (upto + 1, 0);
        loop {
            for _ in 0..ENTRIES_PER_TURN {
                let Some(before) = first.checked_sub(1) else { return first };
                let found = self.log.state.borrow().groups[self.group].index.get(before);
                let Some((_, slot)) = found else { return first };
                bytes += slot.record_bytes() as u64;
                if bytes > bytes_max {
                    return first;
                }
                first = before;
            }
            executor::yield_if_needed().await;
        }
    }
}
