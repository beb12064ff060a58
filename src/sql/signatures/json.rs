//! Functions of JSON.

use super::Returns::Is;
use super::Want::{self, Json as J, JsonValue as V, Text as T};
use super::{MANY, Signature, aggregate, f};
use crate::sql::types::SqlType::{Int as I, Json, Text};

/// Path and value in turn, or key and value.
const fn in_turn(first: Want) -> [Want; MANY as usize] {
    let mut wants = [V; MANY as usize];
    let skip = matches!(first, J) as usize;
    wants[0] = first;
    let mut at = skip;
    while at < wants.len() {
        wants[at] = T;
        at += 2;
    }
    wants
}

/// A document, then path and value in turn.
const PATHS: &[Want] = &in_turn(J);
/// Key and value in turn.
const KEYS: &[Want] = &in_turn(T);

pub(super) const TABLE: &[Signature] = &[
    f("JSON_EXTRACT", "my_json_extract", 2, MANY, &[J, T], Is(Json)),
    f("JSON_UNQUOTE", "my_json_unquote", 1, 1, &[J], Is(Text)),
    f("JSON_QUOTE", "my_json_quote", 1, 1, &[T], Is(Text)),
    f("JSON_VALUE", "my_json_value", 2, 2, &[J, T], Is(Text)),
    f("JSON_QUERY", "my_json_query", 2, 2, &[J, T], Is(Json)),
    f("JSON_EXISTS", "my_json_exists", 2, 2, &[J, T], Is(I)),
    f("JSON_CONTAINS", "my_json_contains", 2, 3, &[J, J, T], Is(I)),
    f("JSON_CONTAINS_PATH", "my_json_contains_path", 3, MANY, &[J, T], Is(I)),
    f("MEMBER OF", "my_json_member_of", 2, 2, &[V, J], Is(I)),
    f("JSON_KEYS", "my_json_keys", 1, 2, &[J, T], Is(Json)),
    f("JSON_LENGTH", "my_json_length", 1, 2, &[J, T], Is(I)),
    f("JSON_DEPTH", "my_json_depth", 1, 1, &[J], Is(I)),
    f("JSON_STORAGE_SIZE", "my_json_storage_size", 1, 1, &[J], Is(I)),
    f("JSON_STORAGE_FREE", "my_json_storage_free", 1, 1, &[J], Is(I)),
    f("JSON_TYPE", "my_json_type", 1, 1, &[J], Is(Text)),
    f("JSON_VALID", "my_json_valid", 1, 1, &[J], Is(I)),
    f("JSON_SCHEMA_VALID", "my_json_schema_valid", 2, 2, &[J], Is(I)),
    f("JSON_SCHEMA_VALIDATION_REPORT", "my_json_schema_validation_report", 2, 2, &[J], Is(Json)),
    f("JSON_SEARCH", "my_json_search", 3, MANY, &[J, T], Is(Json)),
    f("JSON_OVERLAPS", "my_json_overlaps", 2, 2, &[J], Is(I)),
    f("JSON_OBJECT", "my_json_object", 0, MANY, KEYS, Is(Json)),
    f("JSON_ARRAY", "my_json_array", 0, MANY, &[V], Is(Json)),
    f("JSON_SET", "my_json_set", 3, MANY, PATHS, Is(Json)),
    f("JSON_INSERT", "my_json_insert", 3, MANY, PATHS, Is(Json)),
    f("JSON_REPLACE", "my_json_replace", 3, MANY, PATHS, Is(Json)),
    f("JSON_REMOVE", "my_json_remove", 2, MANY, &[J, T], Is(Json)),
    f("JSON_ARRAY_APPEND", "my_json_array_append", 3, MANY, PATHS, Is(Json)),
    f("JSON_ARRAY_INSERT", "my_json_array_insert", 3, MANY, PATHS, Is(Json)),
    f("JSON_MERGE_PATCH", "my_json_merge_patch", 2, MANY, &[J], Is(Json)),
    f("JSON_MERGE_PRESERVE", "my_json_merge_preserve", 2, MANY, &[J], Is(Json)),
    f("JSON_MERGE", "my_json_merge_preserve", 2, MANY, &[J], Is(Json)),
    f("JSON_PRETTY", "my_json_pretty", 1, 1, &[J], Is(Text)),
    f("JSON_COMPACT", "my_json_compact", 1, 1, &[J], Is(Text)),
    aggregate("JSON_ARRAYAGG", "my_json_arrayagg", 1, &[V], Is(Json)),
    Signature { arity: (2, 2), ..aggregate("JSON_OBJECTAGG", "my_json_objectagg", 2, &[T, V], Is(Json)) },
];
