//! MySQL's SQL, made into statements for SQLite. Pure.
//!
//! A statement is read into tokens (`source`), its first words say what it is (`first`), SHOW and its kin become queries over
//! information_schema (`show`), and queries are parsed and compiled: names are resolved (`scope`), every expression gets MySQL's type
//! (`typed`), and coercions are put around what does not fit.

mod aggregate;
mod bytes;
mod call;
mod cast;
mod coercibility;
mod compare;
mod compiler;
mod cursor;
mod dates;
mod documents;
mod errors;
mod expression;
mod first;
mod frames;
mod from;
mod grammar;
mod json_value;
mod lateral;
mod lift;
mod literal;
mod look;
mod nothing;
mod operate;
mod quantified;
mod query;
mod regexps;
mod rollup;
mod rows;
mod scope;
mod select;
mod set;
mod several;
mod shape;
mod show;
mod source;
mod typed;
mod union;
mod user;

#[cfg(test)]
mod tests;

use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::context::Context;
use super::error::SqlError;
use super::statement::{Query, Statement};
pub use bytes::readable;
use compiler::{Compiled, Compiler};
use grammar::Grammar;
use lift::Lifts;
pub use lift::values;
pub use several::{is_blank, split};
use source::Source;

/// Levels that the parser recurses.
const RECURSION_MAX: usize = 160;

/// Reads one statement.
///
/// # Errors
/// What is wrong with it, in MySQL's codes.
pub fn compile(sql: &str, context: &Context) -> Result<Statement, SqlError> {
    first::statement(Source::read(sql)?, context)
}

/// Reads one statement; of a SELECT, literals may become parameters, so that what is made of it serves for others, too (see [`values`]).
///
/// # Errors
/// What is wrong with it, in MySQL's codes.
pub fn compile_for_others(sql: &str, context: &Context) -> Result<Statement, SqlError> {
    first::statement(Source::read(sql)?.lifting(sql), context)
}

/// The code of a syntax error.
const SYNTAX: u16 = 1064;
/// Joins that the parser nests.
const JOINS_MAX: usize = 60;

/// The query that begins at a token, and nothing behind it.
fn parsed(source: &Source, from: usize, grammar: Grammar) -> Result<sqlparser::ast::Query, SqlError> {
    let mut parser = Parser::new(&grammar).with_recursion_limit(RECURSION_MAX).with_tokens_with_locations(source.edited(from));
    let parsed = parser.parse_query().map_err(|wrong| match wrong {
        ParserError::RecursionLimitExceeded => errors::too_deep(&format!("more than {RECURSION_MAX} levels")),
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => source.syntax_of(&message),
    })?;
    let rest = parser.peek_token_ref();
    if rest.token == Token::EOF { Ok(*parsed) } else { Err(source.syntax_near(rest.span.start)) }
}

/// Compiles the query that begins at a token; `outermost` applies the session's limit.
fn query(source: &Source, from: usize, context: &Context, outermost: bool) -> Result<Query, SqlError> {
    let parsed = match parsed(source, from, Grammar::default()) {
        // `a JOIN b JOIN c ON … ON …`: the parser reads joins from the left, or nests them, and not both.
        Err(wrong) if wrong.code == SYNTAX && (2..=JOINS_MAX).contains(&source.joins()) => {
            parsed(source, from, Grammar::nesting()).map_err(|_| wrong)?
        }
        parsed => parsed?,
    };
    let mut compiler = Compiler::new(context, source);
    compiler.lifts = Lifts::of(source);
    let mut compiled = compiler.query(&parsed, outermost)?;
    if !compiler.lifts.are_whole() {
        compiler = Compiler::new(context, source);
        compiled = compiler.query(&parsed, outermost)?;
    }
    let Compiler { tasks, uses, bare, lifts, window, .. } = compiler;
    let (Compiled { sql: sqlite, columns }, literals) = (compiled, lifts.literals());
    Ok(Query { sqlite, columns, params: source.params(), literals, tasks, uses, bare, window })
}
