//! Whatever comes: choice, comparison, addresses.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

use rusqlite::types::ValueRef;
use z4_shards::runtime::clock;

use super::Body::{Plain, Random};
use super::Table;
use super::args::{Args, Out, PACKET_MAX};

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
    ("my_inet6_aton", Plain(inet6_aton)),
    ("my_inet6_ntoa", Plain(inet6_ntoa)),
    ("my_is_ipv4_compat", Plain(|args| Some((v6(args).is_some_and(|bits| bits >> 32 == 0 && bits as u32 > 0xffff)).into()))),
    ("my_is_ipv4_mapped", Plain(|args| Some((v6(args).is_some_and(|bits| bits >> 32 == 0xffff)).into()))),
    ("my_uuid_short", Random(|_| Some(Out::Int(uuid_short())))),
    ("my_export_set", Plain(export_set)),
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
        // Beside an INTEGER a BLOB is a number, too: one that is greater.
        (ValueRef::Integer(_) | ValueRef::Blob(_), ValueRef::Integer(_) | ValueRef::Blob(_)) if numbers => {
            args.exact(a).zip(args.exact(b)).map_or(Ordering::Equal, |(a, b)| a.cmp(&b))
        }
        _ if numbers => args.real(a).partial_cmp(&args.real(b)).unwrap_or(Ordering::Equal),
        _ => args.bytes(a).cmp(&args.bytes(b)),
    };
    let best = (1..args.len()).fold(0, |best, at| if compare(at, best) == wanted { at } else { best });
    let is_exact = matches!(args.value(best), ValueRef::Blob(_));
    if numbers && !is_number(best) && !is_exact { args.number(best).map(Out::from) } else { Some(Out::Arg(best)) }
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
    // Digits and points alone; an empty part is 0, unless it is the last one.
    if text.ends_with('.') || text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let part = |part: &str| if part.is_empty() { Some(0) } else { part.parse::<u8>().ok().map(u32::from) };
    let parts = text.split('.').map(part).collect::<Option<Vec<_>>>()?;
    let (last, first) = parts.split_last().filter(|(_, first)| first.len() < 4)?;
    let head = first.iter().fold(0, |value, part| value << 8 | part);
    let shift = 8 * (4 - first.len() as u32);
    Some(Out::Int(i64::from(if first.is_empty() { *last } else { head << shift | last })))
}

/// The four bytes of an IPv4 address, the sixteen of an IPv6 one.
fn inet6_aton(args: &Args<'_>) -> Option<Out> {
    Some(Out::Blob(match args.text(0)?.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }))
}

fn inet6_ntoa(args: &Args<'_>) -> Option<Out> {
    if !args.is_blob(0) {
        return None;
    }
    let bytes = args.bytes(0)?;
    if let Ok(four) = <[u8; 4]>::try_from(&bytes[..]) {
        return Some(Ipv4Addr::from(four).to_string().into());
    }
    let bits = v6(args)?;
    Some(match u32::try_from(bits) {
        // An IPv4 address inside.
        Ok(inner) if inner > 0xffff => format!("::{}", Ipv4Addr::from(inner)).into(),
        _ => Ipv6Addr::from(bits).to_string().into(),
    })
}

/// The bits of an IPv6 address in a BLOB.
fn v6(args: &Args<'_>) -> Option<u128> {
    let bytes = args.bytes(0).filter(|_| args.is_blob(0))?;
    <[u8; 16]>::try_from(&bytes[..]).ok().map(u128::from_be_bytes)
}

/// Seconds since 1970 when the first was asked for, and a counter behind them.
static SHORT: LazyLock<AtomicI64> = LazyLock::new(|| {
    let seconds = i64::try_from(clock::wall_us() / 1_000_000).unwrap_or(0);
    AtomicI64::new((seconds & 0xffff_ffff) << 24)
});

fn uuid_short() -> i64 {
    SHORT.fetch_add(1, Relaxed)
}

/// EXPORT_SET(bits, on, off, between = ',', count = 64): a text for each bit, the lowest first.
fn export_set(args: &Args<'_>) -> Option<Out> {
    let (bits, on, off) = (args.int(0)?, args.text(1)?, args.text(2)?);
    let between = if args.len() > 3 { args.text(3)? } else { ",".into() };
    let count = args.int_or(4, 64)?;
    let count = if (0..=64).contains(&count) { count } else { 64 };
    if count as usize * (on.len().max(off.len()) + between.len()) > PACKET_MAX {
        return None;
    }
    let texts: Vec<&str> = (0..count).map(|bit| if bits >> bit & 1 == 1 { on.as_ref() } else { off.as_ref() }).collect();
    Some(texts.join(between.as_ref()).into())
}
