//! MySQL's functions that z4 has: one table for the dialect (types, coercions) and for SQLite (what is registered).
//!
//! The dialect writes some of MySQL's syntax as calls of this table: `EXTRACT(unit FROM x)` as `EXTRACT('UNIT', x)`,
//! `TIMESTAMPDIFF(unit, a, b)` as `TIMESTAMPDIFF('UNIT', a, b)`, `POSITION(a IN b)` as `LOCATE(a, b)`, `TRIM(LEADING s FROM x)` as
//! `TRIM(x, s, 'LEADING')`, `x MEMBER OF (y)` as `MEMBER OF(x, y)`; `DATE_ADD` and its kin as `z4_date_add`. Window functions and
//! `CAST` are not here.

mod dates;
mod json;
mod number;
mod session;
mod text;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::types::SqlType;

/// What a function wants an argument to be; the dialect puts a coercion around an argument of another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// As it comes; dates as text.
    Any,
    /// As SQLite carries it, whatever it is (IF, COALESCE: the dialect unifies these itself).
    Raw,
    /// Text: numbers, dates and JSON are written as MySQL writes them; a BLOB stays one.
    Text,
    /// Text of a TIME or of a DATETIME: of a number the TIME's, of a DATE with its midnight.
    Clock,
    /// A number: text by its numeric prefix, dates as YYYYMMDDhhmmss.
    Number,
    /// An integer: the same, rounded.
    Int,
    /// The 64 bits of an integer.
    Bits,
    /// The 64 bits of a BIGINT: any other number is moved into its range first, a text is the digits that it begins with.
    WholeBits,
    /// A number, text of anything else; a BLOB stays one.
    NumberOrText,
    /// Microseconds, as [`SqlType::DateTime`]; text is parsed in any of MySQL's forms; NULL when it is none.
    DateTime,
    /// The same as [`SqlType::Timestamp`].
    Timestamp,
    /// A JSON document as text; text is parsed by the function.
    Json,
    /// A value that goes into a JSON document: JSON stays as it is, anything else passes through `z4_json` (dates as text with six
    /// digits of fraction first).
    JsonValue,
}

/// The type of the result. "Argument" means the argument after its coercion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// Always this.
    Is(SqlType),
    /// The type of this argument, by its place.
    Like(usize),
    /// The type that all arguments from this place on fit into (COALESCE, GREATEST, …); they are coerced to it.
    Common(usize),
    /// Text; Blob when an argument is one.
    Strings,
    /// Int; Double when this argument is one (CEIL, FLOOR).
    Whole(usize),
    /// The type of the first argument; a Decimal keeps as many digits as the literal at place 1 says, at most its own, none without
    /// that argument (ROUND, TRUNCATE).
    Rounded,
    /// Int when there is no such argument or it is a date without fraction; else Decimal with that fraction's digits, 6 for text.
    Seconds(usize),
    /// FROM_UNIXTIME: Text with two arguments; else Timestamp with the digits behind the number's point (Double and text: 6).
    FromUnixtime,
    /// Time with as many digits as the arguments from this place on show; 6 for text that is no literal and for a DOUBLE.
    Span(usize),
    /// STR_TO_DATE: [`str_to_date_type`] of a literal format; DateTime(6) of another.
    StrToDate,
    /// SUM: Decimal(0) of integers, the same Decimal of a Decimal, else Double.
    Sum,
    /// AVG: Decimal(4) of integers, Decimal with four digits more of a Decimal, else Double.
    Average,
}

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// MySQL's name, upper case.
    pub name: &'static str,
    /// The name inside SQLite.
    pub sqlite: &'static str,
    /// Least and most arguments; most 127: any number.
    pub arity: (u8, u8),
    /// What the arguments must be; the last counts for all that follow.
    pub args: &'static [Want],
    /// What it gives.
    pub returns: Returns,
    /// It takes many rows to one value.
    pub aggregate: bool,
}

/// Any number of arguments.
const MANY: u8 = 127;

const fn f(name: &'static str, sqlite: &'static str, least: u8, most: u8, args: &'static [Want], returns: Returns) -> Signature {
    Signature { name, sqlite, arity: (least, most), args, returns, aggregate: false }
}

const fn aggregate(name: &'static str, sqlite: &'static str, most: u8, args: &'static [Want], returns: Returns) -> Signature {
    Signature { name, sqlite, arity: (1, most), args, returns, aggregate: true }
}

/// Every signature, by subject.
pub fn all() -> impl Iterator<Item = &'static Signature> {
    [text::TABLE, number::TABLE, dates::TABLE, json::TABLE, session::TABLE].into_iter().flatten()
}

static BY_NAME: LazyLock<HashMap<&'static str, &'static Signature>> =
    LazyLock::new(|| all().map(|signature| (signature.name, signature)).collect());

/// A function by its name, in any case.
pub fn signature(name: &str) -> Option<&'static Signature> {
    match BY_NAME.get(name) {
        Some(found) => Some(found),
        None => BY_NAME.get(name.to_ascii_uppercase().as_str()).copied(),
    }
}

/// What STR_TO_DATE gives with a format: a Date when it has no specifier of a time, a Time when it has none of a date.
pub fn str_to_date_type(format: &str) -> SqlType {
    let (mut date, mut time, mut fraction) = (false, false, false);
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            continue;
        }
        match letters.next() {
            Some('f') => (time, fraction) = (true, true),
            Some('H' | 'h' | 'I' | 'i' | 'k' | 'l' | 'p' | 'r' | 'S' | 's' | 'T') => time = true,
            Some(
                'a' | 'b' | 'c' | 'D' | 'd' | 'e' | 'j' | 'M' | 'm' | 'U' | 'u' | 'V' | 'v' | 'W' | 'w' | 'X' | 'x' | 'Y' | 'y',
            ) => {
                date = true;
            }
            _ => {}
        }
    }
    let digits = if fraction { 6 } else { 0 };
    match (date, time) {
        (true, true) => SqlType::DateTime(digits),
        (false, true) => SqlType::Time(digits),
        _ => SqlType::Date,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that stands twice would hide one of its two signatures.
    #[test]
    fn every_name_stands_once_in_upper_case() {
        let mut names: Vec<_> = all().map(|signature| signature.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(names.iter().all(|name| *name == name.to_ascii_uppercase()));
        assert!(signature("conCat").is_some() && signature("nothing").is_none());
    }

    #[test]
    fn formats_tell_the_type() {
        assert_eq!(str_to_date_type("%Y-%m-%d"), SqlType::Date);
        assert_eq!(str_to_date_type("%Y-%m-%d %T"), SqlType::DateTime(0));
        assert_eq!(str_to_date_type("%H:%i:%s.%f"), SqlType::Time(6));
        assert_eq!(str_to_date_type("%%H %"), SqlType::Date);
    }
}
