//! Bounds of a statement: parser and compiler recurse over what is nested, so nesting is bounded before they start.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::errors::too_deep;
use crate::sql::error::SqlError;

/// Bytes of a statement.
const BYTES_MAX: usize = 4 << 20;
/// Parentheses in parentheses.
const PARENTHESES_MAX: usize = 60;
/// Operators one after the other without a comma or a keyword that begins a clause; SQLite takes trees 1,000 levels deep.
const OPERATORS_MAX: usize = 900;
/// Queries in one UNION; SQLite takes 500.
const UNIONS_MAX: usize = 400;

pub(super) fn check_size(sql: &str) -> Result<(), SqlError> {
    if sql.len() > BYTES_MAX {
        return Err(SqlError::new(1153, "08S01", format!("A statement of {} bytes is longer than {BYTES_MAX}", sql.len())));
    }
    if sql.contains('\0') {
        return Err(SqlError::syntax("You have an error in your SQL syntax: a character with code 0 stands in it"));
    }
    Ok(())
}

#[derive(Default)]
struct Level {
    operators: usize,
    unions: usize,
}

pub(super) fn check_nesting(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut levels = vec![Level::default()];
    let mut before = &Token::Comma;
    for TokenWithSpan { token, .. } in tokens {
        match token {
            Token::LParen | Token::LBrace | Token::LBracket => levels.push(Level::default()),
            Token::RParen | Token::RBrace | Token::RBracket if levels.len() > 1 => drop(levels.pop()),
            _ => {}
        }
        if levels.len() > PARENTHESES_MAX {
            return Err(too_deep(&format!("more than {PARENTHESES_MAX} parentheses are open")));
        }
        let Some(level) = levels.last_mut() else { continue };
        match token {
            Token::Comma => level.operators = 0,
            Token::Word(word) => match word.keyword {
                Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT => level.unions += 1,
                Keyword::SELECT | Keyword::FROM | Keyword::WHERE | Keyword::GROUP | Keyword::ORDER | Keyword::HAVING => {
                    level.operators = 0;
                }
                Keyword::ON | Keyword::LIMIT => level.operators = 0,
                _ if is_operator(word.keyword) => level.operators += 1,
                _ => {}
            },
            Token::LParen | Token::RParen | Token::Period | Token::Number(..) | Token::Placeholder(_) => {}
            // Strings that stand side by side are one.
            Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) if !is_text(before) => {}
            _ => level.operators += 1,
        }
        if level.operators > OPERATORS_MAX {
            return Err(too_deep(&format!("more than {OPERATORS_MAX} operators stand side by side; IN (…) may help")));
        }
        if level.unions > UNIONS_MAX {
            return Err(too_deep(&format!("more than {UNIONS_MAX} queries stand side by side")));
        }
        before = token;
    }
    Ok(())
}

fn is_text(token: &Token) -> bool {
    matches!(token, Token::SingleQuotedString(_) | Token::DoubleQuotedString(_))
}

fn is_operator(keyword: Keyword) -> bool {
    use Keyword::*;
    matches!(
        keyword,
        AND | OR
            | XOR
            | NOT
            | IS
            | IN
            | BETWEEN
            | LIKE
            | RLIKE
            | REGEXP
            | DIV
            | MOD
            | COLLATE
            | CASE
            | INTERVAL
            | BINARY
            | JOIN
            | MEMBER
    )
}
