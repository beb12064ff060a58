//! A call that takes long looks up now and then: SQLite cannot interrupt it.

use crate::sql::sqlite::running::Running;

/// Steps between two looks at whether the query must end.
const STEPS: u32 = 1 << 16;

/// Counts the steps of a call.
#[derive(Default)]
pub(super) struct Patience(u32);

impl Patience {
    /// One step more. `true`: the query must end, and whatever the call gives is not used.
    pub(super) fn ends(&mut self) -> bool {
        self.0 += 1;
        self.0 >= STEPS && self.look()
    }

    /// The same after a step that may have taken long.
    pub(super) fn look(&mut self) -> bool {
        self.0 = 0;
        Running::current().is_ok_and(|running| running.check_now().is_err())
    }
}
