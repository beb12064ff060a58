//! Numbers.

use std::sync::Mutex;

use super::Body::{self, Fallible, Plain};
use super::args::{Args, Number, Out};
use super::{Table, print, warnings};
use crate::sql::error::SqlError;

pub(super) const TABLE: Table = &[
    ("my_abs", Fallible(abs)),
    ("my_sign", Plain(|args| Some(Out::Int(args.real(0)?.partial_cmp(&0.0)? as i64)))),
    ("my_ceil", Plain(|args| whole(args, f64::ceil))),
    ("my_floor", Plain(|args| whole(args, f64::floor))),
    ("my_round", Plain(|args| rounded(args, true))),
    ("z4_round_double", Plain(|args| Out::finite(round_double(args.real(0)?, args.int_or(1, 0)?)))),
    ("my_truncate", Plain(|args| rounded(args, false))),
    ("my_pow", Fallible(pow)),
    ("my_sqrt", Plain(|args| Out::finite(args.real(0)?.sqrt()))),
    ("my_exp", Fallible(exp)),
    ("my_ln", Plain(|args| logarithm(args.real(0)?, f64::ln))),
    ("my_log", Plain(log)),
    ("my_log2", Plain(|args| logarithm(args.real(0)?, f64::log2))),
    ("my_log10", Plain(|args| logarithm(args.real(0)?, f64::log10))),
    ("my_pi", Plain(|_| Some(Out::Real(std::f64::consts::PI)))),
    ("my_sin", Plain(|args| Out::finite(args.real(0)?.sin()))),
    ("my_cos", Plain(|args| Out::finite(args.real(0)?.cos()))),
    ("my_tan", Plain(|args| Out::finite(args.real(0)?.tan()))),
    ("my_cot", Fallible(cot)),
    ("my_asin", Plain(|args| Out::finite(args.real(0)?.asin()))),
    ("my_acos", Plain(|args| Out::finite(args.real(0)?.acos()))),
    ("my_atan", Plain(atan)),
    ("my_degrees", Plain(|args| Out::finite(args.real(0)?.to_degrees()))),
    ("my_radians", Plain(|args| Out::finite(args.real(0)?.to_radians()))),
    ("my_bit_count", Plain(|args| Some(Out::Int(i64::from(args.int(0)?.count_ones()))))),
    ("my_rand", Body::Random(random)),
];

fn out_of_range(kind: &str, what: &str) -> SqlError {
    SqlError::new(1690, "22003", format!("{kind} value is out of range in '{what}'"))
}

fn abs(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    match args.number(0) {
        None => Ok(None),
        Some(Number::Int(value)) => {
            value.checked_abs().map(|value| Some(Out::Int(value))).ok_or_else(|| out_of_range("BIGINT", "abs"))
        }
        Some(Number::Real(value)) => Ok(Some(Out::Real(value.abs()))),
    }
}

/// An integer where it fits in one.
fn whole(args: &Args<'_>, of: fn(f64) -> f64) -> Option<Out> {
    match args.number(0)? {
        Number::Int(value) => Some(Out::Int(value)),
        Number::Real(value) => {
            let value = of(value);
            if value.abs() < 9.0e18 { Some(Out::Int(value as i64)) } else { Out::finite(value) }
        }
    }
}

fn rounded(args: &Args<'_>, round: bool) -> Option<Out> {
    let scale = args.int_or(1, 0)?;
    match args.number(0)? {
        Number::Int(value) => Some(Out::Int(rounded_int(value, scale, round))),
        Number::Real(value) if round => Out::finite(print::round(value, scale)),
        Number::Real(value) => Out::finite(print::truncate(value, scale)),
    }
}

/// A DOUBLE: by its binary value, half to the even one, as MySQL's.
pub(super) fn round_double(value: f64, scale: i64) -> f64 {
    let power = 10_f64.powi(scale.unsigned_abs().min(400) as i32);
    match scale {
        0.. if !(value * power).is_finite() => value,
        0.. => (value * power).round_ties_even() / power,
        _ if power.is_infinite() => 0.0,
        _ => (value / power).round_ties_even() * power,
    }
}

fn rounded_int(value: i64, scale: i64, round: bool) -> i64 {
    if scale >= 0 {
        return value;
    }
    let Some(step) = u32::try_from(scale.unsigned_abs()).ok().and_then(|places| 10_i128.checked_pow(places)) else { return 0 };
    let value = i128::from(value);
    let rest = value % step;
    let cut = value - rest;
    let up = round && rest.abs() * 2 >= step;
    let whole = if up { cut + step * value.signum() } else { cut };
    whole.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

fn pow(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let (Some(a), Some(b)) = (args.real(0), args.real(1)) else { return Ok(None) };
    Out::finite(a.powf(b)).map(Some).ok_or_else(|| out_of_range("DOUBLE", "pow"))
}

fn cot(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let Some(value) = args.real(0) else { return Ok(None) };
    Out::finite(value.tan().recip()).map(Some).ok_or_else(|| out_of_range("DOUBLE", "cot"))
}

fn exp(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let Some(value) = args.real(0) else { return Ok(None) };
    Out::finite(value.exp()).map(Some).ok_or_else(|| out_of_range("DOUBLE", "exp"))
}

/// The logarithm of a number that has one.
fn logarithm(value: f64, of: impl Fn(f64) -> f64) -> Option<Out> {
    if value > 0.0 {
        return Out::finite(of(value));
    }
    warnings::logarithm();
    None
}

/// LOG(x), LOG(base, x).
fn log(args: &Args<'_>) -> Option<Out> {
    if args.len() < 2 {
        return logarithm(args.real(0)?, f64::ln);
    }
    let (base, value) = (args.real(0)?, args.real(1)?);
    // To the base 1 there is none, either.
    logarithm(if base == 1.0 { 0.0 } else { base.min(value) }, |_| value.ln() / base.ln())
}

fn atan(args: &Args<'_>) -> Option<Out> {
    if args.len() < 2 {
        return Out::finite(args.real(0)?.atan());
    }
    Out::finite(args.real(0)?.atan2(args.real(1)?))
}

/// The state of a RAND with a seed: MySQL's own generator, so that a seed gives MySQL's numbers.
struct Seeded(Mutex<(u64, u64)>);

const RANDOM_MAX: u64 = 0x3fff_ffff;

impl Seeded {
    fn new(seed: i64) -> Seeded {
        let seed = seed as u32;
        let (first, second) = (seed.wrapping_mul(0x10001).wrapping_add(55_555_555), seed.wrapping_mul(0x1000_0001));
        Seeded(Mutex::new((u64::from(first) % RANDOM_MAX, u64::from(second) % RANDOM_MAX)))
    }

    fn next(&self) -> f64 {
        let Ok(mut state) = self.0.lock() else { return 0.0 };
        state.0 = (state.0 * 3 + state.1) % RANDOM_MAX;
        state.1 = (state.0 + state.1 + 33) % RANDOM_MAX;
        state.0 as f64 / RANDOM_MAX as f64
    }
}

fn random(args: &Args<'_>) -> Option<Out> {
    if args.len() == 0 {
        return Some(Out::Real(rand::random::<f64>()));
    }
    let seed = args.int(0).unwrap_or(0);
    // Kept by SQLite between the rows where the seed is a constant.
    let state = match args.0.get_aux::<Seeded>(0) {
        Ok(Some(state)) => state,
        _ => args.0.set_aux(0, Seeded::new(seed)).ok()?,
    };
    Some(Out::Real(state.next()))
}
