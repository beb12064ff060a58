//! Whatever comes: choice, comparison, addresses.

use std::cmp::Ordering;
use std::net::{Ipv4Addr, Ipv6Addr};

use rusqlite::types::ValueRef;

use super::Body::{Plain, Random};
use super::Table;
use super::args::{Args, Out};

pub(super) const TABLE: Table = &[
    ("my_coalesce", Plain(|args| (0..args.len()).find(|at| !args.is_null(*at)).map(Out::Arg))),
    ("my_isnull", Plain(|args| Some(args.is_null(0).into()))),
    ("my_any_value", Plain(|_| Some(Out::Arg(0)))),
    ("my_interval", Plain(interval)),
    ("my_greatest", Plain(|args| extreme(args, Ordering::Greater))),
    ("my_least", Plain(|args| extreme(args, Ordering::Less))),
    ("my_values", Plain(|_| None)),
    ("my_uuid", Random(|_| Some(uuid(rand::random::<u128>()).into()))),
    ("my_inet_aton", Plain(inet_aton)),
    ("my_inet_ntoa", Plain(|args| Some(Ipv4Addr::from(u32::try_from(args.int(0)?).ok()?).to_string().into()))),
    ("my_is_ipv4", Plain(|args| Some(args.text(0).is_some_and(|text| text.parse::<Ipv4Addr>().is_ok()).into()))),
    ("my_is_ipv6", Plain(|args| Some(args.text(0).is_some_and(|text| text.parse::<Ipv6Addr>().is_ok()).into()))),
];

/// How many of the arguments behind the first are not greater than it, as far as they go up; -1 for NULL.
fn interval(args: &Args<'_>) -> Option<Out> {
    let Some(value) = args.real(0) else { return Some(Out::Int(-1)) };
    let below = (1..args.len()).take_while(|at| args.real(*at).is_none_or(|bound| bound <= value)).count();
    Some(Out::Int(below as i64))
}

/// Texts among themselves by their bytes; numbers, and texts with numbers, as numbers.
fn extreme(args: &Args<'_>, wanted: Ordering) -> Option<Out> {
    if args.any_null() {
        return None;
    }
    let is_number = |at: usize| matches!(args.value(at), ValueRef::Integer(_) | ValueRef::Real(_));
    let numbers = (0..args.len()).any(is_number);
    let compare = |a: usize, b: usize| match (args.value(a), args.value(b)) {
        (ValueRef::Integer(a), ValueRef::Integer(b)) => a.cmp(&b),
        _ if numbers => args.real(a).partial_cmp(&args.real(b)).unwrap_or(Ordering::Equal),
        _ => args.bytes(a).cmp(&args.bytes(b)),
    };
    let best = (1..args.len()).fold(0, |best, at| if compare(at, best) == wanted { at } else { best });
    if numbers && !is_number(best) { args.number(best).map(Out::from) } else { Some(Out::Arg(best)) }
}

/// Version 4, of random bits.
fn uuid(bits: u128) -> String {
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let part = |from: u32, digits: u32| bits >> (from * 4) & ((1 << (digits * 4)) - 1);
    format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", part(24, 8), part(20, 4), part(16, 4), part(12, 4), part(0, 12))
}

/// Also with fewer than four parts, as MySQL has it: `127.1` is 127.0.0.1.
fn inet_aton(args: &Args<'_>) -> Option<Out> {
    let text = args.text(0)?;
    let parts = text.split('.').map(|part| part.parse::<u8>().ok().map(u32::from)).collect::<Option<Vec<_>>>()?;
    let (last, first) = parts.split_last().filter(|(_, first)| first.len() < 4)?;
    let head = first.iter().fold(0, |value, part| value << 8 | part);
    let shift = 8 * (4 - first.len() as u32);
    Some(Out::Int(i64::from(if first.is_empty() { *last } else { head << shift | last })))
}
