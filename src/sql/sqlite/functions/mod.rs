//! MySQL's functions, registered with SQLite. Each file has a table of its functions: a name inside SQLite and a pure body.
//!
//! A body sees its arguments as [`args::Args`] and gives an [`args::Out`]; `None` is NULL, and so is a missing argument. No body
//! panics, whatever it is given: a panic ends the process. Nothing is allocated for a result over [`args::PACKET_MAX`] bytes.

mod aggregates;
mod amounts;
mod args;
mod civil;
mod clock;
mod coercions;
mod compress;
mod dates;
mod digest;
mod exact;
mod format;
mod grouped;
mod icu;
mod interval;
mod json;
mod like;
mod md5;
mod misc;
mod number;
mod own;
mod pad;
mod patience;
mod pattern;
mod print;
mod regexp;
mod session;
mod str_to_date;
#[cfg(test)]
mod tests;
mod text;
mod times;
mod uuid;
mod warnings;
mod weight;

use std::cmp::Ordering;

use rusqlite::Connection;
use rusqlite::functions::{Context as Call, FunctionFlags};

use crate::sql::context::Context;
use args::{Args, Out};

use crate::sql::error::SqlError;

/// What a function does.
#[derive(Clone, Copy)]
enum Body {
    /// It cannot fail.
    Plain(fn(&Args<'_>) -> Option<Out>),
    /// It may.
    Fallible(fn(&Args<'_>) -> Result<Option<Out>, SqlError>),
    /// It reaches the session, and may fail.
    Own(fn(&Args<'_>) -> Result<Option<Out>, SqlError>),
    /// Two calls with the same arguments differ.
    Random(fn(&Args<'_>) -> Option<Out>),
}

/// Names inside SQLite, and bodies.
type Table = &'static [(&'static str, Body)];

const TABLES: &[Table] = &[
    coercions::TABLE,
    exact::TABLE,
    text::TABLE,
    pad::TABLE,
    digest::TABLE,
    compress::TABLE,
    amounts::TABLE,
    grouped::TABLE,
    number::TABLE,
    misc::TABLE,
    own::TABLE,
    uuid::TABLE,
    like::TABLE,
    regexp::TABLE,
    dates::TABLE,
    times::TABLE,
    interval::TABLE,
    str_to_date::TABLE,
    json::TABLE,
];

/// Registers every function of [`signatures`](crate::sql::signatures) and every coercion with a connection.
pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    for (name, body) in TABLES.iter().copied().flatten() {
        register_one(connection, name, *body)?;
    }
    aggregates::register(connection)?;
    connection.create_collation("z4_ci", |a: &str, b: &str| compare_ci(a, b))
}

fn register_one(connection: &Connection, name: &str, body: Body) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    let same = flags | FunctionFlags::SQLITE_DETERMINISTIC;
    let fallible = |flags, run: fn(&Args<'_>) -> Result<Option<Out>, SqlError>| {
        connection.create_scalar_function(name, -1, flags, move |call: &Call<'_>| {
            run(&Args(call)).map(|out| Out::of(out, call.len())).map_err(|error| args::fault(&error))
        })
    };
    match body {
        Body::Plain(run) => {
            connection.create_scalar_function(name, -1, same, move |call: &Call<'_>| Ok(Out::of(run(&Args(call)), call.len())))
        }
        Body::Random(run) => {
            connection.create_scalar_function(name, -1, flags, move |call: &Call<'_>| Ok(Out::of(run(&Args(call)), call.len())))
        }
        Body::Fallible(run) => fallible(same, run),
        Body::Own(run) => fallible(flags, run),
    }
}

/// Compares texts as MySQL's `_ci` collations do, as far as case goes: letters with accents stay different.
fn compare_ci(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        return a.bytes().map(|b| b.to_ascii_uppercase()).cmp(b.bytes().map(|b| b.to_ascii_uppercase()));
    }
    // Nothing is allocated: that would count for nobody.
    a.chars().map(args::upper_char).cmp(b.chars().map(args::upper_char))
}

/// Says which statement runs on this thread from now on: its clock and time zone.
pub fn enter(context: &Context) {
    session::set(context.now_us, context.zone.clone());
}
