//! Functions of regular expressions.

use std::cell::RefCell;
use std::iter::Peekable;
use std::str::Chars;

use super::Body::Fallible;
use super::Table;
use super::args::{Args, Out, PACKET_MAX};
use super::patience::Patience;
use super::pattern::{Manner, Pattern, Place, Subject, too_big};
use super::text::{count, offset};
use crate::sql::error::SqlError;

pub(super) const TABLE: Table = &[
    ("z4_regexp", Fallible(|args| like(args, 2))),
    ("my_regexp_like", Fallible(|args| like(args, 2))),
    ("my_regexp_replace", Fallible(replace)),
    ("my_regexp_substr", Fallible(substr)),
    ("my_regexp_instr", Fallible(instr)),
];

/// Expressions kept per thread.
const KEPT: usize = 8;

/// Pattern, match type and expression.
type Kept = (String, String, Pattern);

thread_local! {
    /// The last ones used; the last of them first.
    static CACHE: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// The expression of a pattern, for a text.
pub(super) fn compiled<R>(
    (pattern, kind): (&str, &str),
    text: &str,
    run: impl FnOnce(&Pattern) -> Result<R, SqlError>,
) -> Result<R, SqlError> {
    let subject = Subject::of(text);
    CACHE.with_borrow_mut(|cache| {
        let same = |(known, known_kind, expression): &Kept| known == pattern && known_kind == kind && expression.suits(subject);
        if let Some(at) = cache.iter().position(same) {
            if let Some(head) = cache.get_mut(..=at) {
                head.rotate_right(1);
            }
        } else {
            let expression = Pattern::new(pattern, Manner::of(kind)?, subject)?;
            cache.truncate(KEPT - 1);
            cache.insert(0, (pattern.to_owned(), kind.to_owned(), expression));
        }
        match cache.first() {
            Some((_, _, expression)) => run(expression),
            None => Err(SqlError::other("No regular expression")),
        }
    })
}

/// The match type, where there is one.
fn kind(args: &Args<'_>, at: usize) -> Option<String> {
    if at < args.len() { args.text(at).map(|kind| kind.into_owned()) } else { Some(String::new()) }
}

fn like(args: &Args<'_>, at: usize) -> Result<Option<Out>, SqlError> {
    let (Some(text), Some(pattern), Some(kind)) = (args.text(0), args.text(1), kind(args, at)) else { return Ok(None) };
    compiled((&pattern, &kind), &text, |expression| expression.is_in(&text).map(|found| Some(found.into())))
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
        return Err(out_of_bounds());
    }
    let from = offset(text.as_bytes(), false, position as usize - 1);
    let occurrence = usize::try_from(occurrence).unwrap_or(first as usize);
    Ok(Some(Search { from, occurrence, kind, text: text.into_owned(), pattern: pattern.into_owned() }))
}

/// 3686.
fn out_of_bounds() -> SqlError {
    SqlError::new(3686, "HY000", "Index out of bounds in regular expression search.")
}

impl Search {
    /// The occurrence that is meant.
    fn find(&self) -> Result<Option<Place>, SqlError> {
        compiled((&self.pattern, &self.kind), &self.text, |expression| {
            let (mut at, mut patience) = (Some(self.from), Patience::default());
            for number in 1.. {
                let Some(found) = at.map(|at| expression.find_at(&self.text, at)).transpose()?.flatten() else { break };
                if number == self.occurrence.max(1) {
                    return Ok(Some(found));
                }
                if patience.look() {
                    break;
                }
                at = self.behind(found);
            }
            Ok(None)
        })
    }

    /// Where the search goes on behind a match; `None`: at its end it is over.
    fn behind(&self, (from, until): Place) -> Option<usize> {
        if from < until { Some(until) } else { Some(until + self.text.get(until..)?.chars().next()?.len_utf8()) }
    }
}

fn substr(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let Some(search) = search(args, (2, 1), 4)? else { return Ok(None) };
    let found = search.find()?;
    Ok(found.and_then(|(from, until)| search.text.get(from..until)).map(Out::from))
}

fn instr(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let (Some(search), Some(after)) = (search(args, (2, 1), 5)?, args.int_or(4, 0)) else { return Ok(None) };
    if !matches!(after, 0 | 1) {
        let told = "Incorrect arguments to regexp_instr: return_option must be 1 or 0.";
        return Err(SqlError::new(1210, "HY000", told));
    }
    let at = search.find()?.map(|(from, until)| if after == 0 { from } else { until });
    let before = at.and_then(|at| search.text.get(..at));
    Ok(Some(Out::Int(before.map_or(0, |before| count(before.as_bytes(), false) as i64 + 1))))
}

fn replace(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let (Some(search), Some(with)) = (search(args, (3, 0), 5)?, args.text(2)) else { return Ok(None) };
    compiled((&search.pattern, &search.kind), &search.text, |expression| {
        let (text, mut whole) = (search.text.as_str(), String::new());
        let (mut done, mut at, mut patience) = (0, Some(search.from), Patience::default());
        for number in 1.. {
            let Some(groups) = at.map(|at| expression.groups_at(text, at)).transpose()?.flatten() else { break };
            let Some(place) = groups.first().copied().flatten() else { break };
            if patience.look() {
                return Ok(None);
            }
            at = search.behind(place);
            if search.occurrence != 0 && number != search.occurrence {
                continue;
            }
            whole.push_str(text.get(done..place.0).unwrap_or_default());
            expand(&with, text, (&groups, expression.groups()), &mut whole)?;
            done = place.1;
            if whole.len() > PACKET_MAX {
                return Ok(None);
            }
            if number == search.occurrence {
                break;
            }
        }
        whole.push_str(text.get(done..).unwrap_or_default());
        Ok((whole.len() <= PACKET_MAX).then(|| whole.into()))
    })
}

/// Appends a replacement: `$1` and `\1` are groups, with as many digits as name one; `\` before anything else makes it stand for itself.
/// `groups`: those that are told, the whole match first, and how many there are. It ends where the result is too long.
fn expand(with: &str, text: &str, groups: (&[Option<Place>], usize), whole: &mut String) -> Result<(), SqlError> {
    let (places, count) = groups;
    let mut letters = with.chars().peekable();
    while let Some(letter) = letters.next().filter(|_| whole.len() <= PACKET_MAX) {
        let digit =
            |letters: &mut Peekable<Chars<'_>>| letters.peek().and_then(|next| next.to_digit(10)).map(|digit| digit as usize);
        match (letter, digit(&mut letters)) {
            ('$' | '\\', Some(first)) => {
                letters.next();
                let mut number = first;
                while let Some(longer) = digit(&mut letters).map(|next| number * 10 + next).filter(|longer| *longer <= count) {
                    letters.next();
                    number = longer;
                }
                match places.get(number) {
                    Some(place) => {
                        whole.push_str(place.and_then(|(from, until)| text.get(from..until)).unwrap_or_default());
                    }
                    None if number <= count => return Err(too_big()),
                    None if letter == '$' => return Err(out_of_bounds()),
                    None => {}
                }
            }
            ('\\', None) => whole.extend(letters.next()),
            (other, _) => whole.push(other),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    //! Whatever the pattern, a search ends, and nothing stops the process.
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn evil_patterns_end() {
        let text = "a".repeat(40);
        for pattern in ["^(a+)+\\1$", "^(?=(a+)+$)(a|a)*b", "(?:(?=a*)a)*(?=b)", "(a*)*(?!a|$)b\\1"] {
            let found = compiled((pattern, ""), &text, |expression| expression.find_at(&text, 0));
            assert!(
                matches!(&found, Ok(None) | Ok(Some(_))) || found.as_ref().is_err_and(|error| error.code == 3699),
                "{pattern}: {found:?}"
            );
        }
        let text = text + &"a".repeat(40) + "cd";
        let found = compiled((r"^(a|aa)+\1d", ""), &text, |expression| expression.is_in(&text));
        assert_eq!(found.map_err(|error| error.code), Err(3699));
        let long = "x".repeat(2 << 20);
        let found = compiled(("x(?=y)", ""), &long, |expression| expression.is_in(&long));
        assert_eq!(found.map_err(|error| error.code), Err(3699));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn no_pattern_is_too_odd(pattern in r"[ab.*+?(){}|\\\[\]^$:=!<>0-9kKGbBdwsépPiN,-]{0,24}", text in "[ab\nézB0]{0,40}", kind in "[cimnu]{0,2}") {
            let _ = compiled((&pattern, &kind), &text, |expression| {
                expression.is_in(&text)?;
                expression.find_at(&text, 0)?;
                expression.groups_at(&text, text.len())
            });
        }
    }
}
