//! Between SQLite's virtual tables and safe code: a table is a [`Source`], its cursor a [`Scan`].
//!
//! rusqlite asks for two `unsafe impl`s that promise a layout: they are here, once, for every table.
#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};
use std::marker::PhantomData;

use rusqlite::vtab::{self, Context, Filters, IndexInfo, Module, VTab, VTabConnection, VTabCursor};
use rusqlite::{Connection, Result};

use crate::sql::error::SqlError;
use crate::sql::sqlite::fault::to_sqlite;
use crate::sql::sqlite::memory;

/// A table.
pub trait Source: Clone + Send + Sync + 'static {
    /// A cursor over it.
    type Scan: Scan;

    /// `CREATE TABLE x(...)` with its columns.
    fn declaration(&self) -> String;

    /// Takes constraints; `false`: not without others.
    fn best_index(&self, info: &mut IndexInfo) -> Result<bool, SqlError>;

    /// A cursor that has no rows yet.
    fn open(&self) -> Result<Self::Scan, SqlError>;
}

/// A cursor.
pub trait Scan: 'static {
    /// Starts with the first row.
    fn filter(&mut self, plan_number: i32, plan: &str, args: &Filters<'_>) -> Result<(), SqlError>;

    /// Goes to the next row.
    fn next(&mut self) -> Result<(), SqlError>;

    /// No row is left.
    fn eof(&self) -> bool;

    /// A value of the row.
    fn column(&self, context: &mut Context, column: usize) -> Result<()>;

    /// Unique among the rows of a query.
    fn rowid(&self) -> i64;
}

#[repr(C)]
struct Bridge<S> {
    base: vtab::sqlite3_vtab,
    source: S,
}

#[repr(C)]
struct Cursor<C> {
    base: vtab::sqlite3_vtab_cursor,
    scan: C,
}

/// Registers a table under a name.
pub fn register<S: Source>(connection: &Connection, name: &str, source: S) -> Result<()> {
    connection.create_module(name, Holder::<S>::MODULE, Some(source))
}

struct Holder<S>(PhantomData<S>);

impl<S: Source> Holder<S> {
    const MODULE: &'static Module<'static, Bridge<S>> = &Module::eponymous_only_module();
}

// SAFETY: the struct is repr(C) and begins with sqlite3_vtab.
unsafe impl<'vtab, S: Source> VTab<'vtab> for Bridge<S> {
    type Aux = S;
    type Cursor = Cursor<S::Scan>;

    fn connect(
        _: &mut VTabConnection,
        aux: Option<&S>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        let source = aux.cloned().ok_or_else(|| to_sqlite(&SqlError::other("a table without a source")))?;
        let declaration = CString::new(source.declaration())?;
        Ok((Cow::Owned(declaration), Bridge { base: vtab::sqlite3_vtab::default(), source }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let _lenient = memory::lenient();
        self.source.best_index(info).map_err(|error| to_sqlite(&error))
    }

    fn open(&'vtab mut self) -> Result<Cursor<S::Scan>> {
        let scan = self.source.open().map_err(|error| to_sqlite(&error))?;
        Ok(Cursor { base: vtab::sqlite3_vtab_cursor::default(), scan })
    }
}

// SAFETY: the struct is repr(C) and begins with sqlite3_vtab_cursor.
unsafe impl<C: Scan> VTabCursor for Cursor<C> {
    fn filter(&mut self, number: c_int, plan: Option<&str>, args: &Filters<'_>) -> Result<()> {
        let _lenient = memory::lenient();
        self.scan.filter(number, plan.unwrap_or_default(), args).map_err(|error| to_sqlite(&error))
    }

    fn next(&mut self) -> Result<()> {
        self.scan.next().map_err(|error| to_sqlite(&error))
    }

    fn eof(&self) -> bool {
        self.scan.eof()
    }

    fn column(&self, context: &mut Context, column: c_int) -> Result<()> {
        self.scan.column(context, usize::try_from(column).unwrap_or(usize::MAX))
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.scan.rowid())
    }
}
