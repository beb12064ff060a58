//! What JSON_VALUE and JSON_TABLE take out of a document: said by the dialect, done by the engine's functions. It travels as a text inside
//! SQLite's SQL.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::types::SqlType;

/// More columns than this a table that is made of documents, or of a LATERAL query, does not have.
pub const COLUMNS_MAX: usize = 120;

/// What a value of a document becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// A whole number of so many bits.
    Int(u8),
    /// The same, never negative.
    UInt(u8),
    /// Six digits or more of a number.
    Float,
    /// A DOUBLE.
    Double,
    /// So many digits, and of these so many behind the point.
    Decimal(u8, u8),
    /// 1901 to 2155, or 0.
    Year,
    /// At most so many characters.
    Text(Option<u64>),
    /// At most so many bytes.
    Bytes(Option<u64>),
    /// A DATE.
    Date,
    /// A TIME with so many digits of fraction.
    Time(u8),
    /// A DATETIME with so many digits of fraction.
    DateTime(u8),
    /// A document.
    Json,
}

/// What JSON_VALUE gives where it is not told what: VARCHAR(512).
pub const VALUE: Shape = Shape::Text(Some(512));

impl Shape {
    /// The type of its values.
    pub fn ty(self) -> SqlType {
        match self {
            Shape::Int(_) | Shape::Year => SqlType::Int,
            Shape::UInt(_) => SqlType::UInt,
            Shape::Float | Shape::Double => SqlType::Double,
            Shape::Decimal(_, scale) => SqlType::Decimal(scale),
            Shape::Text(_) => SqlType::Text,
            Shape::Bytes(_) => SqlType::Blob,
            Shape::Date => SqlType::Date,
            Shape::Time(digits) => SqlType::Time(digits),
            Shape::DateTime(digits) => SqlType::DateTime(digits),
            Shape::Json => SqlType::Json,
        }
    }

    /// MySQL's word for it in errors.
    pub fn word(self) -> &'static str {
        match self {
            Shape::Int(_) => "SIGNED",
            Shape::UInt(_) => "UNSIGNED",
            Shape::Float => "FLOAT",
            Shape::Double => "DOUBLE",
            Shape::Decimal(..) => "DECIMAL",
            Shape::Year => "YEAR",
            Shape::Text(_) => "CHAR",
            Shape::Bytes(_) => "BINARY",
            Shape::Date => "DATE",
            Shape::Time(_) => "TIME",
            Shape::DateTime(_) => "DATETIME",
            Shape::Json => "JSON",
        }
    }
}

/// What stands for a value that is missing, or that does not become one of its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Otherwise {
    /// NULL.
    #[default]
    Null,
    /// The statement fails.
    Error,
    /// This text: a JSON document in JSON_TABLE, a literal in JSON_VALUE.
    Default(String),
}

/// What JSON_VALUE gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// The type.
    pub shape: Shape,
    /// The path leads to nothing.
    pub empty: Otherwise,
    /// What is there does not become one of the type.
    pub error: Otherwise,
}

/// Rows that JSON_TABLE makes: one for each value that a path leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfolding {
    /// From the value above it.
    pub path: String,
    /// The columns, in their order.
    pub columns: Vec<Column>,
}

/// A column of JSON_TABLE, or several of a NESTED PATH.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Column {
    /// FOR ORDINALITY: the number of the row, from 1.
    Number,
    /// EXISTS PATH: 1 where the path leads somewhere, else 0.
    Exists {
        /// From the row's value.
        path: String,
        /// The type.
        shape: Shape,
    },
    /// PATH: what the path leads to.
    Value {
        /// The column's name, for errors.
        name: String,
        /// From the row's value.
        path: String,
        /// What it gives.
        value: Value,
    },
    /// NESTED PATH: rows below each row.
    Nested(Unfolding),
}

impl Unfolding {
    /// How many columns it has, those below it too.
    pub fn width(&self) -> usize {
        let width = |column: &Column| if let Column::Nested(below) = column { below.width() } else { 1 };
        self.columns.iter().map(width).sum()
    }
}

/// The text of it.
pub fn encode(what: &impl Serialize) -> String {
    // Nothing in it has no JSON.
    serde_json::to_string(what).unwrap_or_default()
}

/// What [`encode`] gave the text for; `None`: it gave none like this.
pub fn decode<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    //! What the engine reads is what the dialect said.
    use super::*;

    #[test]
    fn texts_come_back() {
        let value =
            Value { shape: Shape::Decimal(5, 2), empty: Otherwise::Error, error: Otherwise::Default("'\"0\"".to_owned()) };
        let column = Column::Value { name: "a\u{1}b".to_owned(), path: "$.\"a b\"".to_owned(), value };
        let nested = Unfolding { path: "$[*]".to_owned(), columns: vec![Column::Number, column] };
        let whole = Unfolding { path: "$".to_owned(), columns: vec![Column::Nested(nested), Column::Number] };
        assert_eq!(decode::<Unfolding>(&encode(&whole)), Some(whole.clone()));
        assert_eq!(whole.width(), 3);
        assert_eq!(decode::<Unfolding>("{}"), None);
    }
}
