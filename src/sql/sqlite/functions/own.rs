//! What reaches the session: user variables, locks, SLEEP.

use std::time::Duration;

use rusqlite::types::ValueRef;

use super::Body::Own;
use super::Table;
use super::args::{Args, Out};
use super::exact::unsigned;
use crate::sql::decimal::Dec;
use crate::sql::error::SqlError;
use crate::sql::own::UserValue;
use crate::sql::sqlite::running::Running;
use crate::sql::types::{Datum, SqlType};

pub(super) const TABLE: Table = &[
    ("z4_user", Own(user)),
    ("z4_assign", Own(assign)),
    ("my_sleep", Own(sleep)),
    ("my_get_lock", Own(get_lock)),
    ("my_release_lock", Own(release_lock)),
    ("my_release_all_locks", Own(|_| Ok(Some(Out::Int(Running::current()?.context.own.unlock_all() as i64))))),
    ("my_is_free_lock", Own(is_free_lock)),
    ("my_is_used_lock", Own(is_used_lock)),
    ("my_found_rows", Own(|_| Ok(Some(unsigned(Running::current()?.context.own.found_rows()))))),
    ("my_row_count", Own(|_| Ok(Some(Out::Int(Running::current()?.context.own.row_count()))))),
    ("my_last_insert_id", Own(last_insert_id)),
];

/// `@x`, by its name.
fn user(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let running = Running::current()?;
    let value = args.text(0).and_then(|name| running.context.own.variable(&name));
    Ok(value.and_then(|value| match value.datum {
        Datum::Null => None,
        Datum::Int(value) => Some(Out::Int(value)),
        // As literals of their types are.
        Datum::UInt(value) => Some(match i64::try_from(value) {
            Ok(value) => Out::Int(value),
            Err(_) => Out::Blob(Dec::parse(&value.to_string())?.encode()),
        }),
        Datum::Double(value) => Some(Out::Real(value)),
        Datum::Text(text) if matches!(value.ty, SqlType::Decimal(_)) => Some(Out::Blob(Dec::parse(&text)?.encode())),
        Datum::Text(text) => Some(text.into()),
        Datum::Blob(bytes) => Some(Out::Blob(bytes)),
    }))
}

/// `@x := value`: name, value, and the type as the dialect writes it.
fn assign(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let (Some(name), Some(kind)) = (args.text(0), args.text(2)) else { return Ok(None) };
    let digits = kind.get(1..).and_then(|digits| digits.parse::<u8>().ok()).unwrap_or(0);
    let ty = match kind.as_bytes().first() {
        Some(b'i') => SqlType::Int,
        Some(b'u') => SqlType::UInt,
        Some(b'd') => SqlType::Double,
        Some(b'n') => SqlType::Decimal(digits),
        Some(b'b') => SqlType::Blob,
        _ => SqlType::Text,
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let datum = match (ty, args.value(1)) {
        (_, ValueRef::Null) => Datum::Null,
        (SqlType::Blob, ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => Datum::Blob(bytes.to_vec()),
        (SqlType::Decimal(digits), _) => args.exact(1).map_or(Datum::Null, |exact| Datum::Text(exact.to_text(digits))),
        (SqlType::UInt, ValueRef::Blob(_)) => args.exact(1).and_then(|exact| exact.to_u64()).map_or(Datum::Null, Datum::UInt),
        (SqlType::UInt, ValueRef::Integer(value)) => Datum::UInt(value.cast_unsigned()),
        (SqlType::Text, ValueRef::Integer(value)) => Datum::Text(value.to_string()),
        (_, ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => Datum::Text(text(bytes)),
        (_, ValueRef::Integer(value)) => Datum::Int(value),
        (_, ValueRef::Real(value)) => Datum::Double(value),
    };
    Running::current()?.context.own.assign(&name, UserValue { datum, ty })?;
    Ok(Some(Out::Arg(1)))
}

/// What was set last; an argument is set, and given back.
fn last_insert_id(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let own = &Running::current()?.context.own;
    if args.len() == 0 {
        return Ok(Some(unsigned(own.insert_id())));
    }
    let bits = args.exact(0).map(|exact| exact.to_u64().unwrap_or_else(|| exact.to_int().cast_unsigned()));
    own.set_insert_id(bits.unwrap_or(0));
    Ok(bits.map(unsigned))
}

/// Waits; the query's end ends it.
fn sleep(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    match args.real(0) {
        Some(seconds) if seconds >= 0.0 => {
            let span = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
            Running::current()?.pause(span)?;
            Ok(Some(Out::Int(0)))
        }
        _ => Err(SqlError::new(1210, "HY000", "Incorrect arguments to sleep.")),
    }
}

/// 1: it is the session's. The time to wait does not matter, for nobody else can have it.
fn get_lock(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    Running::current()?.context.own.lock(&name(args)?)?;
    Ok(Some(Out::Int(1)))
}

/// 1, or NULL when there is no such lock.
fn release_lock(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let released = Running::current()?.context.own.unlock(&name(args)?)?;
    Ok(released.then_some(Out::Int(1)))
}

fn is_free_lock(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    Ok(Some((!Running::current()?.context.own.is_locked(&name(args)?)?).into()))
}

/// The connection that holds it, or NULL.
fn is_used_lock(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let running = Running::current()?;
    let held = running.context.own.is_locked(&name(args)?)?;
    Ok(held.then_some(Out::Int(i64::from(running.context.connection))))
}

fn name(args: &Args<'_>) -> Result<String, SqlError> {
    args.text(0).map(|name| name.to_string()).ok_or_else(|| {
        // NULL is no name.
        SqlError::new(3057, "42000", "Incorrect user-level lock name 'NULL'.")
    })
}
