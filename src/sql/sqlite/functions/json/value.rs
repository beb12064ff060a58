//! A JSON document as a tree: read, printed, compared.

use std::fmt::{self, Display, Formatter, Write};

use crate::sql::error::SqlError;

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Json {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    String(String),
    Array(Vec<Json>),
    /// In the order of the text; each name once.
    Object(Vec<(String, Json)>),
}

/// Deeper documents are refused, as MySQL does.
const DEPTH_MAX: usize = 100;

impl Json {
    /// Reads the document in an argument (its place from 0) of a function: error 3141 when it is none, 3157 when it is too deep.
    pub(in super::super) fn of(text: &str, at: usize, function: &str) -> Result<Json, SqlError> {
        Json::parse(text).map_err(|problem| match problem {
            Problem::Deep => SqlError::new(3157, "22032", "The JSON document exceeds the maximum depth."),
            Problem::Invalid(position) => SqlError::new(
                3141,
                "22032",
                format!(
                    "Invalid JSON text in argument {} to function {function}: \"Invalid value.\" at position {position}.",
                    at + 1
                ),
            ),
        })
    }

    /// Reads a document.
    pub(super) fn parse(text: &str) -> Result<Json, Problem> {
        let mut reader = Reader { text, at: 0 };
        let json = reader.value(0)?;
        reader.space();
        if reader.at == text.len() { Ok(json) } else { Err(Problem::Invalid(reader.at)) }
    }

    /// The number, when it is one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Json::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Equal as documents: numbers by their value, members in any order.
    pub(super) fn same(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Number(a), Json::Number(b)) => match (a.parse::<i128>(), b.parse::<i128>()) {
                (Ok(a), Ok(b)) => a == b,
                _ => self.number() == other.number(),
            },
            (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
            (Json::Object(a), Json::Object(_)) => {
                let all = a.iter().all(|(name, value)| other.member(name).is_some_and(|found| value.same(found)));
                all && a.len() == other.children().count()
            }
            _ => self == other,
        }
    }

    /// The member of this name.
    pub(super) fn member(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Elements, or values of members.
    pub(super) fn children(&self) -> Box<dyn Iterator<Item = &Json> + '_> {
        match self {
            Json::Array(elements) => Box::new(elements.iter()),
            Json::Object(members) => Box::new(members.iter().map(|(_, value)| value)),
            _ => Box::new(std::iter::empty()),
        }
    }
}

/// Why a text is no document.
pub(super) enum Problem {
    /// It is nested too deep.
    Deep,
    /// Something wrong at this byte.
    Invalid(usize),
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn bad<T>(&self) -> Result<T, Problem> {
        Err(Problem::Invalid(self.at))
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn word(&mut self, word: &str, json: Json) -> Result<Json, Problem> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(json);
        }
        self.bad()
    }

    fn value(&mut self, depth: usize) -> Result<Json, Problem> {
        self.space();
        if depth >= DEPTH_MAX {
            return Err(Problem::Deep);
        }
        match self.peek() {
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.bad(),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, Problem> {
        self.at += 1;
        let mut elements = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(Json::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            self.space();
            if self.eat(b']') {
                return Ok(Json::Array(elements));
            }
            if !self.eat(b',') {
                return self.bad();
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Problem> {
        self.at += 1;
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        self.space();
        if self.eat(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            if !self.eat(b':') {
                return self.bad();
            }
            let value = self.value(depth + 1)?;
            match places.get(&name).and_then(|at: &usize| members.get_mut(*at)) {
                Some(member) => member.1 = value,
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name, value));
                }
            }
            self.space();
            if self.eat(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.eat(b',') {
                return self.bad();
            }
        }
    }

    fn digits(&mut self) -> Result<(), Problem> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > from { Ok(()) } else { self.bad() }
    }

    fn number(&mut self) -> Result<Json, Problem> {
        let from = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _signed = self.eat(b'-') || self.eat(b'+');
            self.digits()?;
        }
        Ok(Json::Number(self.text.get(from..self.at).unwrap_or("0").to_owned()))
    }

    fn string(&mut self) -> Result<String, Problem> {
        if !self.eat(b'"') {
            return self.bad();
        }
        let mut text = String::new();
        loop {
            let from = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            text.push_str(self.text.get(from..self.at).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escaped()?);
                }
                _ => return self.bad(),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Problem> {
        let letter = self.peek();
        self.at += 1;
        Ok(match letter {
            Some(letter @ (b'"' | b'\\' | b'/')) => char::from(letter),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.four()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first).map_or_else(|| self.bad(), Ok);
                }
                if !(self.eat(b'\\') && self.eat(b'u')) {
                    return self.bad();
                }
                let second = self.four()?;
                let letter =
                    second.checked_sub(0xdc00).filter(|low| *low < 0x400).map(|low| 0x1_0000 + ((first - 0xd800) << 10) + low);
                return letter.and_then(char::from_u32).map_or_else(|| self.bad(), Ok);
            }
            _ => {
                self.at -= 1;
                return self.bad();
            }
        })
    }

    fn four(&mut self) -> Result<u32, Problem> {
        let digits = self.text.get(self.at..self.at + 4).filter(|four| four.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(value) = digits.and_then(|four| u32::from_str_radix(four, 16).ok()) else { return self.bad() };
        self.at += 4;
        Ok(value)
    }
}

/// A string with its quotes.
pub(super) fn write_string(text: &str, out: &mut impl Write) -> fmt::Result {
    out.write_char('"')?;
    for letter in text.chars() {
        match letter {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\u{8}' => out.write_str("\\b")?,
            '\u{c}' => out.write_str("\\f")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            control if control < ' ' => write!(out, "\\u{:04x}", u32::from(control))?,
            other => out.write_char(other)?,
        }
    }
    out.write_char('"')
}

impl Display for Json {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => out.write_str("null"),
            Json::Bool(value) => write!(out, "{value}"),
            Json::Number(text) => out.write_str(text),
            Json::String(text) => write_string(text, out),
            Json::Array(elements) => {
                for (at, element) in elements.iter().enumerate() {
                    write!(out, "{}{element}", if at == 0 { "[" } else { ", " })?;
                }
                out.write_str(if elements.is_empty() { "[]" } else { "]" })
            }
            Json::Object(members) => {
                for (at, (name, value)) in members.iter().enumerate() {
                    out.write_str(if at == 0 { "{" } else { ", " })?;
                    write_string(name, out)?;
                    write!(out, ": {value}")?;
                }
                out.write_str(if members.is_empty() { "{}" } else { "}" })
            }
        }
    }
}
