//! Other ways to write bytes and numbers: base 16, base 64, other bases; digests.

use rusqlite::types::ValueRef;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::Body::Plain;
use super::Table;
use super::args::{Args, Out, PACKET_MAX};
use super::md5;
use crate::sql::decimal::Dec;

pub(super) const TABLE: Table = &[
    ("my_hex", Plain(hex)),
    ("z4_hex_exact", Plain(|args| Some(hex_exact(&args.exact(0)?)))),
    ("my_unhex", Plain(|args| unhex(&args.bytes(0)?).map(Out::Blob))),
    ("my_to_base64", Plain(|args| to_base64(&args.bytes(0)?))),
    ("my_from_base64", Plain(|args| from_base64(&args.bytes(0)?).map(Out::Blob))),
    ("my_bin", Plain(|args| in_base(args, 10, 2))),
    ("my_oct", Plain(|args| in_base(args, 10, 8))),
    ("my_conv", Plain(|args| in_base(args, args.int(1)?, args.int(2)?))),
    ("my_md5", Plain(|args| Some(hex_of(&md5::digest(&args.bytes(0)?), false).into()))),
    ("my_sha1", Plain(|args| Some(hex_of(&Sha1::digest(args.bytes(0)?), false).into()))),
    ("my_sha2", Plain(sha2_of)),
    ("my_crc32", Plain(|args| Some(Out::Int(i64::from(crc32(&args.bytes(0)?)))))),
];

fn hex_of(bytes: &[u8], upper: bool) -> String {
    let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let digit = |four: u8| char::from(digits.get(usize::from(four & 15)).copied().unwrap_or(b'0'));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

fn hex(args: &Args<'_>) -> Option<Out> {
    match args.value(0) {
        ValueRef::Null => None,
        ValueRef::Integer(value) => Some(format!("{value:X}").into()),
        ValueRef::Real(value) => Some(hex_of_double(value)),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => (bytes.len() <= PACKET_MAX / 2).then(|| hex_of(bytes, true).into()),
    }
}

/// Rounded away from zero at a half; what is no BIGINT of either kind has all 64 bits.
fn hex_of_double(value: f64) -> Out {
    let bits = match value.round() {
        value if value <= i64::MIN as f64 || value >= u64::MAX as f64 => u64::MAX,
        value if value < 0.0 => value as i64 as u64,
        value => value as u64,
    };
    format!("{bits:X}").into()
}

/// Of a DECIMAL or BIGINT UNSIGNED: a DECIMAL as the DOUBLE that it is nearest to.
fn hex_exact(exact: &Dec) -> Out {
    match exact.to_u64().filter(|value| Dec::from(*value) == *exact) {
        Some(whole) => format!("{whole:X}").into(),
        None => hex_of_double(exact.to_double()),
    }
}

fn unhex(bytes: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let (odd, rest) = bytes.split_at_checked(bytes.len() % 2)?;
    let mut whole = Vec::with_capacity(bytes.len() / 2 + 1);
    if let Some(first) = odd.first() {
        whole.push(digit(first)?);
    }
    for pair in rest.chunks_exact(2) {
        if let [high, low] = pair {
            whole.push(digit(high)? << 4 | digit(low)?);
        }
    }
    Some(whole)
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// With a line end after every 76 characters.
fn to_base64(bytes: &[u8]) -> Option<Out> {
    if bytes.len() > PACKET_MAX / 3 * 2 {
        return None;
    }
    let mut whole = String::with_capacity(bytes.len() / 3 * 4 + 4);
    for (number, three) in bytes.chunks(3).enumerate() {
        if number > 0 && number % 19 == 0 {
            whole.push('\n');
        }
        let value = three.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4_usize {
            let six = (value >> (18 - 6 * place) & 63) as usize;
            whole.push(if place <= three.len() { char::from(BASE64.get(six).copied().unwrap_or(b'=')) } else { '=' });
        }
    }
    Some(whole.into())
}

fn from_base64(bytes: &[u8]) -> Option<Vec<u8>> {
    let letters: Vec<u8> = bytes.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    if !letters.len().is_multiple_of(4) {
        return None;
    }
    let padding = letters.iter().rev().take_while(|b| **b == b'=').count();
    let used = letters.get(..letters.len().checked_sub(padding)?).filter(|_| padding <= 2)?;
    let mut whole = Vec::with_capacity(letters.len() / 4 * 3);
    let (mut value, mut bits) = (0_u32, 0_u32);
    for letter in used {
        let six = BASE64.iter().position(|known| known == letter)? as u32;
        value = value << 6 | six;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            whole.push((value >> bits) as u8);
            value &= (1 << bits) - 1;
        }
    }
    Some(whole)
}

/// A number written in one base, in another; a negative base asks for a sign.
fn in_base(args: &Args<'_>, from: i64, to: i64) -> Option<Out> {
    let (from_digits, to_digits) = (from.unsigned_abs(), to.unsigned_abs());
    if args.is_null(0) || !(2..=36).contains(&from_digits) || !(2..=36).contains(&to_digits) {
        return None;
    }
    let text = args.text(0)?;
    if text.is_empty() {
        return None;
    }
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = digits
        .chars()
        .map_while(|digit| digit.to_digit(from_digits as u32))
        .try_fold(0_u64, |value, digit| value.checked_mul(from_digits)?.checked_add(u64::from(digit)));
    let value = match value {
        Some(value) if negative => value.wrapping_neg(),
        Some(value) => value,
        // Too many digits: all bits, whatever the sign; of a signed base the end of BIGINT.
        None if from > 0 => u64::MAX,
        None if negative => i64::MIN as u64,
        None => i64::MAX as u64,
    };
    let (sign, mut left) = if to < 0 && (value as i64) < 0 { ("-", (value as i64).unsigned_abs()) } else { ("", value) };
    let mut reversed = Vec::new();
    loop {
        reversed.push(char::from_digit((left % to_digits) as u32, 36).unwrap_or('0').to_ascii_uppercase());
        left /= to_digits;
        if left == 0 {
            break;
        }
    }
    Some(format!("{sign}{}", reversed.iter().rev().collect::<String>()).into())
}

fn sha2_of(args: &Args<'_>) -> Option<Out> {
    let bytes = args.bytes(0)?;
    Some(match args.int(1)? {
        224 => hex_of(&Sha224::digest(bytes), false).into(),
        0 | 256 => hex_of(&Sha256::digest(bytes), false).into(),
        384 => hex_of(&Sha384::digest(bytes), false).into(),
        512 => hex_of(&Sha512::digest(bytes), false).into(),
        _ => return None,
    })
}

/// ISO 3309, as zip has it; bit by bit through a table made at compile time.
fn crc32(bytes: &[u8]) -> u32 {
    const STEPS: [u32; 256] = steps();
    !bytes.iter().fold(!0, |crc, byte| crc >> 8 ^ STEPS[usize::from(crc as u8 ^ byte)])
}

const fn steps() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = at as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
}
