//! MySQL's syntax that sqlparser does not know, written so that it does.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

use super::{clauses, tables};

/// Stands for EXTRACT; its first argument is the unit, as a string.
pub(in crate::sql::dialect) const EXTRACT: &str = "Z4 EXTRACT";
/// Stands for CHAR( … USING charset), which gives text.
pub(in crate::sql::dialect) const CHAR: &str = "Z4 CHAR";
/// Stands for the function INTERVAL, which looks like the INTERVAL of dates.
pub(in crate::sql::dialect) const INTERVAL: &str = "Z4 INTERVAL";

/// Stands for JSON_VALUE with clauses behind its path (see `json_value`).
pub(in crate::sql::dialect) const JSON_VALUE: &str = "Z4 JSON_VALUE";

pub(super) fn edit(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    tables::join_lists(edit_list(tokens))
}

pub(super) fn edit_list(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let span = token.span;
        let rest = tokens.get(at..).unwrap_or_default();
        at += if let Some(unit) = extract(rest) {
            out.extend([named(EXTRACT, span), sign(Token::LParen, span), text(&unit, span), sign(Token::Comma, span)]);
            4
        } else if trims_spaces(rest) {
            out.extend(rest.iter().take(3).cloned());
            out.push(text(" ", span));
            3
        } else if is_function_interval(rest) {
            out.push(named(INTERVAL, span));
            1
        } else if let Some((edited, length)) = clauses::json_value(rest).or_else(|| clauses::weight_string(rest)) {
            out.extend(edited);
            length
        } else if let Some(length) = table_statement(out.last(), rest) {
            out.extend([sign(Token::LParen, span), plain("SELECT", span), sign(Token::Mul, span), plain("FROM", span)]);
            out.extend(rest.iter().take(length).skip(1).cloned());
            out.push(sign(Token::RParen, span));
            length
        } else if let Some(digits) = word(token).and_then(|word| bits(&word.value)) {
            out.push(TokenWithSpan::new(Token::SingleQuotedByteStringLiteral(digits.to_owned()), span));
            1
        } else if let Some(end) = charset_of_char(rest) {
            out.push(named(CHAR, span));
            out.extend(edit_list(rest.get(1..end - 2).unwrap_or_default()));
            end
        } else if let Some((from, to)) = word(token).and_then(|word| composite(&word.value)) {
            out.extend([plain(from, span), plain("TO", span), plain(to, span)]);
            1
        } else if let Some(length) = lock(rest).or_else(|| charset_of_a_cast(&out, rest)) {
            length
        } else {
            out.push(token.clone());
            1
        };
    }
    out
}

pub(super) fn word(token: &TokenWithSpan) -> Option<&Word> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word),
        _ => None,
    }
}

pub(super) fn is_word(token: Option<&TokenWithSpan>, what: &str) -> bool {
    token.and_then(word).is_some_and(|word| word.value.eq_ignore_ascii_case(what))
}

fn sign(token: Token, span: Span) -> TokenWithSpan {
    TokenWithSpan::new(token, span)
}

pub(super) fn plain(value: &str, span: Span) -> TokenWithSpan {
    TokenWithSpan::new(Token::make_word(value, None), span)
}

pub(super) fn named(value: &str, span: Span) -> TokenWithSpan {
    TokenWithSpan::new(Token::Word(Word { value: value.to_owned(), quote_style: Some('`'), keyword: Keyword::NoKeyword }), span)
}

pub(super) fn text(value: &str, span: Span) -> TokenWithSpan {
    TokenWithSpan::new(Token::SingleQuotedString(value.to_owned()), span)
}

/// `TABLE name`, `TABLE schema.name`, which becomes `(SELECT * FROM name)`: what may stand behind the one may stand behind the other. Its
/// tokens; behind a point or an AS it is a name.
fn table_statement(before: Option<&TokenWithSpan>, rest: &[TokenWithSpan]) -> Option<usize> {
    let begins = before.is_none_or(|before| {
        matches!(before.token, Token::LParen | Token::RParen)
            || ["UNION", "EXCEPT", "INTERSECT", "ALL", "DISTINCT"].iter().any(|word| is_word(Some(before), word))
    });
    let is_name = |at: usize| matches!(rest.get(at).map(|token| &token.token), Some(Token::Word(_)));
    if !begins || !is_word(rest.first(), "TABLE") || !is_name(1) {
        return None;
    }
    let of_schema = rest.get(2).is_some_and(|token| token.token == Token::Period) && is_name(3);
    Some(if of_schema { 4 } else { 2 })
}

/// `EXTRACT ( unit FROM`: the unit.
fn extract(rest: &[TokenWithSpan]) -> Option<String> {
    let matches = is_word(rest.first(), "EXTRACT") && rest.get(1)?.token == Token::LParen && is_word(rest.get(3), "FROM");
    matches.then(|| word(rest.get(2)?).map(|word| word.value.to_ascii_uppercase())).flatten()
}

/// `TRIM ( LEADING FROM`: spaces are meant.
fn trims_spaces(rest: &[TokenWithSpan]) -> bool {
    is_word(rest.first(), "TRIM")
        && rest.get(1).is_some_and(|token| token.token == Token::LParen)
        && ["LEADING", "TRAILING", "BOTH"].iter().any(|side| is_word(rest.get(2), side))
        && is_word(rest.get(3), "FROM")
}

/// `INTERVAL ( … )` without a unit behind it.
fn is_function_interval(rest: &[TokenWithSpan]) -> bool {
    if !is_word(rest.first(), "INTERVAL") || rest.get(1).is_none_or(|token| token.token != Token::LParen) {
        return false;
    }
    let Some(end) = closing(rest) else { return false };
    let after = rest.get(end + 1).and_then(word).map(|word| word.value.to_ascii_uppercase());
    !after.is_some_and(|unit| is_unit(&unit) || composite(&unit).is_some())
}

/// Where the parenthesis closes that is the second token.
pub(super) fn closing(rest: &[TokenWithSpan]) -> Option<usize> {
    let mut depth = 0_usize;
    rest.iter()
        .skip(1)
        .position(|token| {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        })
        .map(|place| place + 1)
}

fn is_unit(word: &str) -> bool {
    matches!(word, "MICROSECOND" | "SECOND" | "MINUTE" | "HOUR" | "DAY" | "WEEK" | "MONTH" | "QUARTER" | "YEAR")
}

/// `DAY_HOUR` and its kin, which the parser knows as `DAY TO HOUR`.
fn composite(word: &str) -> Option<(&'static str, &'static str)> {
    const UNITS: [&str; 7] = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "MICROSECOND"];
    let place = |name: &str| UNITS.iter().position(|unit| unit.eq_ignore_ascii_case(name));
    let (from, to) = word.split_once('_')?;
    let (from, to) = (place(from)?, place(to)?);
    // The parser knows no SECOND TO: the numbers of an amount are counted from its end, so a larger unit before them changes nothing.
    let from = if UNITS.get(from) == Some(&"SECOND") { from - 1 } else { from };
    let known = (from, to) == (0, 1) || from >= 2 && from < to;
    known.then_some((*UNITS.get(from)?, *UNITS.get(to)?))
}

/// `LOCK IN SHARE MODE`, `FOR UPDATE [OF t, …] [NOWAIT | SKIP LOCKED]`, `FOR SHARE …`, which lock nothing here.
fn lock(rest: &[TokenWithSpan]) -> Option<usize> {
    let are = |from: usize, words: &[&str]| words.iter().enumerate().all(|(at, what)| is_word(rest.get(from + at), what));
    if are(0, &["LOCK", "IN", "SHARE", "MODE"]) {
        return Some(4);
    }
    if !are(0, &["FOR", "UPDATE"]) && !are(0, &["FOR", "SHARE"]) {
        return None;
    }
    let mut length = 2;
    if are(length, &["OF"]) {
        length += 2;
        while rest.get(length).is_some_and(|token| token.token == Token::Comma) {
            length += 2;
        }
    }
    length += if are(length, &["NOWAIT"]) {
        1
    } else if are(length, &["SKIP", "LOCKED"]) {
        2
    } else {
        0
    };
    Some(length)
}

/// `CHARACTER SET utf8mb4` after `AS CHAR` or `AS CHAR(n)`: all text is utf8mb4.
fn charset_of_a_cast(out: &[TokenWithSpan], rest: &[TokenWithSpan]) -> Option<usize> {
    let length = if is_word(rest.first(), "CHARSET") {
        2
    } else if is_word(rest.first(), "CHARACTER") && is_word(rest.get(1), "SET") {
        3
    } else {
        return None;
    };
    let last = out.last()?;
    let of_char = is_word(Some(last), "CHAR") || last.token == Token::RParen;
    let named = rest.get(length - 1).and_then(word).is_some();
    (of_char && named).then_some(length)
}

/// The digits of `0b101`, which the parser takes for a name.
fn bits(word: &str) -> Option<&str> {
    word.strip_prefix("0b").filter(|digits| !digits.is_empty() && digits.bytes().all(|digit| matches!(digit, b'0' | b'1')))
}

/// `CHAR ( … USING charset )`: where its last parenthesis stands.
fn charset_of_char(rest: &[TokenWithSpan]) -> Option<usize> {
    if !is_word(rest.first(), "CHAR") || rest.get(1)?.token != Token::LParen {
        return None;
    }
    let end = closing(rest)?;
    (end > 4 && is_word(rest.get(end - 2), "USING") && rest.get(end - 1).and_then(word).is_some()).then_some(end)
}
