//! A statement's text, its tokens and their places: what is checked before anything is parsed, and what expressions looked like.

mod clauses;
pub(super) mod comments;
pub(super) mod edits;
mod limits;
mod tables;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::grammar::Grammar;
use crate::sql::error::SqlError;

/// A statement, read into tokens without white space, comments and the semicolon at its end.
pub(super) struct Source {
    /// The text; comments are spaces.
    text: String,
    /// The tokens as they were written.
    pub(super) tokens: Vec<TokenWithSpan>,
    /// Where each token begins and ends, in bytes.
    places: Vec<(usize, usize)>,
    /// Where the parameters stand.
    params: Vec<Location>,
    /// Parameters of the statement before these.
    params_before: usize,
    /// Literals may become parameters.
    lifts: bool,
}

impl Source {
    /// Reads a text.
    pub(super) fn read(sql: &str) -> Result<Source, SqlError> {
        limits::check_size(sql)?;
        let text = comments::blank(sql)?;
        let mut tokens = Tokenizer::new(&Grammar::default(), &text)
            .tokenize_with_location()
            .map_err(|wrong| SqlError::syntax(format!("You have an error in your SQL syntax: {}", wrong.message)))?;
        tokens = join_user_variables(tokens);
        tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
        while tokens.last().is_some_and(|token| matches!(token.token, Token::SemiColon | Token::EOF)) {
            tokens.pop();
        }
        if tokens.is_empty() {
            return Err(SqlError::new(1065, "42000", "Query was empty"));
        }
        let places = places(&text, &tokens);
        let params =
            tokens.iter().filter(|token| matches!(token.token, Token::Placeholder(_))).map(|token| token.span.start).collect();
        let source = Source { text, tokens, places, params, params_before: 0, lifts: false };
        if let Some(at) = source.tokens.iter().position(|token| token.token == Token::SemiColon) {
            return Err(source.syntax_at(at + 1, "one statement at a time"));
        }
        limits::check_nesting(&source.tokens)?;
        Ok(source)
    }

    /// The expression of tokens, as a SELECT of it; the token before it becomes the SELECT.
    pub(super) fn selecting(&self, expression: std::ops::Range<usize>) -> Option<Source> {
        let range = expression.start.checked_sub(1)?..expression.end;
        let mut tokens = self.tokens.get(range.clone())?.to_vec();
        let ends = tokens.first()?.span.start..=tokens.last()?.span.start;
        tokens.first_mut()?.token = Token::make_word("SELECT", None);
        let params_before = self.params_before + self.params.partition_point(|at| at < ends.start());
        let params = self.params.iter().copied().filter(|at| ends.contains(at)).collect();
        let places = self.places.get(range)?.to_vec();
        Some(Source { text: self.text.clone(), places, tokens, params, params_before, lifts: false })
    }

    /// The same without some tokens.
    pub(super) fn without(mut self, tokens: std::ops::Range<usize>) -> Source {
        self.tokens.drain(tokens.clone());
        self.places.drain(tokens);
        self.lifts = false;
        self
    }

    /// The same, a SELECT whose literals may become parameters. `sql`: what it was read from, where each token must stand in the same place.
    pub(super) fn lifting(mut self, sql: &str) -> Source {
        let first = self.word(0);
        let selects = matches!(first.as_str(), "SELECT" | "WITH" | "(");
        self.lifts = selects && self.params.is_empty() && self.text.len() == sql.len();
        self
    }

    /// Literals may become parameters.
    pub(super) fn lifts(&self) -> bool {
        self.lifts
    }

    /// The token that begins at a place.
    pub(super) fn token_at(&self, at: Location) -> Option<usize> {
        self.tokens.binary_search_by(|token| token.span.start.cmp(&at)).ok()
    }

    /// Where a token stands, bytes, and how it is written.
    pub(super) fn written(&self, token: usize) -> Option<(std::ops::Range<usize>, &str)> {
        let (start, end) = *self.places.get(token)?;
        Some((start..end, self.text.get(start..end)?))
    }

    /// FOUND_ROWS is to count all rows.
    pub(super) fn counts_rows(&self) -> bool {
        (1..self.tokens.len()).any(|at| self.word(at) == "SQL_CALC_FOUND_ROWS" && self.word(at - 1) != ".")
    }

    /// It sets user variables while it runs.
    pub(super) fn assigns(&self) -> bool {
        self.tokens.iter().any(|token| token.token == Token::Assignment)
    }

    /// 1064, with what stands at a token.
    pub(super) fn syntax_at(&self, at: usize, note: &str) -> SqlError {
        let (start, line) = match self.tokens.get(at) {
            Some(token) => (self.places.get(at).map_or(self.text.len(), |place| place.0), token.span.start.line),
            None => (self.text.len(), self.tokens.last().map_or(1, |token| token.span.end.line)),
        };
        let near: String = self.text.get(start..).unwrap_or_default().trim_end().chars().take(80).collect();
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        SqlError::syntax(format!("You have an error in your SQL syntax{note}; near '{near}' at line {line}"))
    }

    /// The same at a place.
    pub(super) fn syntax_near(&self, place: Location) -> SqlError {
        self.syntax_at(self.tokens.partition_point(|token| token.span.start < place), "")
    }

    /// The same of what the parser says, which names the place at its end: `… at Line: 1, Column: 8`.
    pub(super) fn syntax_of(&self, message: &str) -> SqlError {
        let (what, place) = message.rsplit_once(" at Line: ").unwrap_or((message, ""));
        let mut numbers = place.split(", Column: ").map(|number| number.trim().parse::<u64>());
        match (numbers.next(), numbers.next()) {
            (Some(Ok(line)), Some(Ok(column))) => {
                let at = self.tokens.partition_point(|token| token.span.start < Location { line, column });
                self.syntax_at(at, what)
            }
            _ => self.syntax_at(self.tokens.len(), what),
        }
    }

    /// The token at a place as a word in upper case, when it stands without quotes; other tokens as they are written.
    pub(super) fn word(&self, at: usize) -> String {
        match self.tokens.get(at).map(|token| &token.token) {
            Some(Token::Word(word)) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
            Some(Token::Word(_)) | None => String::new(),
            Some(other) => other.to_string(),
        }
    }

    /// The tokens as the parser should see them.
    pub(super) fn edited(&self, from: usize) -> Vec<TokenWithSpan> {
        edits::edit(self.tokens.get(from..).unwrap_or_default())
    }

    /// The text from a token on.
    pub(super) fn text_from(&self, at: usize) -> &str {
        self.places
            .get(at)
            .and_then(|place| self.text.get(place.0..))
            .unwrap_or_default()
            .trim_end_matches([' ', ';', '\n', '\t', '\r'])
    }

    /// The text of tokens.
    fn text_between(&self, first: usize, end: usize) -> &str {
        match (self.places.get(first), end.checked_sub(1).and_then(|last| self.places.get(last))) {
            (Some(first), Some(last)) => self.text.get(first.0..last.1).unwrap_or_default(),
            _ => "",
        }
    }

    /// The number of the parameter at a place, from 1.
    pub(super) fn param(&self, at: Location) -> Option<usize> {
        self.params.binary_search(&at).ok().map(|index| index + 1)
    }

    /// How often JOIN stands in it.
    pub(super) fn joins(&self) -> usize {
        let is_join = |token: &&TokenWithSpan| matches!(&token.token, Token::Word(word) if word.keyword == Keyword::JOIN);
        self.tokens.iter().filter(is_join).count()
    }

    /// An OR may stand in it, or an IN of rows, which becomes one.
    pub(super) fn has_alternatives(&self) -> bool {
        let word = |at: usize| self.tokens.get(at).map(|token| &token.token);
        (0..self.tokens.len()).any(|at| match word(at) {
            Some(Token::StringConcat) => true,
            Some(Token::Word(word)) if word.keyword == Keyword::OR => true,
            Some(Token::RParen) => matches!(word(at + 1), Some(Token::Word(word)) if word.keyword == Keyword::IN),
            _ => false,
        })
    }

    /// How many parameters of the statement stand before this part of it.
    pub(super) fn params_before(&self) -> usize {
        self.params_before
    }

    /// How many parameters there are.
    pub(super) fn params(&self) -> usize {
        self.params.len()
    }

    /// What the expressions of a SELECT look like, alias included, in order.
    pub(super) fn items(&self, select: Location) -> Vec<&str> {
        let begin = self.tokens.partition_point(|token| token.span.start < select) + 1;
        let mut items = Vec::new();
        let (mut first, mut depth, mut at) = (begin, 0_usize, begin);
        while let Some(token) = self.tokens.get(at) {
            match &token.token {
                Token::LParen => depth += 1,
                Token::RParen if depth == 0 => break,
                Token::RParen => depth -= 1,
                Token::Comma if depth == 0 => {
                    items.push(self.text_between(first, at));
                    first = at + 1;
                }
                Token::Word(word) if depth == 0 && word.quote_style.is_none() => {
                    if ends_items(word.keyword) && at > first {
                        break;
                    }
                    if first == at && items.is_empty() && is_modifier(&word.value) {
                        first = at + 1;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        items.push(self.text_between(first, at));
        items
    }
}

/// `@'x'`, `@"x"` and ``@`x` `` are one word each. (`'u'@'h'` is none: a name stands right before.)
fn join_user_variables(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_at = |token: &TokenWithSpan| match &token.token {
        Token::AtSign => true,
        Token::Word(word) => word.value == "@" && word.quote_style.is_none(),
        _ => false,
    };
    if !tokens.iter().any(is_at) {
        return tokens;
    }
    let mut joined: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let name = match &token.token {
            Token::SingleQuotedString(name) | Token::DoubleQuotedString(name) => Some(name.clone()),
            Token::Word(word) if word.quote_style.is_some() => Some(word.value.clone()),
            _ => None,
        };
        let before = joined.len().checked_sub(2).and_then(|at| joined.get(at)).map(|token| &token.token);
        let starts = !matches!(before, Some(Token::SingleQuotedString(_) | Token::Word(_)));
        match (name, joined.last_mut()) {
            (Some(name), Some(last)) if starts && is_at(last) => {
                last.token = Token::Word(user_word(&name));
                last.span.end = token.span.end;
            }
            _ => joined.push(token),
        }
    }
    joined
}

fn user_word(name: &str) -> sqlparser::tokenizer::Word {
    sqlparser::tokenizer::Word { value: format!("@{name}"), quote_style: None, keyword: Keyword::NoKeyword }
}

fn ends_items(keyword: Keyword) -> bool {
    use Keyword::*;
    matches!(keyword, FROM | WHERE | GROUP | HAVING | ORDER | LIMIT | UNION | EXCEPT | INTERSECT | INTO | FOR | WINDOW | LOCK)
}

fn is_modifier(word: &str) -> bool {
    let word = word.to_ascii_uppercase();
    matches!(word.as_str(), "DISTINCT" | "DISTINCTROW" | "ALL" | "HIGH_PRIORITY" | "STRAIGHT_JOIN" | "SQL_NO_CACHE")
        || matches!(word.as_str(), "SQL_CALC_FOUND_ROWS" | "SQL_SMALL_RESULT" | "SQL_BIG_RESULT" | "SQL_BUFFER_RESULT")
}

/// Lines and columns (in characters) to bytes.
fn places(text: &str, tokens: &[TokenWithSpan]) -> Vec<(usize, usize)> {
    let mut chars = text.char_indices();
    let (mut line, mut column, mut byte) = (1, 1, 0);
    let mut advance_to = |to: Location| {
        while (line, column) < (to.line, to.column) {
            match chars.next() {
                Some((at, '\n')) => (line, column, byte) = (line + 1, 1, at + 1),
                Some((at, c)) => (column, byte) = (column + 1, at + c.len_utf8()),
                None => break,
            }
        }
        byte
    };
    tokens.iter().map(|token| (advance_to(token.span.start), advance_to(token.span.end))).collect()
}
