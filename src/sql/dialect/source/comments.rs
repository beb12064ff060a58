//! Comments become spaces, so that places stay; what MySQL executes inside `/*!40101 … */` stays.

use crate::sql::error::SqlError;

/// The version that z4 answers for: conditional comments for later ones are comments.
const VERSION: u32 = 80_099;

/// Where a place is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::sql::dialect) enum Inside {
    /// Outside of all.
    Sql,
    /// `-- ` or `#`, to the end of the line.
    Line,
    /// `/* … */`.
    Block,
    /// Between these quotes.
    Quotes(char),
}

pub(super) fn blank(sql: &str) -> Result<String, SqlError> {
    let mut out = String::with_capacity(sql.len());
    let mut inside = Inside::Sql;
    let mut conditional = false;
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match inside {
            Inside::Quotes(quote) => {
                if c == '\\' && quote != '`' {
                    taken += rest.get(1..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
                } else if c == quote {
                    inside = Inside::Sql;
                }
                out.push_str(rest.get(..taken).unwrap_or_default());
            }
            Inside::Line => {
                if c == '\n' {
                    inside = Inside::Sql;
                }
                out.push(if c == '\n' { c } else { ' ' });
            }
            Inside::Block => {
                if rest.starts_with("*/") {
                    taken = 2;
                    inside = Inside::Sql;
                }
                out.push_str(if taken == 2 && c == '*' {
                    "  "
                } else if c == '\n' {
                    "\n"
                } else {
                    " "
                });
            }
            Inside::Sql => {
                let before = conditional;
                (inside, taken) = open(rest, c, &mut conditional);
                if before != conditional || matches!(inside, Inside::Line | Inside::Block) {
                    out.extend(std::iter::repeat_n(' ', taken));
                } else {
                    out.push(c);
                }
            }
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    if inside == Inside::Block || conditional {
        return Err(SqlError::syntax("You have an error in your SQL syntax: a comment does not end"));
    }
    Ok(out)
}

/// What begins here: where it leads, and its length. `conditional`: whether a place is inside `/*! … */`.
pub(in crate::sql::dialect) fn open(rest: &str, c: char, conditional: &mut bool) -> (Inside, usize) {
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
