//! Amounts as one reads them: bytes, picoseconds; years; weights of texts; random bytes.

use rusqlite::types::ValueRef;

use super::Body::{self, Plain};
use super::Table;
use super::args::{Args, Out, PACKET_MAX};
use super::exact::nearest;
use crate::sql::error::SqlError;

pub(super) const TABLE: Table = &[
    ("my_format_bytes", Plain(|args| Some(amount(args.real(0)?, BYTES, (4, "bytes")).into()))),
    ("my_format_pico_time", Plain(|args| Some(amount(args.real(0)?, TIMES, (3, "ps")).into()))),
    ("my_weight_string", Plain(weights)),
    ("my_random_bytes", Body::Own(random)),
    ("z4_year", Plain(|args| year(nearest(args, 0)?.rounded(0, true).to_int()))),
    ("z4_year_of_text", Plain(|args| year_of_text(&args.text(0)?))),
];

/// Units, the largest first.
const BYTES: &[(f64, &str)] = &[
    ((1_u64 << 60) as f64, "EiB"),
    ((1_u64 << 50) as f64, "PiB"),
    ((1_u64 << 40) as f64, "TiB"),
    ((1_u64 << 30) as f64, "GiB"),
    ((1_u64 << 20) as f64, "MiB"),
    ((1_u64 << 10) as f64, "KiB"),
];
const TIMES: &[(f64, &str)] =
    &[(86_400e12, "d"), (3_600e12, "h"), (60e12, "min"), (1e12, "s"), (1e9, "ms"), (1e6, "us"), (1e3, "ns")];

/// In the largest unit of which it is at least one; `least`: digits of what is less than one of each, and its unit.
fn amount(value: f64, units: &[(f64, &str)], least: (usize, &str)) -> String {
    match units.iter().find(|(size, _)| value.abs() >= *size) {
        None => format!("{:>1$} {2}", value.trunc() as i64, least.0, least.1),
        Some((size, unit)) => {
            let count = value / size;
            if count.abs() < 100_000.0 { format!("{count:.2} {unit}") } else { format!("{} {unit}", with_exponent(count)) }
        }
    }
}

/// `1.23e+08`.
fn with_exponent(value: f64) -> String {
    let text = format!("{value:.2e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// What utf8mb4_bin sorts by: three bytes of each character. Bytes are their own weights.
fn weights(args: &Args<'_>) -> Option<Out> {
    match args.value(0) {
        ValueRef::Text(bytes) if bytes.len() <= PACKET_MAX / 3 => {
            let text = String::from_utf8_lossy(bytes);
            Some(Out::Blob(
                text.chars().flat_map(|letter| [(letter as u32 >> 16) as u8, (letter as u32 >> 8) as u8, letter as u8]).collect(),
            ))
        }
        ValueRef::Blob(bytes) => Some(Out::Blob(bytes.to_vec())),
        _ => None,
    }
}

fn random(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    match args.int(0) {
        None => Ok(None),
        Some(count @ 1..=1024) => Ok(Some(Out::Blob((0..count).map(|_| rand::random::<u8>()).collect()))),
        Some(_) => Err(SqlError::new(1690, "22003", "length value is out of range in 'random_bytes'")),
    }
}

/// Two digits are a year of 1970 to 2069; what is no year is NULL.
fn year(value: i64) -> Option<Out> {
    match value {
        0 | 1901..=2155 => Some(Out::Int(value)),
        1..=69 => Some(Out::Int(value + 2000)),
        70..=99 => Some(Out::Int(value + 1900)),
        _ => None,
    }
}

/// The digits that a text begins with; of up to two, 0 is 2000.
fn year_of_text(text: &str) -> Option<Out> {
    let text = text.trim_start();
    let digits = text.get(..text.bytes().take_while(u8::is_ascii_digit).count())?;
    match digits.parse::<i64>().ok()? {
        0 if digits.len() <= 3 => Some(Out::Int(2000)),
        value => year(value),
    }
}
