//! Texts: parts, places, changes. A text is cut between characters, a BLOB between bytes.

use super::Body::Plain;
use super::Table;
use super::args::{Args, Out, PACKET_MAX, lower_char, upper_char};

pub(super) const TABLE: Table = &[
    ("my_concat", Plain(concat)),
    ("my_concat_ws", Plain(concat_ws)),
    ("my_substring", Plain(substring)),
    ("my_substring_index", Plain(substring_index)),
    ("my_left", Plain(left)),
    ("my_right", Plain(right)),
    ("my_length", Plain(|args| Some(Out::Int(args.bytes(0)?.len() as i64)))),
    ("my_bit_length", Plain(|args| Some(Out::Int(args.bytes(0)?.len() as i64 * 8)))),
    ("my_char_length", Plain(|args| Some(Out::Int(count(&args.bytes(0)?, args.is_blob(0)) as i64)))),
    ("my_upper", Plain(|args| change_case(args, upper_char))),
    ("my_lower", Plain(|args| change_case(args, lower_char))),
    ("my_trim", Plain(trim)),
    ("my_ltrim", Plain(|args| trimmed(args, (b" ", true, false)))),
    ("my_rtrim", Plain(|args| trimmed(args, (b" ", false, true)))),
    ("my_replace", Plain(replace)),
    ("my_reverse", Plain(reverse)),
    ("my_instr", Plain(|args| Some(Out::Int(locate(args, (1, 0), 1)?)))),
    ("my_locate", Plain(|args| Some(Out::Int(locate(args, (0, 1), args.int_or(2, 1)?)?)))),
    ("my_strcmp", Plain(|args| Some(Out::Int(args.bytes(0)?.cmp(&args.bytes(1)?) as i64)))),
    ("my_insert", Plain(insert)),
];

/// An argument is a BLOB.
pub(super) fn any_blob(args: &Args<'_>) -> bool {
    (0..args.len()).any(|at| args.is_blob(at))
}

fn is_start(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

/// Characters, or bytes of a BLOB.
pub(super) fn count(bytes: &[u8], blob: bool) -> usize {
    if blob { bytes.len() } else { bytes.iter().filter(|b| is_start(**b)).count() }
}

/// Where the character with this number (from 0) begins; the end when there is none.
pub(super) fn offset(bytes: &[u8], blob: bool, number: usize) -> usize {
    if blob {
        return number.min(bytes.len());
    }
    if number == 0 {
        return 0;
    }
    bytes.iter().enumerate().filter(|(_, b)| is_start(**b)).nth(number).map_or(bytes.len(), |(at, _)| at)
}

/// So many characters from one on.
pub(super) fn cut(bytes: &[u8], blob: bool, from: usize, length: usize) -> &[u8] {
    let rest = bytes.get(offset(bytes, blob, from)..).unwrap_or_default();
    rest.get(..offset(rest, blob, length)).unwrap_or_default()
}

/// Where `what` begins in `bytes`, from a place on.
pub(super) fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    // In linear time, whatever they are: a call cannot be interrupted.
    memchr::memmem::find(bytes.get(from..)?, what).map(|at| at + from)
}

fn concat(args: &Args<'_>) -> Option<Out> {
    let mut whole = Vec::new();
    for at in 0..args.len() {
        let part = args.bytes(at)?;
        if whole.len() + part.len() > PACKET_MAX {
            return None;
        }
        whole.extend_from_slice(&part);
    }
    Some(Out::string(whole, any_blob(args)))
}

fn concat_ws(args: &Args<'_>) -> Option<Out> {
    let between = args.bytes(0)?;
    let mut whole = Vec::new();
    let mut first = true;
    for part in (1..args.len()).filter_map(|at| args.bytes(at)) {
        if whole.len() + part.len() + between.len() > PACKET_MAX {
            return None;
        }
        if !first {
            whole.extend_from_slice(&between);
        }
        first = false;
        whole.extend_from_slice(&part);
    }
    Some(Out::string(whole, any_blob(args)))
}

fn substring(args: &Args<'_>) -> Option<Out> {
    let (bytes, blob) = (args.bytes(0)?, args.is_blob(0));
    let (at, length) = (args.int(1)?, args.int_or(2, i64::MAX)?);
    let from = match at {
        0 => None,
        1.. => usize::try_from(at - 1).ok(),
        _ => count(&bytes, blob).checked_sub(usize::try_from(at.unsigned_abs()).ok()?),
    };
    let (Some(from), Ok(length)) = (from, usize::try_from(length)) else { return Some(Out::string(Vec::new(), blob)) };
    Some(Out::string(cut(&bytes, blob, from, length), blob))
}

fn substring_index(args: &Args<'_>) -> Option<Out> {
    let (bytes, between, number) = (args.bytes(0)?, args.bytes(1)?, args.int(2)?);
    let blob = args.is_blob(0);
    if number == 0 || between.is_empty() {
        return Some(Out::string(Vec::new(), blob));
    }
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(at) = find(&bytes, &between, from) {
        places.push(at);
        from = at + between.len();
        if number > 0 && places.len() as i64 >= number {
            break;
        }
    }
    let wanted = usize::try_from(number.unsigned_abs()).ok()?;
    let part = match places.len().checked_sub(wanted) {
        None => &bytes[..],
        Some(_) if number > 0 => places.get(wanted - 1).and_then(|end| bytes.get(..*end))?,
        Some(skipped) => places.get(skipped).and_then(|at| bytes.get(at + between.len()..))?,
    };
    Some(Out::string(part, blob))
}

fn left(args: &Args<'_>) -> Option<Out> {
    let (bytes, blob) = (args.bytes(0)?, args.is_blob(0));
    let length = usize::try_from(args.int(1)?).unwrap_or(0);
    Some(Out::string(cut(&bytes, blob, 0, length), blob))
}

fn right(args: &Args<'_>) -> Option<Out> {
    let (bytes, blob) = (args.bytes(0)?, args.is_blob(0));
    let length = usize::try_from(args.int(1)?).unwrap_or(0);
    let from = count(&bytes, blob).saturating_sub(length);
    Some(Out::string(if length == 0 { &[] } else { cut(&bytes, blob, from, length) }, blob))
}

fn change_case(args: &Args<'_>, of: fn(char) -> char) -> Option<Out> {
    if args.is_blob(0) {
        return Some(Out::Arg(0));
    }
    Some(args.text(0)?.chars().map(of).collect::<String>().into())
}

/// TRIM(x), TRIM(x, what), TRIM(x, what, side).
fn trim(args: &Args<'_>) -> Option<Out> {
    if args.len() == 1 {
        return trimmed(args, (b" ", true, true));
    }
    let what = args.bytes(1)?;
    let side = if args.len() > 2 { args.text(2)?.to_ascii_uppercase() } else { "BOTH".to_owned() };
    trimmed(args, (&what, side != "TRAILING", side != "LEADING"))
}

fn trimmed(args: &Args<'_>, (what, leading, trailing): (&[u8], bool, bool)) -> Option<Out> {
    let bytes = args.bytes(0)?;
    let mut rest = &bytes[..];
    if !what.is_empty() {
        while let (true, Some(less)) = (leading, rest.strip_prefix(what)) {
            rest = less;
        }
        while let (true, Some(less)) = (trailing, rest.strip_suffix(what)) {
            rest = less;
        }
    }
    Some(Out::string(rest, args.is_blob(0)))
}

fn replace(args: &Args<'_>) -> Option<Out> {
    let (bytes, what, with) = (args.bytes(0)?, args.bytes(1)?, args.bytes(2)?);
    if what.is_empty() {
        return Some(Out::Arg(0));
    }
    let mut whole = Vec::with_capacity(bytes.len());
    let mut from = 0;
    while let Some(at) = find(&bytes, &what, from) {
        whole.extend_from_slice(bytes.get(from..at)?);
        whole.extend_from_slice(&with);
        from = at + what.len();
        if whole.len() > PACKET_MAX {
            return None;
        }
    }
    whole.extend_from_slice(bytes.get(from..)?);
    (whole.len() <= PACKET_MAX).then(|| Out::string(whole, args.is_blob(0)))
}

fn reverse(args: &Args<'_>) -> Option<Out> {
    if args.is_blob(0) {
        return Some(Out::Blob(args.bytes(0)?.iter().rev().copied().collect()));
    }
    Some(args.text(0)?.chars().rev().collect::<String>().into())
}

/// The number of the character, from 1, where one argument begins in another; 0 when it does not.
fn locate(args: &Args<'_>, (what, within): (usize, usize), from: i64) -> Option<i64> {
    let (what, bytes, blob) = (args.bytes(what)?, args.bytes(within)?, args.is_blob(within));
    let Some(skipped) = usize::try_from(from).ok().and_then(|from| from.checked_sub(1)) else { return Some(0) };
    if skipped > count(&bytes, blob) {
        return Some(0);
    }
    let found = find(&bytes, &what, offset(&bytes, blob, skipped));
    Some(found.and_then(|at| bytes.get(..at)).map_or(0, |before| count(before, blob) as i64 + 1))
}

fn insert(args: &Args<'_>) -> Option<Out> {
    let (bytes, with, blob) = (args.bytes(0)?, args.bytes(3)?, args.is_blob(0));
    let (at, length) = (args.int(1)?, args.int(2)?);
    let all = count(&bytes, blob);
    let Some(before) = usize::try_from(at).ok().and_then(|at| at.checked_sub(1)).filter(|before| *before < all) else {
        return Some(Out::Arg(0));
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let head = cut(&bytes, blob, 0, before);
    let tail = cut(&bytes, blob, before.saturating_add(length), usize::MAX);
    if head.len() + with.len() + tail.len() > PACKET_MAX {
        return None;
    }
    Some(Out::string([head, &with, tail].concat(), blob))
}
