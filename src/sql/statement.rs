//! What the dialect makes of a statement.

use super::types::{Datum, SqlType};

/// A statement, ready to be carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// Rows: SELECT, and SHOW and DESCRIBE, which are rewritten into queries.
    Query(Query),
    /// How the query would be done.
    Explain(Query),
    /// DO: the query is run, and its rows are dropped.
    Do(Query),
    /// Session variables, in order; names in lower case, checked against what the session knows by `wire`. `None`: DEFAULT.
    Set(Vec<(String, Option<Datum>)>),
    /// The default database; it exists.
    Use(String),
    /// End a query (`connection` false), or the connection and its query.
    Kill {
        /// Whose.
        id: u32,
        /// The connection, too.
        connection: bool,
    },
    /// Accepted, and nothing to do: BEGIN, COMMIT, SET NAMES utf8mb4, ….
    Nothing,
}

/// A query in SQLite's SQL, over the virtual tables of the catalog.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// SQLite's SQL; parameters are `?1`, `?2`, ….
    pub sqlite: String,
    /// The columns of the result, typed.
    pub columns: Vec<OutColumn>,
    /// How many parameters it takes.
    pub params: usize,
    /// How many references to `tasks` it has.
    pub tasks: usize,
    /// It may depend on more than catalog constants: rows may not be cached.
    pub uses: Vec<&'static str>,
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
}
