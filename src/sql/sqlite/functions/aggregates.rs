//! Functions that take many rows to one value, beside SQLite's own.

mod documents;
mod packed;

use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::{Connection, Result};

use super::args::{Args, Out, fault};
use super::exact;
use crate::sql::decimal::Dec;
use crate::sql::error::SqlError;

pub(super) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    for (name, start, step) in BITS {
        connection.create_window_function(*name, 1, flags, Bits(*start, *step))?;
    }
    for (name, sample, root) in SPREADS {
        connection.create_window_function(*name, 1, flags, Spread { sample: *sample, root: *root })?;
    }
    connection.create_window_function("my_sum", 1, flags, Sum)?;
    connection.create_aggregate_function("z4_only", 1, flags, Only)?;
    documents::register(connection, flags)?;
    packed::register(connection, flags)
}

/// Name, value of no rows, and the value by how many rows there are and how many have a bit.
type BitRow = (&'static str, i64, fn(u64, u64) -> bool);

const BITS: &[BitRow] =
    &[("my_bit_and", -1, |rows, set| rows == set), ("my_bit_or", 0, |_, set| set > 0), ("my_bit_xor", 0, |_, set| set % 2 == 1)];

struct Bits(i64, fn(u64, u64) -> bool);

/// How many rows there are, and how many have each bit.
struct Counts {
    rows: u64,
    set: [u64; 64],
}

impl Counts {
    fn change(&mut self, value: i64, by: impl Fn(&mut u64)) {
        by(&mut self.rows);
        for (bit, set) in self.set.iter_mut().enumerate() {
            if value >> bit & 1 == 1 {
                by(set);
            }
        }
    }
}

impl Bits {
    fn of(&self, counts: Option<&Counts>) -> i64 {
        let Some(counts) = counts.filter(|counts| counts.rows > 0) else { return self.0 };
        counts.set.iter().enumerate().fold(0, |value, (bit, set)| value | i64::from(self.1(counts.rows, *set)) << bit)
    }
}

impl Aggregate<Counts, i64> for Bits {
    fn init(&self, _: &mut Context<'_>) -> Result<Counts> {
        Ok(Counts { rows: 0, set: [0; 64] })
    }

    fn step(&self, call: &mut Context<'_>, counts: &mut Counts) -> Result<()> {
        if let Some(value) = Args(call).int(0) {
            counts.change(value, |count| *count += 1);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, counts: Option<Counts>) -> Result<i64> {
        Ok(self.of(counts.as_ref()))
    }
}

impl WindowAggregate<Counts, i64> for Bits {
    fn value(&self, counts: Option<&mut Counts>) -> Result<i64> {
        Ok(self.of(counts.as_deref()))
    }

    fn inverse(&self, call: &mut Context<'_>, counts: &mut Counts) -> Result<()> {
        if let Some(value) = Args(call).int(0) {
            counts.change(value, |count| *count = count.saturating_sub(1));
        }
        Ok(())
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
        Ok(self.of(moments.as_ref()))
    }
}

impl WindowAggregate<Moments, Out> for Spread {
    fn value(&self, moments: Option<&mut Moments>) -> Result<Out> {
        Ok(self.of(moments.as_deref()))
    }

    fn inverse(&self, call: &mut Context<'_>, moments: &mut Moments) -> Result<()> {
        let Some(value) = Args(call).real(0) else { return Ok(()) };
        if moments.count <= 1.0 {
            *moments = Moments::default();
            return Ok(());
        }
        let apart = value - moments.mean;
        moments.count -= 1.0;
        moments.mean -= apart / moments.count;
        moments.squares = (moments.squares - apart * (value - moments.mean)).max(0.0);
        Ok(())
    }
}

impl Spread {
    fn of(&self, moments: Option<&Moments>) -> Out {
        let (count, squares) = moments.map_or((0.0, 0.0), |moments| (moments.count, moments.squares));
        let by = if self.sample { count - 1.0 } else { count };
        if by <= 0.0 {
            return Out::Null;
        }
        let variance = squares / by;
        Out::of(Out::finite(if self.root { variance.sqrt() } else { variance }), 0)
    }
}

/// SUM of exact numbers: the sum, and of how many it is.
struct Sum;

impl Sum {
    fn of(total: Option<&(Dec, u64)>) -> Result<Out> {
        match total {
            Some((sum, count)) if *count > 0 && sum.is_out_of_range() => Err(fault(&exact::out_of_range("DECIMAL"))),
            Some((sum, count)) if *count > 0 => Ok(exact::out(sum)),
            _ => Ok(Out::Null),
        }
    }
}

impl Aggregate<(Dec, u64), Out> for Sum {
    fn init(&self, _: &mut Context<'_>) -> Result<(Dec, u64)> {
        Ok((Dec::from(0_i64), 0))
    }

    fn step(&self, call: &mut Context<'_>, (sum, count): &mut (Dec, u64)) -> Result<()> {
        if let Some(value) = Args(call).exact(0) {
            *sum = sum.plus(&value);
            *count += 1;
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, total: Option<(Dec, u64)>) -> Result<Out> {
        Sum::of(total.as_ref())
    }
}

impl WindowAggregate<(Dec, u64), Out> for Sum {
    fn value(&self, total: Option<&mut (Dec, u64)>) -> Result<Out> {
        Sum::of(total.as_deref())
    }

    fn inverse(&self, call: &mut Context<'_>, (sum, count): &mut (Dec, u64)) -> Result<()> {
        if let Some(value) = Args(call).exact(0) {
            *sum = sum.minus(&value);
            *count = count.saturating_sub(1);
        }
        Ok(())
    }
}

/// The value of the only row; an error (1242) when there is another.
struct Only;

impl Aggregate<Option<Out>, Out> for Only {
    fn init(&self, _: &mut Context<'_>) -> Result<Option<Out>> {
        Ok(None)
    }

    fn step(&self, call: &mut Context<'_>, only: &mut Option<Out>) -> Result<()> {
        match only.replace(Out::copy(Args(call).value(0))) {
            None => Ok(()),
            Some(_) => Err(fault(&SqlError::new(1242, "21000", "Subquery returns more than 1 row"))),
        }
    }

    fn finalize(&self, _: &mut Context<'_>, only: Option<Option<Out>>) -> Result<Out> {
        Ok(only.flatten().unwrap_or(Out::Null))
    }
}
