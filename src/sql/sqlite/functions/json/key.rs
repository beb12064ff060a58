//! Documents as bytes that compare as the documents do.
//!
//! ```text
//! 1                                      null
//! 2 the bytes of a DECIMAL, 0            a number; 0 behind a positive one alone
//! 3 the text                             a string
//! 4 (1, the name, the value)…, 0         an object
//! 5 values, 0                            an array
//! 6 0, or 1                              a boolean
//! ```
//!
//! A text that is not the whole key has an end: two zeros, and a zero in it has a mark behind it. So each value says where it ends, and
//! however deep it stands it takes the same bytes.

use super::super::args::{Args, Out};
use super::Json;
use super::read::{Answer, document};
use crate::sql::decimal::Dec;
use crate::sql::error::SqlError;

/// `z4_json_key`: what a document is compared, sorted and grouped by. MySQL's order of kinds: null, numbers, strings, objects, arrays,
/// booleans. Numbers go by their value, arrays element by element; objects are equal or not.
pub(super) fn key(args: &Args<'_>) -> Answer {
    Ok(args.text(0).map(|text| of(args, &text)).transpose()?.map(Out::Blob))
}

/// `z4_json_sort`: a key with its document behind it, so that the greatest of keys brings its document along.
pub(super) fn sort(args: &Args<'_>) -> Answer {
    let Some(text) = args.text(0) else { return Ok(None) };
    let mut whole = Vec::new();
    push_text(&of(args, &text)?, &mut whole);
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

fn of(args: &Args<'_>, text: &str) -> Result<Vec<u8>, SqlError> {
    // What most values in a task's metadata are: a string without escapes, a whole number.
    let plain = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    if let Some(string) = plain.filter(|text| !text.contains(['"', '\\'])) {
        return Ok([&[STRING], string.as_bytes()].concat());
    }
    let mut key = Vec::new();
    match text.parse::<i64>() {
        Ok(number) => push_number(&Dec::from(number).encode(), &mut key),
        Err(_) => match document(args, 0, "cast_as_json")? {
            Some(Json::String(text)) => {
                key.push(STRING);
                key.extend_from_slice(text.as_bytes());
            }
            Some(json) => push(&json, &mut key),
            None => {}
        },
    }
    Ok(key)
}

const STRING: u8 = 3;
/// Of an object, an array, a positive number: less than whatever else may follow.
const END: u8 = 0;

fn push_number(encoded: &[u8], into: &mut Vec<u8>) {
    into.push(2);
    into.extend_from_slice(encoded);
    // A negative one has an end of its own.
    if encoded.last() != Some(&0xff) {
        into.push(END);
    }
}

fn push(json: &Json, into: &mut Vec<u8>) {
    match json {
        Json::Null => into.push(1),
        Json::Number(text) => match Dec::parse(text) {
            Some(exact) => push_number(&exact.encode(), into),
            None => push_number(&Dec::encode_double(text.parse().unwrap_or(0.0)), into),
        },
        Json::String(text) => {
            into.push(STRING);
            push_text(text.as_bytes(), into);
        }
        Json::Object(members) => {
            into.push(4);
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            for (name, value) in members {
                into.push(1);
                push_text(name.as_bytes(), into);
                push(value, into);
            }
            into.push(END);
        }
        Json::Array(elements) => {
            into.push(5);
            elements.iter().for_each(|element| push(element, into));
            into.push(END);
        }
        Json::Bool(value) => into.extend([6, u8::from(*value)]),
    }
}

/// Bytes with an end.
fn push_text(bytes: &[u8], into: &mut Vec<u8>) {
    for byte in bytes {
        into.push(*byte);
        if *byte == 0 {
            into.push(0xff);
        }
    }
    into.extend([0, 0]);
}

#[cfg(test)]
mod tests {
    //! A key that compares otherwise than its document would filter, sort and group wrong.
    use super::*;

    fn key(text: &str) -> Vec<u8> {
        let mut key = Vec::new();
        push(&Json::of(text, 0, "test").expect("a document"), &mut key);
        key
    }

    #[test]
    fn keys_compare_as_documents_do() {
        let sorted = [
            "null",
            "-1e300",
            "-1e100",
            "-12345678901234567890123456789012345678901234567890123456789012345678901",
            "-2",
            "-1.5",
            "-1e-300",
            "0",
            "1e-300",
            "0.1",
            "1",
            "1.5",
            "18446744073709551615",
            "1e65",
            "12345678901234567890123456789012345678901234567890123456789012345678901",
            "1e100",
            "1e300",
            r#""""#,
            r#""a""#,
            r#""a\u0000""#,
            r#""a\u0000b""#,
            r#""a\u0001""#,
            r#""ab""#,
            r#""é""#,
            r#""\ud83d\ude00""#,
            "{}",
            "[]",
            "[null]",
            "[-1e100]",
            "[-2]",
            "[-2, null]",
            "[-1]",
            "[1]",
            "[1, 2]",
            "[1.5]",
            "[2]",
            r#"["a"]"#,
            r#"["a", 1]"#,
            r#"["a\u0000"]"#,
            r#"["ab"]"#,
            "[{}]",
            "[[]]",
            "[[], 1]",
            "[[1]]",
            "[[1], 0]",
            "[[1, 0]]",
            "[[[]]]",
            "[false]",
            "[true]",
            "false",
            "true",
        ];
        for pair in sorted.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{pair:?}: {:?} {:?}", key(pair[0]), key(pair[1]));
        }
    }

    #[test]
    fn equal_documents_have_equal_keys() {
        for (a, b) in [
            ("1", "1.0"),
            ("1", "10e-1"),
            ("-0.0", "0"),
            ("1e100", "10e99"),
            ("[1, -2]", "[1.0,-20e-1]"),
            (r#"{"a": 1, "b": [2]}"#, r#"{ "b" : [2.0], "a": 0, "a": 1 }"#),
            (r#""\u0061\/""#, r#""a/""#),
        ] {
            assert_eq!(key(a), key(b), "{a} {b}");
        }
        let different =
            [(r#"{"a": 1}"#, r#"{"a": 2}"#), (r#"{"a": {}}"#, r#"{"a": []}"#), (r#"{"ab": 1}"#, r#"{"a": 1, "b": 1}"#)];
        for (a, b) in different {
            assert_ne!(key(a), key(b), "{a} {b}");
        }
        // However deep a document is, its key is about as long.
        let deep = |depth: usize| format!("{}1,1,1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(key(&deep(90)).len(), key(&deep(10)).len() + 2 * 80);
    }
}
