//! Prepared statements. Only the text is kept: a statement is compiled again when it is executed, because what is folded into it (the
//! time, the time zone, the database, variables) may have changed since.

use tokio::sync::OwnedSemaphorePermit;

use super::params::Bound;
use super::service::Budget;
use crate::sql::error::SqlError;

/// A prepared statement.
pub(super) struct Prepared {
    pub(super) text: String,
    pub(super) bound: Bound,
    /// Its share of the server's memory.
    share: OwnedSemaphorePermit,
    /// Bytes of long values.
    long_bytes: usize,
    /// What is wrong with the long values that came.
    fault: Option<SqlError>,
}

impl Prepared {
    /// Keeps a statement; `None`: there is no memory for it.
    pub(super) fn new(text: String, params: usize, budget: &Budget) -> Option<Prepared> {
        let share = budget.try_take(kept_bytes(text.len(), params))?;
        Some(Prepared { text, bound: Bound::new(params), share, long_bytes: 0, fault: None })
    }

    /// Appends to a long value. What cannot be kept is dropped, and the next execution fails.
    pub(super) fn append(&mut self, param: u16, data: &[u8], bytes_max: usize, budget: &Budget) {
        if self.fault.is_some() {
            return;
        }
        if usize::from(param) >= self.bound.count {
            self.give_up("Incorrect arguments to mysqld_stmt_send_long_data: there is no such parameter", 1210);
        } else if self.long_bytes + data.len() > bytes_max {
            let text = "Parameter of prepared statement which is set through mysql_send_long_data() is longer than 'max_allowed_packet' bytes";
            self.give_up(text, 1105);
        } else if let Some(share) = budget.try_take(self.missing(data.len())) {
            self.share.merge(share);
            self.long_bytes += data.len();
            self.bound.long.entry(param).or_default().extend_from_slice(data);
        } else {
            self.give_up("Out of memory for long parameters of all connections", 1041);
        }
    }

    /// What the share lacks for so many bytes more.
    fn missing(&self, bytes: usize) -> usize {
        let needed = kept_bytes(self.text.len(), self.bound.count) + self.long_bytes + bytes;
        needed.div_ceil(1 << 10).saturating_sub(self.share.num_permits()) << 10
    }

    fn give_up(&mut self, text: &str, code: u16) {
        self.forget();
        self.fault = Some(SqlError::new(code, "HY000", text));
    }

    /// Drops the long values, and what was wrong with them.
    pub(super) fn forget(&mut self) -> Option<SqlError> {
        self.bound.long.clear();
        self.long_bytes = 0;
        let kept = kept_bytes(self.text.len(), self.bound.count).div_ceil(1 << 10);
        drop(self.share.split(self.share.num_permits().saturating_sub(kept)));
        self.fault.take()
    }

    /// Why it cannot be executed.
    pub(super) fn fault(&self) -> Option<&SqlError> {
        self.fault.as_ref()
    }

    /// Bytes of its long values.
    pub(super) fn long_bytes(&self) -> usize {
        self.long_bytes
    }
}

/// What is kept beside the text is less than a KiB, and a few bytes per parameter.
fn kept_bytes(text: usize, params: usize) -> usize {
    text + 1_024 + 8 * params
}
