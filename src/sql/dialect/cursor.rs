//! Reading what sqlparser does not: statements that are a few words.

use sqlparser::tokenizer::Token;

use super::source::Source;
use crate::sql::error::SqlError;

/// A place between tokens.
pub(super) struct Cursor<'a> {
    pub(super) source: &'a Source,
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(source: &'a Source, at: usize) -> Self {
        Cursor { source, at }
    }

    /// The next token as a word in upper case.
    pub(super) fn peek(&self) -> String {
        self.source.word(self.at)
    }

    /// Steps over one of these words, or marks; which one it was.
    pub(super) fn take(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let next = self.peek();
        let found = words.iter().find(|word| **word == next).copied();
        self.at += usize::from(found.is_some());
        found
    }

    /// Steps over these words in this order, all or none.
    pub(super) fn take_all(&mut self, words: &[&str]) -> bool {
        let all = words.iter().enumerate().all(|(offset, word)| self.source.word(self.at + offset) == *word);
        self.at += if all { words.len() } else { 0 };
        all
    }

    pub(super) fn token(&self) -> Option<&'a Token> {
        self.source.tokens.get(self.at).map(|token| &token.token)
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.source.tokens.len()
    }

    /// Steps over a name.
    pub(super) fn name(&mut self) -> Result<String, SqlError> {
        match self.token() {
            Some(Token::Word(word)) => {
                self.at += 1;
                Ok(word.value.clone())
            }
            _ => Err(self.wrong("a name is expected")),
        }
    }

    /// Steps over a string.
    pub(super) fn string(&mut self) -> Result<String, SqlError> {
        match self.token() {
            Some(Token::SingleQuotedString(text) | Token::DoubleQuotedString(text)) => {
                self.at += 1;
                Ok(text.clone())
            }
            _ => Err(self.wrong("a string is expected")),
        }
    }

    /// Steps over a whole number.
    pub(super) fn number(&mut self) -> Result<u64, SqlError> {
        let found = match self.token() {
            Some(Token::Number(text, _)) => text.parse().ok(),
            _ => None,
        };
        self.at += usize::from(found.is_some());
        found.ok_or_else(|| self.wrong("a whole number is expected"))
    }

    pub(super) fn end(&self) -> Result<(), SqlError> {
        if self.at_end() { Ok(()) } else { Err(self.wrong("nothing more is expected")) }
    }

    pub(super) fn wrong(&self, note: &str) -> SqlError {
        self.source.syntax_at(self.at, note)
    }
}
