//! Regular expressions: the regex crate's, whose time is linear, without look-around and back references.

use std::cell::RefCell;

use regex::{Regex, RegexBuilder};

use super::Body::Fallible;
use super::Table;
use super::args::{Args, Out, PACKET_MAX};
use super::patience::Patience;
use super::text::{count, offset};
use crate::sql::error::SqlError;

pub(super) const TABLE: Table = &[
    ("z4_regexp", Fallible(|args| like(args, 2))),
    ("my_regexp_like", Fallible(|args| like(args, 2))),
    ("my_regexp_replace", Fallible(replace)),
    ("my_regexp_substr", Fallible(substr)),
    ("my_regexp_instr", Fallible(instr)),
];

/// Bytes of a compiled expression, and of what it keeps while it searches.
const COMPILED_MAX: usize = 1 << 20;
/// Bytes of an expression: some that are none take the square of their length to be found out.
const PATTERN_MAX: usize = 8 << 10;
/// Expressions kept per thread.
const KEPT: usize = 8;

/// Pattern, match type and expression.
type Kept = (String, String, Regex);

thread_local! {
    /// The last ones used; the last of them first.
    static CACHE: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// The expression of a pattern, with a match type of letters out of "cimnu"; MySQL's collation here is case-sensitive.
fn compiled<R>(pattern: &str, kind: &str, run: impl FnOnce(&Regex) -> R) -> Result<R, SqlError> {
    CACHE.with_borrow_mut(|cache| {
        if let Some(at) = cache.iter().position(|(known, known_kind, _)| known == pattern && known_kind == kind) {
            if let Some(head) = cache.get_mut(..=at) {
                head.rotate_right(1);
            }
        } else {
            let expression = compile(pattern, kind)?;
            cache.truncate(KEPT - 1);
            cache.insert(0, (pattern.to_owned(), kind.to_owned(), expression));
        }
        match cache.first() {
            Some((_, _, expression)) => Ok(run(expression)),
            None => Err(SqlError::other("No regular expression")),
        }
    })
}

fn compile(pattern: &str, kind: &str) -> Result<Regex, SqlError> {
    let bad = |why: String| SqlError::new(1139, "42000", format!("Got error '{why}' from regexp"));
    if pattern.is_empty() {
        return Err(bad("the pattern is empty".to_owned()));
    }
    if pattern.len() > PATTERN_MAX {
        return Err(bad(format!("the pattern has more than {PATTERN_MAX} bytes")));
    }
    let (mut ci, mut lines, mut dots) = (false, false, false);
    for letter in kind.chars() {
        match letter {
            'c' => ci = false,
            'i' => ci = true,
            'm' => lines = true,
            'n' => dots = true,
            'u' => {}
            _ => {
                return Err(SqlError::new(
                    1210,
                    "HY000",
                    "Incorrect arguments to regexp: the match type is of the letters cimnu",
                ));
            }
        }
    }
    RegexBuilder::new(pattern)
        .case_insensitive(ci)
        .multi_line(lines)
        .dot_matches_new_line(dots)
        .size_limit(COMPILED_MAX)
        .dfa_size_limit(COMPILED_MAX)
        .build()
        .map_err(|error| bad(error.to_string().lines().last().unwrap_or("bad pattern").trim().to_owned()))
}

/// The match type, where there is one.
fn kind(args: &Args<'_>, at: usize) -> Option<String> {
    if at < args.len() { args.text(at).map(|kind| kind.into_owned()) } else { Some(String::new()) }
}

fn like(args: &Args<'_>, at: usize) -> Result<Option<Out>, SqlError> {
    let (Some(text), Some(pattern), Some(kind)) = (args.text(0), args.text(1), kind(args, at)) else { return Ok(None) };
    compiled(&pattern, &kind, |expression| Some(expression.is_match(&text).into()))
}

/// Text, pattern, where to begin (a byte of the text), which occurrence (from 1; 0: all), match type: the arguments from a place on.
struct Search {
    text: String,
    pattern: String,
    from: usize,
    occurrence: usize,
    kind: String,
}

fn search(args: &Args<'_>, (place, first): (usize, i64), kind_at: usize) -> Result<Option<Search>, SqlError> {
    let position = args.int_or(place, 1);
    let (Some(text), Some(pattern), Some(position), Some(occurrence), Some(kind)) =
        (args.text(0), args.text(1), position, args.int_or(place + 1, first), kind(args, kind_at))
    else {
        return Ok(None);
    };
    let length = count(text.as_bytes(), false) as i64;
    if position < 1 || position > length + 1 {
        return Err(SqlError::new(3686, "HY000", "Index out of bounds in regular expression search."));
    }
    let from = offset(text.as_bytes(), false, position as usize - 1);
    let occurrence = usize::try_from(occurrence).unwrap_or(first as usize);
    Ok(Some(Search { from, occurrence, kind, text: text.into_owned(), pattern: pattern.into_owned() }))
}

impl Search {
    /// The occurrence that is meant.
    fn find(&self) -> Result<Option<(usize, usize)>, SqlError> {
        compiled(&self.pattern, &self.kind, |expression| {
            let rest = self.text.get(self.from..).unwrap_or_default();
            let mut patience = Patience::default();
            let mut all = expression.find_iter(rest).take_while(|_| !patience.look());
            let found = all.nth(self.occurrence.max(1) - 1);
            found.map(|found| (found.start() + self.from, found.end() + self.from))
        })
    }
}

fn substr(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let Some(search) = search(args, (2, 1), 4)? else { return Ok(None) };
    let found = search.find()?;
    Ok(found.and_then(|(from, until)| search.text.get(from..until)).map(Out::from))
}

fn instr(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let (Some(search), Some(after)) = (search(args, (2, 1), 5)?, args.int_or(4, 0)) else { return Ok(None) };
    let at = search.find()?.map(|(from, until)| if after == 0 { from } else { until });
    let before = at.and_then(|at| search.text.get(..at));
    Ok(Some(Out::Int(before.map_or(0, |before| count(before.as_bytes(), false) as i64 + 1))))
}

fn replace(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let (Some(search), Some(with)) = (search(args, (3, 0), 5)?, args.text(2)) else { return Ok(None) };
    let with = replacement(&with);
    compiled(&search.pattern, &search.kind, |expression| {
        let (head, rest) = search.text.split_at_checked(search.from)?;
        let mut whole = head.to_owned();
        let (mut done, mut patience) = (0, Patience::default());
        for (number, found) in expression.captures_iter(rest).enumerate() {
            if patience.look() {
                return None;
            }
            if search.occurrence != 0 && number + 1 != search.occurrence {
                continue;
            }
            let place = found.get(0)?;
            whole.push_str(rest.get(done..place.start())?);
            found.expand(&with, &mut whole);
            done = place.end();
            if whole.len() > PACKET_MAX {
                return None;
            }
        }
        whole.push_str(rest.get(done..)?);
        (whole.len() <= PACKET_MAX).then(|| whole.into())
    })
}

/// MySQL's `$1` and `\\1` as the crate's `${1}`; any other dollar stands for itself.
fn replacement(with: &str) -> String {
    let mut whole = String::with_capacity(with.len());
    let mut letters = with.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('$' | '\\', Some(digit)) if digit.is_ascii_digit() => {
                whole.push_str("${");
                whole.push(*digit);
                whole.push('}');
                letters.next();
            }
            ('\\', Some(_)) => match letters.next() {
                Some('$') => whole.push_str("$$"),
                escaped => whole.extend(escaped),
            },
            ('$', _) => whole.push_str("$$"),
            _ => whole.push(letter),
        }
    }
    whole
}
