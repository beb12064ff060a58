//! What the compiler of one statement carries along.

use std::collections::BTreeMap;

use sqlparser::ast::{Ident, ObjectName};

use super::errors::too_deep;
use super::lift::Lifts;
use super::scope::{Scope, SourceColumn};
use super::source::Source;
use crate::sql::context::Context;
use crate::sql::error::SqlError;
use crate::sql::statement::{OutColumn, Window};
use crate::sql::types::SqlType;
use crate::sql::zones::Zone;

/// Calls inside calls while compiling.
const DEPTH_MAX: usize = 100;

/// A CTE that can be named.
#[derive(Clone, Debug)]
pub(super) struct Cte {
    pub(super) name: String,
    /// Its name inside SQLite, which no table has.
    pub(super) sqlite: String,
    pub(super) columns: Vec<SourceColumn>,
}

/// The compiler of one statement.
pub(super) struct Compiler<'a> {
    pub(super) context: &'a Context,
    pub(super) source: &'a Source,
    /// SELECTs around the place that is compiled, the outermost first.
    pub(super) scopes: Vec<Scope>,
    /// CTEs that are visible, the outermost first.
    pub(super) ctes: Vec<Cte>,
    /// References to `tasks` so far.
    pub(super) tasks: usize,
    /// Tables that are used so far.
    pub(super) uses: Vec<&'static str>,
    /// Names given so far.
    pub(super) names: usize,
    /// Types of the user variables that the statement has set so far.
    pub(super) assigned: BTreeMap<String, SqlType>,
    /// The query that is compiled next gives no rows whatever it reads (see `nothing`).
    pub(super) never: bool,
    /// The query that is compiled next is a recursion.
    pub(super) recursion: bool,
    /// What the SELECT that is compiled next may read in the place of `tasks` (see `look`).
    pub(super) look: Option<&'static str>,
    /// It has become such a reading.
    pub(super) bare: bool,
    /// Literals that may become parameters, and those that did (see `lift`).
    pub(super) lifts: Lifts,
    /// Queries so far, those in others too.
    pub(super) queries: usize,
    /// Levels of rollups so far.
    pub(super) levels: usize,
    /// The outermost LIMIT, where the rows outside of it count.
    pub(super) window: Option<Window>,
    depth: usize,
}

/// A query in SQLite's SQL.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    pub(super) sql: String,
    pub(super) columns: Vec<OutColumn>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(context: &'a Context, source: &'a Source) -> Self {
        Compiler {
            context,
            source,
            scopes: Vec::new(),
            ctes: Vec::new(),
            tasks: 0,
            uses: Vec::new(),
            names: 0,
            assigned: BTreeMap::new(),
            never: false,
            recursion: false,
            look: None,
            bare: false,
            lifts: Lifts::default(),
            queries: 0,
            levels: 0,
            window: None,
            depth: 0,
        }
    }

    /// Does something one level deeper.
    pub(super) fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, SqlError>) -> Result<T, SqlError> {
        if self.depth >= DEPTH_MAX {
            return Err(too_deep(&format!("more than {DEPTH_MAX} levels")));
        }
        self.depth += 1;
        let done = work(self);
        self.depth -= 1;
        done
    }

    /// A name that nothing else has.
    pub(super) fn fresh(&mut self, what: &str) -> String {
        self.names += 1;
        format!("z4_{what}_{}", self.names)
    }

    pub(super) fn zone(&self) -> &'a Zone {
        &self.context.zone
    }

    /// The SELECT that is compiled.
    pub(super) fn scope(&mut self) -> Option<&mut Scope> {
        self.scopes.last_mut()
    }
}

/// The parts of a name; `None`: it has parts that are none of MySQL's.
pub(super) fn parts(name: &ObjectName) -> Option<Vec<&Ident>> {
    name.0.iter().map(|part| part.as_ident()).collect()
}

/// Digits before the point of a column of a table: a whole number has those of an INT, or of a BIGINT.
fn kept_digits(column: &OutColumn) -> u8 {
    match column.ty {
        SqlType::Int | SqlType::UInt if (1..10).contains(&column.whole) => 10,
        SqlType::Int | SqlType::UInt if column.whole > 0 => 19,
        _ => column.whole,
    }
}

/// The columns of a query as those of a table.
pub(super) fn as_source(columns: &[OutColumn]) -> Vec<SourceColumn> {
    let of = |column: &OutColumn| SourceColumn {
        name: column.name.clone(),
        sqlite: None,
        ty: column.ty,
        nullable: column.nullable,
        origin: column.origin,
        ci: false,
        whole: kept_digits(column),
    };
    columns.iter().map(of).collect()
}
