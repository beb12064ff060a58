//! Documents as bytes that compare as the documents do.

use super::super::args::{Args, Out};
use super::Json;
use super::read::Answer;
use crate::sql::decimal::Dec;

/// `z4_json_key`: what a document is compared, sorted and grouped by. MySQL's order of kinds: null, numbers, strings, objects, arrays,
/// booleans. Numbers go by their value, arrays element by element; objects are equal or not.
pub(super) fn key(args: &Args<'_>) -> Answer {
    Ok(args.text(0).map(|text| of(&text)).transpose()?.map(Out::Blob))
}

/// `z4_json_sort`: a key with its document behind it, so that the greatest of keys brings its document along.
pub(super) fn sort(args: &Args<'_>) -> Answer {
    let Some(text) = args.text(0) else { return Ok(None) };
    let mut whole = Vec::new();
    push_part(&of(&text)?, &mut whole);
    whole.extend_from_slice(text.as_bytes());
    Ok(Some(Out::Blob(whole)))
}

/// `z4_json_sorted`: the document behind a key.
pub(super) fn sorted(args: &Args<'_>) -> Option<Out> {
    let bytes = args.bytes(0)?;
    let mut at = 0;
    loop {
        match (bytes.get(at)?, bytes.get(at + 1)) {
            (0, Some(0)) => return Some(Out::Text(bytes.get(at + 2..)?.to_vec())),
            (0, _) => at += 2,
            _ => at += 1,
        }
    }
}

fn of(text: &str) -> Result<Vec<u8>, crate::sql::error::SqlError> {
    let mut key = Vec::new();
    // What most values in a task's metadata are: a string without escapes, a whole number.
    let plain = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match (plain.filter(|text| !text.contains(['"', '\\'])), text.parse::<i64>()) {
        (Some(string), _) => push_string(string, &mut key),
        (None, Ok(number)) => push_number(Some(Dec::from(number)), &mut key),
        (None, Err(_)) => push(&Json::of(text, 0, "cast_as_json")?, &mut key),
    }
    Ok(key)
}

fn push_string(text: &str, into: &mut Vec<u8>) {
    into.push(3);
    into.extend_from_slice(text.as_bytes());
}

fn push_number(exact: Option<Dec>, into: &mut Vec<u8>) {
    into.push(2);
    into.extend(exact.map(|exact| exact.encode()).unwrap_or_default());
}

fn push(json: &Json, into: &mut Vec<u8>) {
    match json {
        Json::Null => into.push(1),
        Json::Number(text) => push_number(Dec::parse(text).or_else(|| Dec::of_double(text.parse().ok()?)), into),
        Json::String(text) => push_string(text, into),
        Json::Object(members) => {
            into.push(4);
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            for (name, value) in members {
                push_part(name.as_bytes(), into);
                push_inner(value, into);
            }
        }
        Json::Array(elements) => {
            into.push(5);
            elements.iter().for_each(|element| push_inner(element, into));
        }
        Json::Bool(value) => into.extend([6, u8::from(*value)]),
    }
}

fn push_inner(json: &Json, into: &mut Vec<u8>) {
    let mut inner = Vec::new();
    push(json, &mut inner);
    push_part(&inner, into);
}

/// Bytes with an end: two zeros, and a zero inside has a mark behind it.
fn push_part(bytes: &[u8], into: &mut Vec<u8>) {
    for byte in bytes {
        into.push(*byte);
        if *byte == 0 {
            into.push(0xff);
        }
    }
    into.extend([0, 0]);
}
