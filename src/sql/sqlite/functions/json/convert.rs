//! A value of a document as one of a type of MySQL's, strictly: a text that only begins with a number is none.

use super::super::args::Out;
use super::super::clock;
use super::super::{civil, exact, session};
use super::value::Json;
use crate::sql::datetime::span;
use crate::sql::decimal::Dec;
use crate::sql::extraction::Shape;

/// Why a value does not become one of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It is an array or an object.
    Structure,
    /// It is none of them.
    Invalid,
    /// It is greater or longer than they are.
    Range,
}

/// The value; NULL for JSON's null, unless it is a document that is wanted.
pub(super) fn convert(json: &Json, shape: Shape) -> Result<Out, Misfit> {
    match (json, shape) {
        (_, Shape::Json) => Ok(json.to_string().into()),
        (Json::Null, _) => Ok(Out::Null),
        (Json::Array(_) | Json::Object(_), _) => Err(Misfit::Structure),
        (Json::Bool(value), Shape::Int(_) | Shape::UInt(_) | Shape::Float | Shape::Double | Shape::Decimal(..) | Shape::Year) => {
            convert(&Json::Number(i64::from(*value).to_string()), shape)
        }
        (Json::Bool(value), _) => of_text(if *value { "true" } else { "false" }, shape),
        (Json::Number(text) | Json::String(text), Shape::Float | Shape::Double) => real(text, shape),
        (Json::Number(text) | Json::String(text), Shape::Decimal(precision, scale)) => decimal(text, precision, scale),
        (Json::Number(text) | Json::String(text), Shape::Int(_) | Shape::UInt(_) | Shape::Year) => {
            let value = whole(text, matches!(json, Json::Number(_)))?;
            within(value, shape)
        }
        (Json::Number(text) | Json::String(text), _) => of_text(text, shape),
    }
}

/// A text: what is no number.
pub(super) fn of_text(text: &str, shape: Shape) -> Result<Out, Misfit> {
    let longer = |most: Option<u64>, length: usize| most.is_some_and(|most| length as u64 > most);
    match shape {
        Shape::Text(most) if longer(most, text.chars().count()) => Err(Misfit::Range),
        Shape::Text(_) => Ok(text.into()),
        Shape::Bytes(most) if longer(most, text.len()) => Err(Misfit::Range),
        Shape::Bytes(_) => Ok(Out::Blob(text.as_bytes().to_vec())),
        Shape::Date => wall(text).and_then(civil::date_text).map(Out::from).ok_or(Misfit::Invalid),
        Shape::DateTime(digits) => {
            let us = wall(text).and_then(|us| civil::in_range(civil::round(us, digits)));
            us.map(Out::Int).ok_or(Misfit::Invalid)
        }
        Shape::Time(digits) => {
            let time = clock::read(text).ok_or(Misfit::Invalid)?.0.clock();
            Ok(Out::Int(span::round(time, digits)))
        }
        _ => convert(&Json::String(text.to_owned()), shape),
    }
}

fn wall(text: &str) -> Option<i64> {
    session::zone().read_wall(text)
}

/// A DOUBLE, the even one of two whole numbers that are as near; of a text digits alone.
fn whole(text: &str, is_number: bool) -> Result<i128, Misfit> {
    let text = text.trim();
    match (text.parse::<i128>(), text.parse::<f64>()) {
        (Ok(value), _) => Ok(value),
        // The cast keeps to the limits.
        (_, Ok(value)) if is_number => Ok(value.round_ties_even() as i128),
        _ => Err(Misfit::Invalid),
    }
}

fn within(value: i128, shape: Shape) -> Result<Out, Misfit> {
    match shape {
        Shape::Int(bits) => {
            let most = (1_i128 << (bits.clamp(1, 64) - 1)) - 1;
            let value = Some(value).filter(|value| (-most - 1..=most).contains(value)).ok_or(Misfit::Range)?;
            i64::try_from(value).map(Out::Int).map_err(|_| Misfit::Range)
        }
        Shape::UInt(bits) => {
            let most = (1_i128 << bits.clamp(1, 64)) - 1;
            let value = Some(value).filter(|value| (0..=most).contains(value)).ok_or(Misfit::Range)?;
            u64::try_from(value).map(exact::unsigned).map_err(|_| Misfit::Range)
        }
        _ => match value {
            0 | 1901..=2155 => i64::try_from(value).map(Out::Int).map_err(|_| Misfit::Range),
            1..=69 => within(value + 2000, shape),
            70..=99 => within(value + 1900, shape),
            _ => Err(Misfit::Range),
        },
    }
}

fn real(text: &str, shape: Shape) -> Result<Out, Misfit> {
    let is_number = text.trim().bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    let value = text.trim().parse::<f64>().ok().filter(|_| is_number).ok_or(Misfit::Invalid)?;
    let value = match shape {
        // The shortest digits that tell it from other FLOATs.
        Shape::Float => (value as f32).to_string().parse().unwrap_or(f64::INFINITY),
        _ => value,
    };
    Out::finite(value).ok_or(Misfit::Range)
}

fn decimal(text: &str, precision: u8, scale: u8) -> Result<Out, Misfit> {
    let text = text.trim();
    let value = match Dec::parse(text) {
        Some(value) => value,
        None => Dec::of_double(text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or(Misfit::Invalid)?)
            .ok_or(Misfit::Range)?,
    };
    let rounded = value.rounded(i64::from(scale), true);
    if rounded == value.clamped(precision, scale) { Ok(exact::out(&rounded)) } else { Err(Misfit::Range) }
}
