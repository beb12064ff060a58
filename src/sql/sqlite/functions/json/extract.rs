//! JSON_VALUE and JSON_TABLE.

use std::rc::Rc;

use rusqlite::types::ValueRef;

use super::super::args::{Args, Out, PACKET_MAX};
use super::convert::{Misfit, convert, of_text};
use super::path::Path;
use super::read::{Answer, document};
use super::value::Json;
use crate::sql::error::SqlError;
use crate::sql::extraction::{self, Column, Otherwise, Shape, Unfolding, VALUE, Value};
use crate::sql::sqlite::memory::Charge;
use crate::sql::sqlite::packed;
use crate::sql::sqlite::running::Running;

/// JSON_VALUE: the document, the path, and what is wanted of what is there, VARCHAR(512) where it is not said.
pub(super) fn value(args: &Args<'_>) -> Answer {
    let (Some(json), Some(path)) = (document(args, 0, "json_value")?, args.text(1)) else { return Ok(None) };
    let path = Path::parse(&path)?;
    let wanted = match args.text(2) {
        Some(text) => extraction::decode(&text).ok_or_else(broken)?,
        None => Value { shape: VALUE, empty: Otherwise::Null, error: Otherwise::Null },
    };
    let found = path.select(&json);
    match found.as_slice() {
        [] => otherwise(&wanted.empty, wanted.shape, || {
            SqlError::new(3966, "22035", "No value was found by 'json_value' on the specified path.")
        }),
        [Json::Null] => Ok(None),
        [one] => match scalar(one, wanted.shape) {
            Ok(out) => Ok(Some(out)),
            Err(_) => otherwise(&wanted.error, wanted.shape, || out_of_range(wanted.shape)),
        },
        _ => otherwise(&wanted.error, wanted.shape, || {
            SqlError::new(3967, "22034", "More than one value was found by 'json_value' on the specified path.")
        }),
    }
}

/// Arrays and objects are texts, too.
fn scalar(json: &Json, shape: Shape) -> Result<Out, Misfit> {
    match (json, shape) {
        (Json::Array(_) | Json::Object(_), Shape::Text(_) | Shape::Bytes(_)) => of_text(&json.to_string(), shape),
        _ => convert(json, shape),
    }
}

fn otherwise(what: &Otherwise, shape: Shape, error: impl Fn() -> SqlError) -> Answer {
    match what {
        Otherwise::Null => Ok(None),
        Otherwise::Error => Err(error()),
        Otherwise::Default(text) if shape == Shape::Json => {
            Json::parse(text).map(|json| Some(json.to_string().into())).map_err(|_| out_of_range(shape))
        }
        Otherwise::Default(text) => of_text(text, shape).map(Some).map_err(|_| out_of_range(shape)),
    }
}

fn out_of_range(shape: Shape) -> SqlError {
    SqlError::new(1690, "22003", format!("{} value is out of range in 'json_value'", shape.word()))
}

fn broken() -> SqlError {
    SqlError::other("what is to be taken out of a document cannot be read")
}

/// `z4_json_table(document, what)`: the rows, packed; NULL where there is no document.
pub(super) fn table(args: &Args<'_>) -> Answer {
    let what = args.text(1).and_then(|text| extraction::decode::<Unfolding>(&text)).ok_or_else(broken)?;
    let level = Level::of(&what)?;
    let Some(json) = document(args, 0, "json_table")? else { return Ok(None) };
    let width = what.width();
    let mut rows = Rows { running: Running::current()?, bytes: Vec::new(), charge: Charge::default() };
    packed::push(&mut rows.bytes, ValueRef::Integer(i64::try_from(width).unwrap_or(0)));
    level.unfold(&json, 0, &mut vec![Out::Null; width], &mut rows)?;
    Ok(Some(Out::Blob(rows.bytes)))
}

/// An unfolding whose paths are read.
struct Level<'a> {
    path: Path,
    columns: Vec<Reader<'a>>,
}

/// What a column is made of.
enum Reader<'a> {
    Number,
    Exists(Path, Shape),
    Value(Path, &'a str, &'a Value),
    /// And its width.
    Nested(Level<'a>, usize),
}

impl<'a> Level<'a> {
    fn of(what: &'a Unfolding) -> Result<Level<'a>, SqlError> {
        let reader = |column: &'a Column| match column {
            Column::Number => Ok(Reader::Number),
            Column::Exists { path, shape } => Ok(Reader::Exists(Path::parse(path)?, *shape)),
            Column::Value { name, path, value } => Ok(Reader::Value(Path::parse(path)?, name, value)),
            Column::Nested(below) => Ok(Reader::Nested(Level::of(below)?, below.width())),
        };
        Ok(Level { path: Path::parse(&what.path)?, columns: what.columns.iter().map(reader).collect::<Result<_, SqlError>>()? })
    }

    /// The rows of a value; their first column has the place `at` in `row`, whose other cells stay as they are. `false`: there are none.
    fn unfold(&self, json: &Json, at: usize, row: &mut [Out], rows: &mut Rows) -> Result<bool, SqlError> {
        let found = self.path.select(json);
        for (one, number) in found.iter().zip(1..) {
            let mut place = at;
            for column in &self.columns {
                rows.running.check()?;
                if let Some(cell) = column.cell(one, number)? {
                    row.get_mut(place).into_iter().for_each(|own| *own = cell.clone());
                }
                place += column.width();
            }
            let (mut place, mut below) = (at, false);
            for column in &self.columns {
                if let Reader::Nested(level, width) = column {
                    below |= level.unfold(one, place, row, rows)?;
                    row.iter_mut().skip(place).take(*width).for_each(|cell| *cell = Out::Null);
                }
                place += column.width();
            }
            // Rows of several NESTED PATHs stand below each other, and a row without any stands by itself.
            if !below {
                rows.push(row)?;
            }
        }
        Ok(!found.is_empty())
    }
}

impl Reader<'_> {
    fn width(&self) -> usize {
        if let Reader::Nested(_, width) = self { *width } else { 1 }
    }

    /// Its cell in the row of a value; `None`: it is no single column.
    fn cell(&self, json: &Json, number: i64) -> Result<Option<Out>, SqlError> {
        match self {
            Reader::Number => Ok(Some(Out::Int(number))),
            Reader::Exists(path, shape) => {
                let there = i64::from(!path.select(json).is_empty());
                Ok(Some(convert(&Json::Number(there.to_string()), *shape).unwrap_or(Out::Null)))
            }
            Reader::Value(path, name, Value { shape, empty, error }) => {
                let (name, found) = (*name, path.select(json));
                let many;
                let one = match found.as_slice() {
                    [] => return by_default(empty, (name, *shape), || missing(name)).map(Some),
                    [one] => one,
                    // Several values are an array of them.
                    several => {
                        many = Json::Array(several.iter().map(|one| (*one).clone()).collect());
                        &many
                    }
                };
                match convert(one, *shape) {
                    Ok(out) => Ok(Some(out)),
                    Err(misfit) => by_default(error, (name, *shape), || unfit(misfit, (name, *shape), number)).map(Some),
                }
            }
            Reader::Nested(..) => Ok(None),
        }
    }
}

/// What stands for a value: a DEFAULT is a document, which becomes one of the column's type as others do.
fn by_default(what: &Otherwise, (name, shape): (&str, Shape), error: impl Fn() -> SqlError) -> Result<Out, SqlError> {
    match what {
        Otherwise::Null => Ok(Out::Null),
        Otherwise::Error => Err(error()),
        Otherwise::Default(text) => {
            let json =
                Json::parse(text).map_err(|_| SqlError::new(1067, "42000", format!("Invalid default value for '{name}'")))?;
            convert(&json, shape).map_err(|misfit| unfit(misfit, (name, shape), 1))
        }
    }
}

fn missing(name: &str) -> SqlError {
    SqlError::new(3665, "22035", format!("Missing value for JSON_TABLE column '{name}'"))
}

fn unfit(misfit: Misfit, (name, shape): (&str, Shape), number: i64) -> SqlError {
    let word = match shape {
        Shape::Int(_) | Shape::UInt(_) => "INTEGER",
        _ => shape.word(),
    };
    match misfit {
        Misfit::Structure => {
            SqlError::new(3666, "2203F", format!("Can't store an array or an object in the scalar column '{name}' of JSON_TABLE"))
        }
        Misfit::Range => SqlError::new(3669, "22003", format!("Value is out of range for JSON_TABLE's column '{name}'")),
        Misfit::Invalid => {
            let text = format!("Invalid JSON value for CAST to {word} from column {name} at row {number}");
            SqlError::new(3156, "22018", text)
        }
    }
}

/// Rows as they are packed.
struct Rows {
    running: Rc<Running>,
    bytes: Vec<u8>,
    charge: Charge,
}

impl Rows {
    fn push(&mut self, row: &[Out]) -> Result<(), SqlError> {
        self.running.check_now()?;
        let before = self.bytes.len();
        for cell in row {
            packed::push(&mut self.bytes, cell.value());
        }
        self.charge.grow(self.bytes.len() - before);
        if self.bytes.len() <= PACKET_MAX {
            return Ok(());
        }
        let text = format!("The rows that JSON_TABLE makes of one document are longer than max_allowed_packet ({PACKET_MAX})");
        Err(SqlError::new(1301, "HY000", text))
    }
}
