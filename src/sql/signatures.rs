//! MySQL's functions that z4 has: one table for the dialect (types, coercions) and for SQLite (what is registered).

use super::types::SqlType;

/// What a function wants an argument to be; the dialect puts a coercion around an argument of another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// As it comes; dates as text.
    Any,
    /// As SQLite carries it, whatever it is (IF, COALESCE: the dialect unifies these itself).
    Raw,
    /// Text: numbers, dates and JSON are written as MySQL writes them.
    Text,
    /// A number: text by its numeric prefix, dates as YYYYMMDDhhmmss.
    Number,
    /// An integer: the same, rounded.
    Int,
    /// Microseconds, as [`SqlType::DateTime`]; text is parsed in any of MySQL's forms; NULL when it is none.
    DateTime,
    /// A JSON document as text; text is parsed by the function.
    Json,
}

/// The type of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// Always this.
    Is(SqlType),
    /// The type of this argument, by its place.
    Like(usize),
    /// The type that all arguments from this place on fit into (COALESCE, GREATEST, …); they are coerced to it.
    Common(usize),
}

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// MySQL's name, upper case.
    pub name: &'static str,
    /// The name inside SQLite.
    pub sqlite: &'static str,
    /// Least and most arguments; most 127: any number.
    pub arity: (u8, u8),
    /// What the arguments must be; the last counts for all that follow.
    pub args: &'static [Want],
    /// What it gives.
    pub returns: Returns,
    /// It takes many rows to one value.
    pub aggregate: bool,
}
