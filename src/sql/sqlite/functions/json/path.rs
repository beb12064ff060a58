//! Paths into documents: `$.a`, `$."a b"`, `$[0]`, `$[last-1]`, `$[1 to 3]`, `$.*`, `$[*]`, `$**.a`.

use std::collections::HashSet;

use super::value::Json;
use crate::sql::error::SqlError;

/// A place in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// From the front.
    First(usize),
    /// From the back; 0 is the last.
    Last(usize),
}

impl Place {
    /// The element's number in an array of a length; `None`: before its front.
    pub(super) fn of(self, length: usize) -> Option<usize> {
        match self {
            Place::First(at) => Some(at),
            Place::Last(back) => length.checked_sub(1)?.checked_sub(back),
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leg {
    /// `.name`.
    Member(String),
    /// `[n]`.
    Element(Place),
    /// `.*`.
    Members,
    /// `[*]`.
    Elements,
    /// `[a to b]`.
    Range(Place, Place),
    /// `**`: whatever is below, and here.
    Below,
}

/// A path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(pub(super) Vec<Leg>);

impl Path {
    /// Reads a path: error 3143 when it is none.
    pub(super) fn parse(text: &str) -> Result<Path, SqlError> {
        let mut reader = Reader { left: text.trim(), legs: Vec::new() };
        reader.all().ok_or_else(|| {
            let position = text.len() - reader.left.len().min(text.len());
            SqlError::new(
                3143,
                "42000",
                format!("Invalid JSON path expression. The error is around character position {position}."),
            )
        })?;
        Ok(Path(reader.legs))
    }

    /// It can lead to more than one value.
    pub(super) fn many(&self) -> bool {
        self.0.iter().any(|leg| !matches!(leg, Leg::Member(_) | Leg::Element(_)))
    }

    /// What it leads to.
    pub(super) fn select<'a>(&self, json: &'a Json) -> Vec<&'a Json> {
        let mut here = vec![json];
        for leg in &self.0 {
            let mut next = Vec::new();
            for value in here {
                step(value, leg, &mut next);
            }
            if *leg == Leg::Below {
                let mut seen = HashSet::new();
                next.retain(|value| seen.insert(std::ptr::from_ref::<Json>(value)));
            }
            here = next;
        }
        here
    }
}

fn step<'a>(value: &'a Json, leg: &Leg, into: &mut Vec<&'a Json>) {
    match (leg, value) {
        (Leg::Member(name), _) => into.extend(value.member(name)),
        (Leg::Members, Json::Object(_)) | (Leg::Elements, Json::Array(_)) => into.extend(value.children()),
        (Leg::Element(place), Json::Array(elements)) => {
            into.extend(place.of(elements.len()).and_then(|at| elements.get(at)));
        }
        // What is no array is as good as an array of itself.
        (Leg::Element(place), _) => into.extend((place.of(1) == Some(0)).then_some(value)),
        (Leg::Range(from, until), Json::Array(elements)) => {
            let from = from.of(elements.len()).unwrap_or(0);
            let until = until.of(elements.len()).map_or(0, |until| until.saturating_add(1).min(elements.len()));
            into.extend(elements.get(from..until).unwrap_or_default());
        }
        (Leg::Range(from, until), _) => {
            into.extend((from.of(1) == Some(0) && until.of(1).is_some()).then_some(value));
        }
        (Leg::Below, _) => below(value, into),
        (Leg::Members | Leg::Elements, _) => {}
    }
}

fn below<'a>(value: &'a Json, into: &mut Vec<&'a Json>) {
    into.push(value);
    for child in value.children() {
        below(child, into);
    }
}

struct Reader<'a> {
    left: &'a str,
    legs: Vec<Leg>,
}

impl Reader<'_> {
    fn eat(&mut self, what: &str) -> bool {
        match self.left.strip_prefix(what) {
            Some(rest) => {
                self.left = rest;
                true
            }
            None => false,
        }
    }

    fn space(&mut self) {
        self.left = self.left.trim_start();
    }

    fn all(&mut self) -> Option<()> {
        self.eat("$").then_some(())?;
        loop {
            self.space();
            if self.left.is_empty() {
                // `**` must lead somewhere.
                return (self.legs.last() != Some(&Leg::Below)).then_some(());
            }
            let leg = if self.eat("**") {
                Leg::Below
            } else if self.eat(".") {
                self.space();
                if self.eat("*") { Leg::Members } else { Leg::Member(self.name()?) }
            } else if self.eat("[") {
                self.element()?
            } else {
                return None;
            };
            self.legs.push(leg);
        }
    }

    fn name(&mut self) -> Option<String> {
        if self.left.starts_with('"') {
            let mut escaped = false;
            let end = self.left.char_indices().skip(1).find(|(_, letter)| {
                let end = *letter == '"' && !escaped;
                escaped = *letter == '\\' && !escaped;
                end
            });
            let (name, rest) = self.left.split_at_checked(end?.0 + 1)?;
            self.left = rest;
            return match Json::parse(name) {
                Ok(Json::String(name)) => Some(name),
                _ => None,
            };
        }
        let end = self
            .left
            .find(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | '$' | '-')))
            .unwrap_or(self.left.len());
        let (name, rest) = self.left.split_at_checked(end)?;
        self.left = rest;
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn element(&mut self) -> Option<Leg> {
        self.space();
        if self.eat("*") {
            self.space();
            return self.eat("]").then_some(Leg::Elements);
        }
        let from = self.place()?;
        self.space();
        if self.eat("]") {
            return Some(Leg::Element(from));
        }
        self.eat("to").then_some(())?;
        self.space();
        let until = self.place()?;
        self.space();
        self.eat("]").then_some(Leg::Range(from, until))
    }

    fn place(&mut self) -> Option<Place> {
        if !self.eat("last") {
            return self.number().map(Place::First);
        }
        self.space();
        if !self.eat("-") {
            return Some(Place::Last(0));
        }
        self.space();
        self.number().map(Place::Last)
    }

    fn number(&mut self) -> Option<usize> {
        let length = self.left.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.left.split_at_checked(length)?;
        self.left = rest;
        digits.parse::<u32>().ok().map(|value| value as usize)
    }
}
