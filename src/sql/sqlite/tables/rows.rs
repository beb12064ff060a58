//! The table whose rows are packed in its only argument (see [`packed`]): `z4_rows(value)` in FROM. The argument may be made of the
//! tables that stand before it.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::vtab::{Context, Filters, IndexConstraintOp, IndexInfo};

use super::bridge::{Scan, Source};
use crate::sql::error::SqlError;
use crate::sql::extraction::COLUMNS_MAX;
use crate::sql::sqlite::memory::Charge;
use crate::sql::sqlite::packed;
use crate::sql::sqlite::running::Running;

/// Its name in FROM.
pub const NAME: &str = "z4_rows";

/// The table. Its columns are c0, c1, …; the value that packs the rows begins with how many cells each has.
#[derive(Clone)]
pub struct Rows;

impl Source for Rows {
    type Scan = RowsScan;

    fn declaration(&self) -> String {
        let columns: Vec<String> = (0..COLUMNS_MAX).map(|at| format!("c{at}")).collect();
        format!("CREATE TABLE x({}, packed HIDDEN)", columns.join(", "))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool, SqlError> {
        let (equal, argument) = (IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ, i32::try_from(COLUMNS_MAX).unwrap_or(i32::MAX));
        let found = info.constraints().position(|c| c.is_usable() && c.column() == argument && c.operator() == equal);
        let Some(at) = found else { return Ok(false) };
        let mut usage = info.constraint_usage(at);
        usage.set_argv_index(1);
        usage.set_omit(true);
        info.set_estimated_rows(10);
        info.set_estimated_cost(10.0);
        Ok(true)
    }

    fn open(&self) -> Result<RowsScan, SqlError> {
        Ok(RowsScan::default())
    }
}

/// A cursor.
#[derive(Default)]
pub struct RowsScan {
    bytes: Vec<u8>,
    charge: Charge,
    /// Cells of a row.
    width: usize,
    /// Where each cell of the row begins.
    cells: Vec<usize>,
    /// Where the next row begins.
    next: usize,
    number: i64,
}

impl Scan for RowsScan {
    fn filter(&mut self, _: i32, _: &str, args: &Filters<'_>) -> Result<(), SqlError> {
        *self = RowsScan::default();
        if let Some(ValueRef::Blob(bytes)) = args.iter().next() {
            self.charge.grow(bytes.len());
            self.bytes = bytes.to_vec();
            if let Some((ValueRef::Integer(width), next)) = packed::cell(&self.bytes, 0) {
                (self.width, self.next) = (usize::try_from(width).unwrap_or(0), next);
            }
        }
        self.next()
    }

    fn next(&mut self) -> Result<(), SqlError> {
        Running::current()?.check()?;
        self.cells.clear();
        self.number += 1;
        let mut at = self.next;
        for _ in 0..self.width {
            let Some((_, next)) = packed::cell(&self.bytes, at) else { break };
            self.cells.push(at);
            at = next;
        }
        self.next = at;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.cells.is_empty()
    }

    fn column(&self, context: &mut Context, column: usize) -> rusqlite::Result<()> {
        let cell = self.cells.get(column).and_then(|at| packed::cell(&self.bytes, *at));
        context.set_result(ToSqlOutput::Borrowed(cell.map_or(ValueRef::Null, |(value, _)| value)))
    }

    fn rowid(&self) -> i64 {
        self.number
    }
}
