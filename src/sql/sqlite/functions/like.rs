//! LIKE.

use super::Body::Fallible;
use super::Table;
use super::args::{Args, Out, upper_char};
use super::patience::Patience;
use crate::sql::error::SqlError;

pub(super) const TABLE: Table = &[("z4_like", Fallible(like))];

/// A longer pattern is refused: it could keep a thread busy for too long.
const PATTERN_MAX: usize = 50_000;

/// `z4_like(text, pattern, escape, ci)`: escape is one character, `\` when it is not given, none when it is empty.
fn like(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let (Some(text), Some(pattern)) = (args.text(0), args.text(1)) else { return Ok(None) };
    if pattern.len() > PATTERN_MAX {
        return Err(SqlError::new(1105, "HY000", format!("A pattern of LIKE may have at most {PATTERN_MAX} bytes")));
    }
    let escape = match args.text(2) {
        None => Some('\\'),
        Some(escape) => escape.chars().next(),
    };
    let ci = args.int(3).unwrap_or(0) != 0;
    Ok(Some(matches(&text, &pattern, escape, ci).into()))
}

/// One thing that a pattern asks for.
enum Ask {
    /// `%`.
    Any,
    /// `_`.
    One,
    /// This character.
    This(char),
}

/// The first thing that a pattern asks for, and what is left of it.
fn next(pattern: &str, escape: Option<char>) -> Option<(Ask, &str)> {
    let mut letters = pattern.chars();
    let first = letters.next()?;
    if Some(first) == escape {
        // An escape at the end stands for itself.
        let Some(escaped) = letters.next() else { return Some((Ask::This(first), "")) };
        return Some((Ask::This(escaped), letters.as_str()));
    }
    let ask = match first {
        '%' => Ask::Any,
        '_' => Ask::One,
        letter => Ask::This(letter),
    };
    Some((ask, letters.as_str()))
}

/// Steps back to the last `%` only, which is enough: what an earlier one could take, the later one can, too.
pub(super) fn matches(text: &str, pattern: &str, escape: Option<char>, ci: bool) -> bool {
    let same = |a: char, b: char| a == b || ci && upper_char(a) == upper_char(b);
    let (mut text, mut pattern) = (text, pattern);
    let mut back: Option<(&str, &str)> = None;
    let mut patience = Patience::default();
    loop {
        if patience.ends() {
            return false;
        }
        let mut letters = text.chars();
        let letter = letters.next();
        match (next(pattern, escape), letter) {
            (Some((Ask::Any, rest)), _) => {
                if rest.is_empty() {
                    return true;
                }
                back = Some((text, rest));
                pattern = rest;
                continue;
            }
            (Some((Ask::One, rest)), Some(_)) => {
                (text, pattern) = (letters.as_str(), rest);
                continue;
            }
            (Some((Ask::This(wanted), rest)), Some(letter)) if same(wanted, letter) => {
                (text, pattern) = (letters.as_str(), rest);
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        // One character more for the last `%`.
        let Some((from, rest)) = back else { return false };
        let mut longer = from.chars();
        if longer.next().is_none() {
            return false;
        }
        back = Some((longer.as_str(), rest));
        (text, pattern) = (longer.as_str(), rest);
    }
}
