//! The clauses of JSON_VALUE and WEIGHT_STRING, which sqlparser does not know: they become arguments.

use std::ops::Range;

use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::edits::{JSON_VALUE, closing, edit_list, is_word, named, plain, text};

/// `JSON_VALUE ( document, path clauses… )`: what stands for it, and how many tokens it takes; `None`: it is no such thing.
pub(super) fn json_value(rest: &[TokenWithSpan]) -> Option<(Vec<TokenWithSpan>, usize)> {
    if !is_word(rest.first(), "JSON_VALUE") || rest.get(1)?.token != Token::LParen {
        return None;
    }
    let (span, end) = (rest.first()?.span, closing(rest)?);
    let clauses = first_clause(rest, end)?;
    let mut cursor = Cursor { rest, end, at: clauses };
    let ty = cursor.returning();
    let empty = cursor.otherwise("EMPTY");
    let error = cursor.otherwise("ERROR");
    // Something else is left for the parser to name.
    if cursor.at != end {
        return None;
    }
    let mut out = vec![named(JSON_VALUE, span)];
    out.extend(edit_list(rest.get(1..clauses)?));
    let comma = || TokenWithSpan::new(Token::Comma, span);
    out.push(comma());
    match ty {
        Some(ty) => {
            out.extend([plain("CAST", span), TokenWithSpan::new(Token::LParen, span), plain("NULL", span), plain("AS", span)]);
            // The name of a character set goes behind CHAR alone.
            out.extend(edit_list(rest.get(ty)?));
            out.push(TokenWithSpan::new(Token::RParen, span));
        }
        None => out.push(plain("NULL", span)),
    }
    for clause in [empty, error] {
        out.push(comma());
        out.extend(written(clause, rest, span));
    }
    out.push(rest.get(end)?.clone());
    Some((out, end + 1))
}

/// The word of a clause, and the tokens behind DEFAULT.
type Clause = Option<(&'static str, Range<usize>)>;

fn written(clause: Clause, rest: &[TokenWithSpan], span: Span) -> Vec<TokenWithSpan> {
    let (word, default) = clause.unwrap_or(("NULL", 0..0));
    let default = rest.get(default).filter(|default| !default.is_empty());
    let mut out = vec![text(word, span), TokenWithSpan::new(Token::Comma, span)];
    match default {
        Some(default) => out.extend(edit_list(default)),
        None => out.push(plain("NULL", span)),
    }
    out
}

/// Where the first clause behind the path begins.
fn first_clause(rest: &[TokenWithSpan], end: usize) -> Option<usize> {
    let (mut depth, mut commas) = (0_usize, 0);
    for at in 2..end {
        match rest.get(at)?.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => commas += 1,
            _ if depth == 0 && commas == 1 => {
                let on = |at: usize| is_word(rest.get(at), "ON");
                let begins = is_word(rest.get(at), "RETURNING")
                    || is_word(rest.get(at), "DEFAULT")
                    || ["NULL", "ERROR"].iter().any(|word| is_word(rest.get(at), word)) && on(at + 1);
                // A name may be the path.
                if begins && rest.get(at - 1)?.token != Token::Comma {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

struct Cursor<'a> {
    rest: &'a [TokenWithSpan],
    end: usize,
    at: usize,
}

impl Cursor<'_> {
    /// RETURNING: the tokens of the type.
    fn returning(&mut self) -> Option<Range<usize>> {
        if !is_word(self.rest.get(self.at), "RETURNING") {
            return None;
        }
        let from = self.at + 1;
        let is_clause = |at: usize| {
            is_word(self.rest.get(at), "DEFAULT") || ["NULL", "ERROR"].iter().any(|word| is_word(self.rest.get(at), word))
        };
        self.at = (from..self.end).find(|at| is_clause(*at)).unwrap_or(self.end);
        Some(from..self.at)
    }

    /// `NULL ON what`, `ERROR ON what`, `DEFAULT value ON what`.
    fn otherwise(&mut self, what: &str) -> Clause {
        let word = ["NULL", "ERROR", "DEFAULT"].into_iter().find(|word| is_word(self.rest.get(self.at), word))?;
        let from = self.at + 1;
        let on = (from..self.end).find(|at| is_word(self.rest.get(*at), "ON"))?;
        let fits = is_word(self.rest.get(on + 1), what) && ((word == "DEFAULT") == (on > from));
        fits.then(|| {
            self.at = on + 2;
            (word, from..on)
        })
    }
}

/// `WEIGHT_STRING ( text AS CHAR ( n ) )`, or BINARY: of so many characters, filled with spaces, or of so many bytes.
pub(super) fn weight_string(rest: &[TokenWithSpan]) -> Option<(Vec<TokenWithSpan>, usize)> {
    if !is_word(rest.first(), "WEIGHT_STRING") || rest.get(1)?.token != Token::LParen {
        return None;
    }
    let (span, end) = (rest.first()?.span, closing(rest)?);
    let sign = |token| TokenWithSpan::new(token, span);
    // AS, the type, and three tokens of its length.
    let at = end.checked_sub(5)?;
    let has_length = rest.get(at + 2)?.token == Token::LParen && rest.get(at + 4)?.token == Token::RParen;
    if !is_word(rest.get(at), "AS") || !has_length {
        return None;
    }
    let (value, length) = (edit_list(rest.get(2..at)?), rest.get(at + 3)?.clone());
    let mut out = vec![plain("WEIGHT_STRING", span), sign(Token::LParen)];
    if is_word(rest.get(at + 1), "CHAR") {
        out.extend([plain("RPAD", span), sign(Token::LParen)]);
        out.extend(value);
        out.extend([sign(Token::Comma), length, sign(Token::Comma), text(" ", span)]);
    } else if is_word(rest.get(at + 1), "BINARY") {
        out.extend([plain("CAST", span), sign(Token::LParen)]);
        out.extend(value);
        out.extend([plain("AS", span), plain("BINARY", span), sign(Token::LParen), length, sign(Token::RParen)]);
    } else {
        return None;
    }
    out.extend([sign(Token::RParen), sign(Token::RParen)]);
    Some((out, end + 1))
}
