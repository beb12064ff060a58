//! JSON. Members keep the order of the text, as MariaDB has it (MySQL sorts them by the length of their names); of members with the
//! same name the last counts. Numbers keep their digits. Documents are printed as MySQL does, with a space behind `,` and `:`.

mod convert;
mod extract;
mod flat;
mod key;
mod make;
mod path;
mod read;
mod schema;
mod search;
mod value;
mod write;

use rusqlite::types::ValueRef;

use super::args::{Out, text_of};
use super::{Body, print};
use crate::sql::error::SqlError;
pub(super) use value::Json;

use Body::{Fallible, Plain};

pub(super) const TABLE: super::Table = &[
    ("my_json_extract", Fallible(read::extract)),
    ("z4_json_text", Fallible(read::extract_text)),
    ("z4_json_scalar", Plain(read::scalar)),
    ("z4_json_key", Fallible(key::key)),
    ("z4_json_sort", Fallible(key::sort)),
    ("z4_json_sorted", Plain(key::sorted)),
    ("my_json_unquote", Plain(read::unquote)),
    ("my_json_value", Fallible(extract::value)),
    ("z4_json_table", Body::Own(extract::table)),
    ("my_json_query", Fallible(read::query)),
    ("my_json_exists", Fallible(read::exists)),
    ("my_json_keys", Fallible(read::keys)),
    ("my_json_length", Fallible(read::length)),
    ("my_json_depth", Fallible(read::depth)),
    ("my_json_type", Fallible(read::kind)),
    ("my_json_valid", Fallible(read::valid)),
    ("my_json_contains", Fallible(search::contains)),
    ("my_json_contains_path", Fallible(search::contains_path)),
    ("my_json_member_of", Fallible(search::member_of)),
    ("my_json_overlaps", Fallible(search::overlaps)),
    ("my_json_schema_valid", Fallible(schema::valid)),
    ("my_json_schema_validation_report", Fallible(schema::report)),
    ("my_json_search", Fallible(search::search)),
    ("my_json_quote", Plain(make::quote)),
    ("my_json_object", Fallible(make::object)),
    ("my_json_array", Fallible(make::array)),
    ("my_json_pretty", Fallible(make::pretty)),
    ("my_json_compact", Fallible(make::compact)),
    ("my_json_merge_patch", Fallible(make::merge_patch)),
    ("my_json_merge_preserve", Fallible(make::merge_preserve)),
    ("my_json_set", Fallible(write::set)),
    ("my_json_insert", Fallible(write::insert)),
    ("my_json_replace", Fallible(write::replace)),
    ("my_json_remove", Fallible(write::remove)),
    ("my_json_array_append", Fallible(write::array_append)),
    ("my_json_array_insert", Fallible(write::array_insert)),
    ("my_json_storage_size", Fallible(read::storage_size)),
    ("my_json_storage_free", Fallible(read::storage_free)),
];

/// `z4_json`: a value as a JSON document. NULL stays NULL; a function that takes values reads it as JSON's null.
pub(super) fn of_value(value: ValueRef<'_>) -> Option<Out> {
    Some(match value {
        ValueRef::Null => return None,
        ValueRef::Integer(number) => number.to_string().into(),
        ValueRef::Real(number) => {
            let text = print::double(number);
            if text.contains(['.', 'e']) { text.into() } else { (text + ".0").into() }
        }
        ValueRef::Text(_) | ValueRef::Blob(_) => Json::String(text_of(value)?.into_owned()).to_string().into(),
    })
}

/// 3158.
pub(super) fn null_name() -> SqlError {
    SqlError::new(3158, "22032", "JSON documents may not contain NULL member names.")
}
