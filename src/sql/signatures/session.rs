//! SLEEP, locks, which are the session's alone, and what the statement before left.

use super::Returns::Is;
use super::Want::{self, Number, Text};
use super::{Signature, f};
use crate::sql::types::SqlType::{Int, UInt};

pub(super) const TABLE: &[Signature] = &[
    f("SLEEP", "my_sleep", 1, 1, &[Number], Is(Int)),
    f("GET_LOCK", "my_get_lock", 2, 2, &[Text, Number], Is(Int)),
    f("RELEASE_LOCK", "my_release_lock", 1, 1, &[Text], Is(Int)),
    f("RELEASE_ALL_LOCKS", "my_release_all_locks", 0, 0, &[], Is(UInt)),
    f("IS_FREE_LOCK", "my_is_free_lock", 1, 1, &[Text], Is(Int)),
    f("IS_USED_LOCK", "my_is_used_lock", 1, 1, &[Text], Is(UInt)),
    f("FOUND_ROWS", "my_found_rows", 0, 0, &[], Is(UInt)),
    f("ROW_COUNT", "my_row_count", 0, 0, &[], Is(Int)),
    f("LAST_INSERT_ID", "my_last_insert_id", 0, 1, &[Want::Int], Is(UInt)),
];
