//! Texts that are made longer, and lists of texts.

use rusqlite::types::ValueRef;

use super::Body::Plain;
use super::Table;
use super::args::{Args, Out, PACKET_MAX};
use super::text::{any_blob, count, cut, find};

pub(super) const TABLE: Table = &[
    ("my_repeat", Plain(repeat)),
    ("my_space", Plain(|args| repeated(b" ", args.int(0)?).map(Out::Text))),
    ("my_lpad", Plain(|args| pad(args, true))),
    ("my_rpad", Plain(|args| pad(args, false))),
    ("my_field", Plain(field)),
    ("my_find_in_set", Plain(find_in_set)),
    ("my_make_set", Plain(make_set)),
    ("my_elt", Plain(elt)),
    ("my_quote", Plain(quote)),
    ("my_ascii", Plain(|args| Some(Out::Int(i64::from(args.bytes(0)?.first().copied().unwrap_or(0)))))),
    ("my_ord", Plain(ord)),
    ("my_char", Plain(char_of)),
    ("my_soundex", Plain(soundex)),
];

fn repeated(what: &[u8], times: i64) -> Option<Vec<u8>> {
    let times = usize::try_from(times).unwrap_or(0);
    (what.len().checked_mul(times)? <= PACKET_MAX).then(|| what.repeat(times))
}

fn repeat(args: &Args<'_>) -> Option<Out> {
    Some(Out::string(repeated(&args.bytes(0)?, args.int(1)?)?, args.is_blob(0)))
}

fn pad(args: &Args<'_>, before: bool) -> Option<Out> {
    let (bytes, blob) = (args.bytes(0)?, any_blob(args));
    let length = usize::try_from(args.int(1)?).ok()?;
    let with = if args.len() > 2 { args.bytes(2)?.into_owned() } else { b" ".to_vec() };
    let has = count(&bytes, blob);
    let Some(missing) = length.checked_sub(has) else { return Some(Out::string(cut(&bytes, blob, 0, length), blob)) };
    if missing == 0 {
        return Some(Out::string(bytes, blob));
    }
    let each = count(&with, blob);
    if each == 0 {
        return None;
    }
    // MySQL's bound is of characters of four bytes.
    if length > PACKET_MAX / if blob { 1 } else { 4 } {
        return None;
    }
    let mut padding = with.repeat(missing / each);
    padding.extend_from_slice(cut(&with, blob, 0, missing % each));
    let whole = if before { [&padding[..], &bytes].concat() } else { [&bytes[..], &padding].concat() };
    (whole.len() <= PACKET_MAX).then(|| Out::string(whole, blob))
}

/// Compared as numbers when the first is one, else as text.
fn field(args: &Args<'_>) -> Option<Out> {
    let all =
        |numbers: bool| (0..args.len()).all(|at| matches!(args.value(at), ValueRef::Integer(_) | ValueRef::Real(_)) == numbers);
    let texts = (0..args.len()).all(|at| matches!(args.value(at), ValueRef::Text(_) | ValueRef::Blob(_) | ValueRef::Null));
    let same = |at: usize| {
        if args.is_null(at) || args.is_null(0) {
            false
        } else if texts && !all(true) {
            args.bytes(at) == args.bytes(0)
        } else {
            args.real(at) == args.real(0)
        }
    };
    Some(Out::Int((1..args.len()).find(|at| same(*at)).unwrap_or(0) as i64))
}

fn find_in_set(args: &Args<'_>) -> Option<Out> {
    let (what, set) = (args.bytes(0)?, args.bytes(1)?);
    if set.is_empty() || find(&what, b",", 0).is_some() {
        return Some(Out::Int(0));
    }
    Some(Out::Int(set.split(|b| *b == b',').position(|one| *one == *what).map_or(0, |at| at as i64 + 1)))
}

fn make_set(args: &Args<'_>) -> Option<Out> {
    let bits = args.int(0)?;
    let chosen = (1..args.len().min(65)).filter(|at| bits >> (at - 1) & 1 == 1).filter_map(|at| args.bytes(at));
    let whole = chosen.map(std::borrow::Cow::into_owned).collect::<Vec<_>>().join(&b","[..]);
    (whole.len() <= PACKET_MAX).then_some(Out::Text(whole))
}

fn elt(args: &Args<'_>) -> Option<Out> {
    let at = usize::try_from(args.int(0)?).ok().filter(|at| (1..args.len()).contains(at))?;
    (!args.is_null(at)).then_some(Out::Arg(at))
}

fn quote(args: &Args<'_>) -> Option<Out> {
    let Some(bytes) = args.bytes(0) else { return Some("NULL".into()) };
    let mut whole = vec![b'\''];
    for byte in bytes.iter() {
        match byte {
            b'\'' | b'\\' => whole.extend([b'\\', *byte]),
            0 => whole.extend(b"\\0"),
            0x1a => whole.extend(b"\\Z"),
            _ => whole.push(*byte),
        }
    }
    whole.push(b'\'');
    (whole.len() <= PACKET_MAX).then_some(Out::Text(whole))
}

fn ord(args: &Args<'_>) -> Option<Out> {
    let bytes = args.bytes(0)?;
    let first = cut(&bytes, args.is_blob(0), 0, 1);
    Some(Out::Int(first.iter().take(4).fold(0, |value, byte| value << 8 | i64::from(*byte))))
}

fn char_of(args: &Args<'_>) -> Option<Out> {
    let mut whole = Vec::new();
    for number in (0..args.len()).filter_map(|at| args.int(at)) {
        let bytes = (number as u32).to_be_bytes();
        let skipped = bytes.iter().take(3).take_while(|b| **b == 0).count();
        whole.extend_from_slice(bytes.get(skipped..)?);
    }
    Some(Out::Blob(whole))
}

fn soundex(args: &Args<'_>) -> Option<Out> {
    let code = |letter: char| match letter {
        'B' | 'F' | 'P' | 'V' => Some('1'),
        'C' | 'G' | 'J' | 'K' | 'Q' | 'S' | 'X' | 'Z' => Some('2'),
        'D' | 'T' => Some('3'),
        'L' => Some('4'),
        'M' | 'N' => Some('5'),
        'R' => Some('6'),
        _ => None,
    };
    let text = args.text(0)?;
    // What is not ASCII counts as a letter and has no case here.
    let mut letters = text
        .chars()
        .filter(|letter| letter.is_ascii_alphabetic() || !letter.is_ascii())
        .map(|letter| letter.to_ascii_uppercase());
    let Some(first) = letters.next() else { return Some("".into()) };
    let mut whole = String::from(first);
    let mut last = code(first);
    for letter in letters {
        // Vowels stand for themselves between equal codes no more than H and W do: MySQL drops them all.
        let Some(next) = code(letter) else { continue };
        if last != Some(next) {
            whole.push(next);
        }
        last = Some(next);
    }
    while whole.chars().count() < 4 {
        whole.push('0');
    }
    Some(whole.into())
}
