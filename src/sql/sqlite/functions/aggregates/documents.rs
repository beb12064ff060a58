//! JSON_ARRAYAGG and JSON_OBJECTAGG.

use std::collections::{HashMap, VecDeque};

use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::{Connection, Result};

use super::super::args::{Args, Out, PACKET_MAX, fault};
use super::super::json::{self, Json};
use crate::sql::error::SqlError;
use crate::sql::sqlite::memory::Charge;

pub(super) fn register(connection: &Connection, flags: FunctionFlags) -> Result<()> {
    connection.create_window_function("my_json_arrayagg", 1, flags, Documents { name: "json_arrayagg", members: false })?;
    connection.create_window_function("my_json_objectagg", 2, flags, Documents { name: "json_objectagg", members: true })
}

/// What an element takes beside its texts, about.
const ELEMENT_BYTES: usize = 128;

struct Documents {
    name: &'static str,
    /// An object of names and values; else an array.
    members: bool,
}

/// Names (empty in an array) and values in the order of their rows, their bytes, and what they count for.
#[derive(Default)]
struct Elements {
    list: VecDeque<(String, String)>,
    bytes: usize,
    charge: Charge,
}

impl Documents {
    /// A value of JSON as text; NULL is JSON's null.
    fn value(&self, args: &Args<'_>, at: usize) -> Result<String> {
        match args.text(at) {
            None => Ok("null".to_owned()),
            Some(text) => Json::of(&text, at, self.name).map(|json| json.to_string()).map_err(|error| fault(&error)),
        }
    }

    fn document(&self, elements: Option<&Elements>) -> Out {
        let Some(elements) = elements.filter(|elements| !elements.list.is_empty()) else { return Out::Null };
        let mut text = String::with_capacity(elements.bytes + 2);
        text.push(if self.members { '{' } else { '[' });
        let last: HashMap<&str, &str> =
            elements.list.iter().filter(|_| self.members).map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut written = std::collections::HashSet::new();
        for (name, value) in &elements.list {
            // Of members with one name the last counts, in the place of the first.
            if self.members && !written.insert(name.as_str()) {
                continue;
            }
            if text.len() > 1 {
                text.push_str(", ");
            }
            if self.members {
                text.push_str(&Json::String(name.clone()).to_string());
                text.push_str(": ");
            }
            text.push_str(last.get(name.as_str()).copied().unwrap_or(value));
        }
        text.push(if self.members { '}' } else { ']' });
        text.into()
    }
}

impl Aggregate<Elements, Out> for Documents {
    fn init(&self, _: &mut Context<'_>) -> Result<Elements> {
        Ok(Elements::default())
    }

    fn step(&self, call: &mut Context<'_>, elements: &mut Elements) -> Result<()> {
        let args = Args(call);
        let name = match (self.members, args.text(0)) {
            (true, None) => return Err(fault(&json::null_name())),
            (true, Some(name)) => name.into_owned(),
            (false, _) => String::new(),
        };
        let value = self.value(&args, usize::from(self.members))?;
        let bytes = name.len() + value.len() + if self.members { 6 } else { 2 };
        elements.bytes += bytes;
        elements.charge.grow(bytes + ELEMENT_BYTES);
        if elements.bytes > PACKET_MAX {
            let text = format!("Result of {}() was larger than max_allowed_packet ({PACKET_MAX})", self.name);
            return Err(fault(&SqlError::new(1301, "HY000", text)));
        }
        elements.list.push_back((name, value));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, elements: Option<Elements>) -> Result<Out> {
        Ok(self.document(elements.as_ref()))
    }
}

impl WindowAggregate<Elements, Out> for Documents {
    fn value(&self, elements: Option<&mut Elements>) -> Result<Out> {
        Ok(self.document(elements.as_deref()))
    }

    /// The rows of a window leave it in the order in which they came. What they took stays counted: a frame that moves is bounded, too.
    fn inverse(&self, _: &mut Context<'_>, elements: &mut Elements) -> Result<()> {
        if let Some((name, value)) = elements.list.pop_front() {
            elements.bytes -= name.len() + value.len() + if self.members { 6 } else { 2 };
        }
        Ok(())
    }
}
