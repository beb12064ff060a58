//! UUIDs as text and as 16 bytes.

use super::Body::{Fallible, Plain};
use super::Table;
use super::args::{Args, Out};
use crate::sql::error::SqlError;

pub(super) const TABLE: Table = &[
    ("my_is_uuid", Plain(|args| Some(parse(&args.text(0)?).is_some().into()))),
    ("my_uuid_to_bin", Fallible(to_bin)),
    ("my_bin_to_uuid", Fallible(from_bin)),
];

/// 32 hexadecimal digits, alone or in five groups, these also in braces.
fn parse(text: &str) -> Option<[u8; 16]> {
    let grouped = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'))?;
    let digits: String = match grouped.len() {
        32 if grouped == text => grouped.to_owned(),
        36 if [8, 13, 18, 23].iter().all(|at| grouped.as_bytes().get(*at) == Some(&b'-')) => grouped.split('-').collect(),
        _ => return None,
    };
    let valid = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    valid.then(|| u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)).flatten()
}

/// With a flag the parts of the time are put in the order of their weight, so that neighbours in time are neighbours as bytes.
fn to_bin(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let Some(text) = args.text(0) else { return Ok(None) };
    let [a, b, c, d, e, f, g, h, rest @ ..] = parse(&text).ok_or_else(|| incorrect(&text, "uuid_to_bin"))?;
    let head = if swaps(args) { [g, h, e, f, a, b, c, d] } else { [a, b, c, d, e, f, g, h] };
    Ok(Some(Out::Blob([head, rest].concat())))
}

fn from_bin(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let Some(bytes) = args.bytes(0) else { return Ok(None) };
    let Ok(bytes) = <[u8; 16]>::try_from(&*bytes) else {
        return Err(incorrect(&String::from_utf8_lossy(&bytes), "bin_to_uuid"));
    };
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    let head = if swaps(args) { [e, f, g, h, c, d, a, b] } else { [a, b, c, d, e, f, g, h] };
    let bits = u128::from_be_bytes([head, rest].as_flattened().try_into().unwrap_or_default());
    let part = |from: u32, digits: u32| bits >> (from * 4) & ((1 << (digits * 4)) - 1);
    let text = format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", part(24, 8), part(20, 4), part(16, 4), part(12, 4), part(0, 12));
    Ok(Some(text.into()))
}

fn swaps(args: &Args<'_>) -> bool {
    args.len() > 1 && args.int(1).is_some_and(|flag| flag != 0)
}

fn incorrect(value: &str, function: &str) -> SqlError {
    let value: String = value.chars().take(64).collect();
    SqlError::new(1411, "HY000", format!("Incorrect string value: '{value}' for function {function}"))
}
