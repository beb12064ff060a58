//! Tables with few rows, made when they are asked for, a page at a time.

use std::collections::VecDeque;
use std::rc::Rc;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::vtab::{Context, Filters, IndexConstraintOp, IndexInfo};

use super::bridge::{Scan, Source};
use super::{declaration, server};
use crate::sql::catalog::Table;
use crate::sql::error::SqlError;
use crate::sql::sqlite::fault::from_sqlite;
use crate::sql::sqlite::memory;
use crate::sql::sqlite::running::Running;

/// A row.
pub type Record = Vec<Value>;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// A bit per column that is used.
    pub columns: u64,
    /// Rows whose first column equals this alone; others may be given, too.
    pub first: Option<String>,
}

impl Asked {
    /// Whether a column is used.
    pub fn uses(&self, column: usize) -> bool {
        self.columns & (1 << column.min(63)) != 0
    }
}

/// Gives pages of rows; an empty page is the end.
pub type Pages = Box<dyn FnMut(&Running) -> Result<Vec<Record>, SqlError>>;

/// A table.
#[derive(Clone)]
pub struct Small {
    /// Which.
    pub table: &'static Table,
}

impl Source for Small {
    type Scan = SmallScan;

    fn declaration(&self) -> String {
        declaration(self.table)
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool, SqlError> {
        let equal = IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ;
        let first = info.constraints().position(|c| c.is_usable() && c.column() == 0 && c.operator() == equal);
        let binary = match first {
            Some(at) => info.collation(at).map_err(|error| from_sqlite(&error))? == "BINARY",
            None => false,
        };
        if let Some(at) = first.filter(|_| binary) {
            info.constraint_usage(at).set_argv_index(1);
            info.set_estimated_rows(1);
            info.set_estimated_cost(5.0);
        } else {
            info.set_estimated_rows(100);
            info.set_estimated_cost(100.0);
        }
        info.set_idx_str(&format!("{:x}", info.col_used()));
        Ok(true)
    }

    fn open(&self) -> Result<SmallScan, SqlError> {
        Ok(SmallScan { table: self.table, running: None, pages: None, page: VecDeque::new(), charged: 0, row: None, number: 0 })
    }
}

/// A cursor.
pub struct SmallScan {
    table: &'static Table,
    running: Option<Rc<Running>>,
    pages: Option<Pages>,
    page: VecDeque<Record>,
    charged: i64,
    row: Option<Record>,
    number: i64,
}

impl Scan for SmallScan {
    fn filter(&mut self, _: i32, plan: &str, args: &Filters<'_>) -> Result<(), SqlError> {
        let running = Running::current()?;
        self.page.clear();
        self.row = None;
        self.number = 0;
        if running.explain {
            return Ok(());
        }
        let columns = u64::from_str_radix(plan, 16).unwrap_or(u64::MAX);
        let first = args.iter().next().map(|value| match value {
            ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        });
        let asked = Asked { columns, first: first.flatten() };
        self.pages = Some(server::pages(self.table, &asked, &running)?);
        self.running = Some(running);
        self.next()
    }

    fn next(&mut self) -> Result<(), SqlError> {
        self.row = None;
        let Some(running) = &self.running else { return Ok(()) };
        running.check()?;
        if self.page.is_empty() {
            let Some(pages) = &mut self.pages else { return Ok(()) };
            self.page = pages(running)?.into();
            let charge = self.page.iter().map(bytes).sum();
            memory::charge(charge - self.charged);
            self.charged = charge;
            if self.page.is_empty() {
                self.pages = None;
            }
        }
        self.row = self.page.pop_front();
        self.number += 1;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.row.is_none()
    }

    fn column(&self, context: &mut Context, column: usize) -> rusqlite::Result<()> {
        let value = self.row.as_ref().and_then(|row| row.get(column)).map_or(ValueRef::Null, ValueRef::from);
        context.set_result(ToSqlOutput::Borrowed(value))
    }

    fn rowid(&self) -> i64 {
        self.number
    }
}

impl Drop for SmallScan {
    fn drop(&mut self) {
        memory::charge(-self.charged);
    }
}

fn bytes(row: &Record) -> i64 {
    let value = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        _ => 0,
    };
    row.iter().map(|v| 32 + value(v) as i64).sum()
}
