//! Comments become spaces, so that places stay; what MySQL executes inside `/*!40101 … */` stays.

use crate::sql::error::SqlError;

/// The version that z4 answers for: conditional comments for later ones are comments.
const VERSION: u32 = 80_099;

/// Where a place is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// Outside of all.
    Sql,
    /// `-- ` or `#`, to the end of the line.
    Line,
    /// `/* … */`.
    Block,
    /// Between these quotes.
    Quotes(char),
}

/// A character of a text; or an escape or a mark, which have more of them.
#[derive(Clone, Copy)]
pub(in crate::sql::dialect) struct Piece<'a> {
    /// Where it begins, in bytes.
    pub(in crate::sql::dialect) at: usize,
    pub(in crate::sql::dialect) text: &'a str,
    pub(in crate::sql::dialect) first: char,
    pub(in crate::sql::dialect) part: Part,
    /// It stands inside `/*! … */`.
    pub(in crate::sql::dialect) conditional: bool,
}

/// What a piece is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::sql::dialect) enum Part {
    Sql,
    /// The quote that opens what is quoted.
    Quote,
    /// What is quoted, and the quote that closes it.
    Quoted,
    Comment,
    /// `/*!40101` or its `*/`.
    Mark,
}

/// Shows the pieces of a text, until `see` says no. Whether a comment stands open at its end.
pub(in crate::sql::dialect) fn walk<'a>(text: &'a str, mut see: impl FnMut(Piece<'a>) -> bool) -> bool {
    let (mut inside, mut conditional, mut at) = (Inside::Sql, false, 0);
    while let Some(rest) = text.get(at..)
        && let Some(first) = rest.chars().next()
    {
        let mut taken = first.len_utf8();
        let was = conditional;
        let part = match inside {
            Inside::Quotes(quote) => {
                if first == '\\' && quote != '`' {
                    taken += rest.get(1..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
                } else if first == quote {
                    inside = Inside::Sql;
                }
                Part::Quoted
            }
            Inside::Line | Inside::Block => {
                if inside == Inside::Block && rest.starts_with("*/") {
                    (inside, taken) = (Inside::Sql, 2);
                } else if inside == Inside::Line && first == '\n' {
                    inside = Inside::Sql;
                }
                Part::Comment
            }
            Inside::Sql => {
                (inside, taken) = open(rest, first, &mut conditional);
                match inside {
                    _ if was != conditional => Part::Mark,
                    Inside::Line | Inside::Block => Part::Comment,
                    Inside::Quotes(_) => Part::Quote,
                    Inside::Sql => Part::Sql,
                }
            }
        };
        let piece = Piece { at, text: rest.get(..taken).unwrap_or_default(), first, part, conditional: was && conditional };
        if !see(piece) {
            return false;
        }
        at += taken;
    }
    inside == Inside::Block || conditional
}

pub(super) fn blank(sql: &str) -> Result<String, SqlError> {
    let mut out = String::with_capacity(sql.len());
    let open = walk(sql, |piece| {
        match piece.part {
            Part::Comment if piece.first == '\n' => out.push('\n'),
            Part::Comment | Part::Mark => out.extend(piece.text.chars().map(|_| ' ')),
            Part::Sql | Part::Quote | Part::Quoted => out.push_str(piece.text),
        }
        true
    });
    if open {
        return Err(SqlError::syntax("You have an error in your SQL syntax: a comment does not end"));
    }
    Ok(out)
}

/// What begins here: where it leads, and its length. `conditional`: whether a place is inside `/*! … */`.
fn open(rest: &str, c: char, conditional: &mut bool) -> (Inside, usize) {
    if matches!(c, '\'' | '"' | '`') {
        return (Inside::Quotes(c), 1);
    }
    let dashes = rest.starts_with("--") && rest.chars().nth(2).is_none_or(char::is_whitespace);
    if c == '#' || dashes {
        return (Inside::Line, 1);
    }
    if *conditional && rest.starts_with("*/") {
        *conditional = false;
        return (Inside::Sql, 2);
    }
    if let Some(after) = rest.strip_prefix("/*!") {
        let digits = after.bytes().take(6).take_while(u8::is_ascii_digit).count();
        let digits = if digits >= 5 { digits } else { 0 };
        let version: u32 = after.get(..digits).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        if version <= VERSION && !*conditional {
            *conditional = true;
            return (Inside::Sql, 3 + digits);
        }
    }
    if rest.starts_with("/*") {
        return (Inside::Block, 2);
    }
    (Inside::Sql, c.len_utf8())
}
