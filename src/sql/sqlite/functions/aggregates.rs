//! Functions that take many rows to one value, beside SQLite's own.

use std::collections::HashMap;

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::{Connection, Result};

use super::args::{Args, Out, PACKET_MAX, fault};
use super::json::Json;
use crate::sql::error::SqlError;
use crate::sql::sqlite::memory::Charge;

pub(super) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    for (name, start, step) in BITS {
        connection.create_aggregate_function(*name, 1, flags, Bits(*start, *step))?;
    }
    for (name, sample, root) in SPREADS {
        connection.create_aggregate_function(*name, 1, flags, Spread { sample: *sample, root: *root })?;
    }
    connection.create_aggregate_function("my_json_arrayagg", 1, flags, ArrayAgg)?;
    connection.create_aggregate_function("my_json_objectagg", 2, flags, ObjectAgg)
}

/// Name, value of no rows, step.
type BitRow = (&'static str, i64, fn(i64, i64) -> i64);

const BITS: &[BitRow] = &[("my_bit_and", -1, |a, b| a & b), ("my_bit_or", 0, |a, b| a | b), ("my_bit_xor", 0, |a, b| a ^ b)];

struct Bits(i64, fn(i64, i64) -> i64);

impl Aggregate<i64, i64> for Bits {
    fn init(&self, _: &mut Context<'_>) -> Result<i64> {
        Ok(self.0)
    }

    fn step(&self, call: &mut Context<'_>, value: &mut i64) -> Result<()> {
        if let Some(next) = Args(call).int(0) {
            *value = self.1(*value, next);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, value: Option<i64>) -> Result<i64> {
        Ok(value.unwrap_or(self.0))
    }
}

/// Name, of a sample, the root of it.
const SPREADS: &[(&str, bool, bool)] =
    &[("my_var_pop", false, false), ("my_var_samp", true, false), ("my_stddev_pop", false, true), ("my_stddev_samp", true, true)];

struct Spread {
    sample: bool,
    root: bool,
}

/// Welford's running mean and sum of squares.
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Aggregate<Moments, Out> for Spread {
    fn init(&self, _: &mut Context<'_>) -> Result<Moments> {
        Ok(Moments::default())
    }

    fn step(&self, call: &mut Context<'_>, moments: &mut Moments) -> Result<()> {
        if let Some(value) = Args(call).real(0) {
            moments.count += 1.0;
            let apart = value - moments.mean;
            moments.mean += apart / moments.count;
            moments.squares += apart * (value - moments.mean);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, moments: Option<Moments>) -> Result<Out> {
        let moments = moments.unwrap_or_default();
        let by = if self.sample { moments.count - 1.0 } else { moments.count };
        if by <= 0.0 {
            return Ok(Out::Null);
        }
        let variance = moments.squares / by;
        Ok(Out::of(Out::finite(if self.root { variance.sqrt() } else { variance }), 0))
    }
}

/// A document that grows longer than a packet ends the query.
fn too_long(name: &str) -> rusqlite::Error {
    fault(&SqlError::new(1301, "HY000", format!("Result of {name}() was larger than max_allowed_packet ({PACKET_MAX})")))
}

/// A value of JSON as text; NULL is JSON's null.
fn element(args: &Args<'_>, at: usize, name: &str) -> Result<String> {
    match args.text(at) {
        None => Ok("null".to_owned()),
        Some(text) => Json::of(&text, at, name).map(|json| json.to_string()).map_err(|error| fault(&error)),
    }
}

struct ArrayAgg;

impl Aggregate<(String, Charge), Out> for ArrayAgg {
    fn init(&self, _: &mut Context<'_>) -> Result<(String, Charge)> {
        Ok(("[".to_owned(), Charge::default()))
    }

    fn step(&self, call: &mut Context<'_>, (text, charge): &mut (String, Charge)) -> Result<()> {
        let element = element(&Args(call), 0, "json_arrayagg")?;
        if text.len() + element.len() + 3 > PACKET_MAX {
            return Err(too_long("json_arrayagg"));
        }
        if text.len() > 1 {
            text.push_str(", ");
        }
        text.push_str(&element);
        charge.grow(element.len() + 2);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, text: Option<(String, Charge)>) -> Result<Out> {
        Ok(text.map_or(Out::Null, |(text, _)| (text + "]").into()))
    }
}

struct ObjectAgg;

/// Members in the order of their first row, places by name, bytes so far, and what they count for.
type Members = (Vec<(String, String)>, HashMap<String, usize>, usize, Charge);

/// What a member takes beside its texts, about.
const MEMBER_BYTES: usize = 128;

impl Aggregate<Members, Out> for ObjectAgg {
    fn init(&self, _: &mut Context<'_>) -> Result<Members> {
        Ok(Members::default())
    }

    fn step(&self, call: &mut Context<'_>, (members, places, bytes, charge): &mut Members) -> Result<()> {
        let args = Args(call);
        let Some(name) = args.text(0) else { return Err(fault(&super::json::null_name())) };
        let value = element(&args, 1, "json_objectagg")?;
        *bytes += name.len() + value.len() + 6;
        charge.grow(2 * name.len() + value.len() + MEMBER_BYTES);
        if *bytes > PACKET_MAX {
            return Err(too_long("json_objectagg"));
        }
        match places.get(name.as_ref()).and_then(|at| members.get_mut(*at)) {
            Some(member) => member.1 = value,
            None => {
                places.insert(name.clone().into_owned(), members.len());
                members.push((name.into_owned(), value));
            }
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, members: Option<Members>) -> Result<Out> {
        let Some((members, ..)) = members else { return Ok(Out::Null) };
        let members: Vec<String> =
            members.iter().map(|(name, value)| format!("{}: {value}", Json::String(name.clone()))).collect();
        Ok(format!("{{{}}}", members.join(", ")).into())
    }
}
