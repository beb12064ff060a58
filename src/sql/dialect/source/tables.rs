//! `(a, b)` in FROM, which sqlparser does not know: it is written as `(a CROSS JOIN b)`.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

/// What is read at a level of parentheses.
#[derive(Clone, Copy, Default, PartialEq)]
enum Mode {
    /// Anything else.
    #[default]
    Other,
    /// Tables: a parenthesis that begins where a table may is one of tables.
    Tables,
    /// A condition behind ON or names behind USING.
    Condition,
}

#[derive(Clone, Copy, Default)]
struct Level {
    mode: Mode,
    /// FROM belongs to a SELECT, and not to `EXTRACT(… FROM …)`.
    selects: bool,
    /// It is a parenthesis of tables: its commas are joins.
    tables: bool,
    /// A parenthesis was put around what follows a comma.
    wrapped: bool,
}

/// Puts joins for the commas of parentheses of tables.
pub(super) fn join_lists(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.windows(2).any(|pair| matches!(pair, [before, open] if opens_tables(before, open))) {
        return tokens;
    }
    let mut out = Vec::with_capacity(tokens.len() + 8);
    let mut levels = vec![Level::default()];
    for (at, token) in tokens.iter().enumerate() {
        let Some(level) = levels.last_mut() else { break };
        let span = token.span;
        match &token.token {
            Token::LParen => {
                let before = at.checked_sub(1).and_then(|before| tokens.get(before));
                let is_table = level.mode == Mode::Tables && before.is_some_and(may_stand_before_table);
                let next = tokens.get(at + 1).and_then(keyword);
                let query = matches!(next, Some(Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::TABLE));
                let tables = is_table && !query;
                let mode = if tables { Mode::Tables } else { Mode::Other };
                levels.push(Level { mode, tables, ..Level::default() });
            }
            Token::RParen => {
                if level.wrapped {
                    out.push(TokenWithSpan::new(Token::RParen, span));
                }
                if levels.len() > 1 {
                    levels.pop();
                }
            }
            Token::Comma if level.tables && level.mode != Mode::Other => {
                if std::mem::take(&mut level.wrapped) {
                    out.push(TokenWithSpan::new(Token::RParen, span));
                }
                level.mode = Mode::Tables;
                out.extend([word("CROSS", span), word("JOIN", span)]);
                // Joins bind stronger than the comma did.
                if joins_follow(tokens.get(at + 1..).unwrap_or_default()) {
                    level.wrapped = true;
                    out.push(TokenWithSpan::new(Token::LParen, span));
                }
                continue;
            }
            Token::Comma if level.mode == Mode::Condition => level.mode = Mode::Tables,
            _ => level.mode = next_mode(level, keyword(token)),
        }
        out.push(token.clone());
    }
    out
}

fn next_mode(level: &mut Level, word: Option<Keyword>) -> Mode {
    use Keyword::*;
    match word {
        Some(SELECT) => {
            level.selects = true;
            Mode::Other
        }
        Some(FROM) if level.selects => Mode::Tables,
        Some(ON | USING) if level.mode == Mode::Tables => Mode::Condition,
        Some(JOIN | STRAIGHT_JOIN) if level.mode == Mode::Condition => Mode::Tables,
        Some(WHERE | GROUP | HAVING | ORDER | LIMIT | WINDOW | UNION | EXCEPT | INTERSECT | FOR) => Mode::Other,
        _ => level.mode,
    }
}

/// A JOIN stands before the next comma, or the end of the parenthesis.
fn joins_follow(rest: &[TokenWithSpan]) -> bool {
    let mut depth = 0_usize;
    for token in rest {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return false,
            Token::RParen => depth -= 1,
            Token::Comma if depth == 0 => return false,
            _ if depth == 0 && matches!(keyword(token), Some(Keyword::JOIN | Keyword::STRAIGHT_JOIN)) => return true,
            _ => {}
        }
    }
    false
}

fn opens_tables(before: &TokenWithSpan, open: &TokenWithSpan) -> bool {
    open.token == Token::LParen && may_stand_before_table(before)
}

fn may_stand_before_table(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Comma | Token::LParen)
        || matches!(keyword(token), Some(Keyword::FROM | Keyword::JOIN | Keyword::STRAIGHT_JOIN))
}

fn keyword(token: &TokenWithSpan) -> Option<Keyword> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

fn word(value: &str, span: Span) -> TokenWithSpan {
    TokenWithSpan::new(Token::make_word(value, None), span)
}
