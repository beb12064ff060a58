//! What the dialect makes of a statement.

use std::ops::Range;

use super::types::{Datum, SqlType};

/// A statement, ready to be carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// Rows: SELECT, and SHOW and DESCRIBE, which are rewritten into queries.
    Query(Query),
    /// How the query would be done.
    Explain(Query),
    /// A query whose only row goes into these user variables, by their lower-case names without `@`.
    Into(Query, Vec<String>),
    /// DO: the query is run, and its rows are dropped.
    Do(Query),
    /// Variables, in order; names in lower case, checked against what the session knows by `wire`. A user variable begins with `@`.
    Set(Vec<(String, Given)>),
    /// A transaction begins or ends.
    Transaction(Transaction),
    /// The default database; it exists.
    Use(String),
    /// End a query (`connection` false), or the connection and its query.
    Kill {
        /// Whose.
        id: u32,
        /// The connection, too.
        connection: bool,
    },
    /// Accepted, and nothing to do: SAVEPOINT, LOCK TABLES, ….
    Nothing,
}

/// What SET gives a variable.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// DEFAULT.
    Default,
    /// A value.
    Is(Datum),
    /// The only value of a query, whose parameters begin behind so many of the statement.
    Of(Box<Query>, usize),
}

/// What becomes of the session's transaction. There is nothing to roll back; clients are told whether they are in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// BEGIN, START TRANSACTION.
    Begin {
        /// READ ONLY.
        read_only: bool,
    },
    /// COMMIT, ROLLBACK, and what ends one by the way.
    End {
        /// AND CHAIN: the next one begins.
        chain: bool,
        /// RELEASE: the connection ends.
        release: bool,
    },
}

/// A query in SQLite's SQL, over the virtual tables of the catalog.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// SQLite's SQL; parameters are `?1`, `?2`, ….
    pub sqlite: String,
    /// The columns of the result, typed.
    pub columns: Vec<OutColumn>,
    /// How many parameters the client gives it.
    pub params: usize,
    /// Literals of the statement that are parameters here, in the order of the text; it has none of the client's then.
    pub literals: Vec<Literal>,
    /// How many references to `tasks` it has.
    pub tasks: usize,
    /// It may depend on more than catalog constants: rows may not be cached.
    pub uses: Vec<&'static str>,
    /// It is a bare look at `tasks`, or a bare reading of it all.
    pub bare: bool,
    /// SQL_CALC_FOUND_ROWS: all rows are counted, and these alone are answered.
    pub window: Option<Window>,
}

impl Query {
    /// What stands for its literals, by the numbers of the parameters.
    pub fn values(&self) -> Vec<Datum> {
        let mut literals: Vec<&Literal> = self.literals.iter().collect();
        literals.sort_unstable_by_key(|literal| literal.param);
        literals.into_iter().map(|literal| literal.value.clone()).collect()
    }
}

/// A literal that a query takes as a parameter: the query serves for every statement that differs in such literals alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    /// Where it stands in the statement, bytes; quotes are in it.
    pub place: Range<usize>,
    /// What the parameter is made of it.
    pub reading: Reading,
    /// The number of the parameter, from 1.
    pub param: usize,
    /// What the parameter is for the statement itself.
    pub value: Datum,
}

/// How a literal becomes a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A string, as it is.
    Text,
    /// Digits, as a BIGINT.
    Whole,
    /// A string, as a TIMESTAMP in the session's time zone.
    Timestamp,
    /// A string, as a DATETIME.
    DateTime,
}

/// LIMIT, where the rows outside of it count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows before it.
    pub skip: Amount,
    /// Rows in it.
    pub take: Amount,
}

/// A number of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Known.
    Is(u64),
    /// A parameter, from 1.
    Param(usize),
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutColumn {
    /// Its name, as shown.
    pub name: String,
    /// The alias of its table; empty: an expression.
    pub table: String,
    /// Schema, table and column in the catalog; `None`: an expression.
    pub origin: Option<(&'static str, &'static str, &'static str)>,
    /// Its type.
    pub ty: SqlType,
    /// It may be NULL.
    pub nullable: bool,
    /// Digits that a number's type has before the point, as MySQL counts them; 0: not known.
    pub whole: u8,
}
