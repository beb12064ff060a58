//! The session variables that z4 knows: clients ask for many of them when they connect, and set some.

mod table;

use crate::sql::error::SqlError;
use crate::sql::types::Datum;
use crate::sql::zones::Zone;
pub(super) use table::VARIABLES;

/// What the server calls itself. The first numbers are those of the MySQL whose behaviour clients should expect.
pub const VERSION: &str = concat!("8.0.36-z4-", env!("CARGO_PKG_VERSION"));

/// What may be set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// Nothing.
    Fixed,
    /// 0 or 1, ON or OFF.
    Switch,
    /// A whole number.
    Number(u64, u64),
    /// One of these.
    One(&'static [&'static str]),
    /// A character set that is a part of UTF-8.
    Charset,
    /// A collation of one.
    Collation,
    /// An offset, or the name of a zone.
    Zone,
    /// Names of MySQL's modes.
    Modes,
    /// Seconds with a fraction, from 0.
    Moment,
    /// Any value.
    Any,
}

/// A default.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(&'static str),
}

/// A variable.
pub(super) struct Variable(pub(super) &'static str, pub(super) Value, pub(super) Rule);

/// A longer text is no value of any variable, bytes.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// 2038-01-19 03:14:07 UTC, beyond which MySQL takes no `timestamp`.
const MOMENT_MAX: f64 = i32::MAX as f64;

/// Names of `sql_mode`; all are taken, and change nothing.
const MODES: &[&str] = &[
    "ALLOW_INVALID_DATES",
    "ANSI",
    "ANSI_QUOTES",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "HIGH_NOT_PRECEDENCE",
    "IGNORE_SPACE",
    "NO_AUTO_CREATE_USER",
    "NO_AUTO_VALUE_ON_ZERO",
    "NO_BACKSLASH_ESCAPES",
    "NO_DIR_IN_CREATE",
    "NO_ENGINE_SUBSTITUTION",
    "NO_UNSIGNED_SUBTRACTION",
    "NO_ZERO_DATE",
    "NO_ZERO_IN_DATE",
    "ONLY_FULL_GROUP_BY",
    "PAD_CHAR_TO_FULL_LENGTH",
    "PIPES_AS_CONCAT",
    "REAL_AS_FLOAT",
    "STRICT_ALL_TABLES",
    "STRICT_TRANS_TABLES",
    "TIME_TRUNCATE_FRACTIONAL",
    "TRADITIONAL",
];

impl Value {
    /// As the session keeps it.
    pub(super) fn datum(self) -> Datum {
        match self {
            Value::Int(value) => Datum::Int(value),
            Value::UInt(value) => Datum::UInt(value),
            Value::Double(value) => Datum::Double(value),
            Value::Text(text) => Datum::Text(text.to_owned()),
        }
    }
}

/// A variable by its lower-case name.
pub(super) fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.binary_search_by(|variable| variable.0.cmp(name)).ok().and_then(|at| VARIABLES.get(at))
}

impl Variable {
    /// Makes a value that the client gave one of this variable's.
    ///
    /// # Errors
    /// 1238 it is fixed, 1231 and 1232 a value that it cannot have, 1115 and 1273 an unknown character set or collation, 1298 an
    /// unknown time zone.
    pub(super) fn check(&self, value: Datum) -> Result<Datum, SqlError> {
        let Variable(name, _, rule) = self;
        let shown = shown(&value);
        let wrong = || {
            let start: String = shown.chars().take(64).collect();
            SqlError::new(1231, "42000", format!("Variable '{name}' can't be set to the value of '{start}'"))
        };
        match rule {
            Rule::Fixed => Err(SqlError::new(1238, "HY000", format!("Variable '{name}' is a read only variable"))),
            _ if shown.len() > TEXT_BYTES_MAX => Err(wrong()),
            Rule::Any => Ok(value),
            Rule::Moment => match shown.trim().parse::<f64>() {
                Ok(seconds) if (0.0..=MOMENT_MAX).contains(&seconds) => Ok(Datum::Double(seconds)),
                Ok(_) => Err(wrong()),
                Err(_) => Err(wrong_type(name)),
            },
            Rule::Switch => match shown.to_ascii_lowercase().as_str() {
                "1" | "on" | "true" => Ok(Datum::Int(1)),
                "0" | "off" | "false" => Ok(Datum::Int(0)),
                _ => Err(wrong()),
            },
            Rule::Number(least, most) => {
                let number = match &value {
                    Datum::Int(number) => u64::try_from(*number).unwrap_or(0),
                    Datum::UInt(number) => *number,
                    Datum::Text(text) => text.trim().parse().map_err(|_| wrong_type(name))?,
                    _ => return Err(wrong_type(name)),
                };
                // MySQL moves a number that is too small or too large to the nearest, and warns.
                Ok(Datum::UInt(number.clamp(*least, *most)))
            }
            Rule::One(values) => {
                let same = values.iter().find(|one| one.eq_ignore_ascii_case(&shown));
                same.map(|one| Datum::Text((*one).to_owned())).ok_or_else(wrong)
            }
            Rule::Charset if value == Datum::Null && *name == "character_set_results" => Ok(Datum::Null),
            Rule::Charset => charset(&shown).map(|set| Datum::Text(set.to_owned())),
            Rule::Collation => collation(&shown).map(Datum::Text),
            Rule::Zone => match &value {
                Datum::Text(name) => zone(name).map(|zone| Datum::Text(zone.name(name))),
                Datum::Null => Err(wrong()),
                _ => Err(wrong_type(name)),
            },
            Rule::Modes => modes(&value, &shown).ok_or_else(wrong).map(Datum::Text),
        }
    }
}

fn wrong_type(name: &str) -> SqlError {
    SqlError::new(1232, "42000", format!("Incorrect argument type to variable '{name}'"))
}

/// A value as an error shows it.
fn shown(value: &Datum) -> String {
    match value {
        Datum::Null => "NULL".to_owned(),
        Datum::Int(number) => number.to_string(),
        Datum::UInt(number) => number.to_string(),
        Datum::Double(number) => number.to_string(),
        Datum::Text(text) => text.clone(),
        Datum::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// A character set whose text z4 takes and gives as it is.
pub(super) fn charset(name: &str) -> Result<&'static str, SqlError> {
    let known = ["utf8mb4", "utf8mb3", "utf8", "binary", "ascii"];
    let found = known.into_iter().find(|known| known.eq_ignore_ascii_case(name));
    found.ok_or_else(|| SqlError::new(1115, "42000", format!("Unknown character set: '{name}' (z4 speaks utf8mb4)")))
}

fn collation(name: &str) -> Result<String, SqlError> {
    let lower = name.to_ascii_lowercase();
    let set = lower.split('_').next().unwrap_or_default();
    match charset(set) {
        Ok(_) => Ok(lower),
        Err(_) => Err(SqlError::new(1273, "HY000", format!("Unknown collation: '{name}'"))),
    }
}

fn modes(value: &Datum, shown: &str) -> Option<String> {
    if matches!(value, Datum::Int(_) | Datum::UInt(_)) {
        return Some(String::new());
    }
    let upper = shown.to_ascii_uppercase();
    let mut modes: Vec<&str> = Vec::new();
    for mode in upper.split(',').map(str::trim).filter(|mode| !mode.is_empty()) {
        if !MODES.contains(&mode) {
            return None;
        }
        if !modes.contains(&mode) {
            modes.push(mode);
        }
    }
    (*value != Datum::Null).then(|| modes.join(","))
}

/// A time zone.
///
/// # Errors
/// 1298: there is none of this name.
pub(super) fn zone(name: &str) -> Result<Zone, SqlError> {
    Zone::parse(name).ok_or_else(|| SqlError::new(1298, "HY000", format!("Unknown or incorrect time zone: '{name}'")))
}
