//! What a statement is warned of by what it calculates.

use crate::sql::error::SqlError;
use crate::sql::sqlite::running::Running;

/// 1365: a division by zero, which gives NULL.
pub(super) fn division() {
    warn(1365, "22012", "Division by 0");
}

/// 3020: a logarithm of what has none, or to a base that is none, which gives NULL.
pub(super) fn logarithm() {
    warn(3020, "2201E", "Invalid argument for logarithm");
}

fn warn(code: u16, state: &'static str, text: &str) {
    if let Ok(running) = Running::current() {
        running.warn(|| SqlError::new(code, state, text));
    }
}
