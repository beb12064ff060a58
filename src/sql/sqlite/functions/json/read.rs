//! Functions that read documents.

use std::borrow::Cow;

use rusqlite::types::ValueRef;

use super::super::args::{Args, Out, text_of};
use super::flat::{self, Look};
use super::path::Path;
use super::value::Json;
use super::write::no_wildcards;
use crate::sql::error::SqlError;

/// Bytes of all arguments of a call that reads documents.
const DOCUMENTS_BYTES_MAX: usize = 4 << 20;

pub(super) type Answer = Result<Option<Out>, SqlError>;

/// The document in an argument; `None`: NULL.
pub(super) fn document(args: &Args<'_>, at: usize, function: &str) -> Result<Option<Json>, SqlError> {
    bounded(args, function)?;
    args.text(at).map(|text| Json::of(&text, at, function)).transpose()
}

/// A tree takes many times the memory of its text, which is not counted: a call with longer texts is refused.
fn bounded(args: &Args<'_>, function: &str) -> Result<(), SqlError> {
    let bytes = |at: usize| match args.value(at) {
        ValueRef::Text(text) | ValueRef::Blob(text) => text.len(),
        _ => 0,
    };
    if (0..args.len()).map(bytes).sum::<usize>() <= DOCUMENTS_BYTES_MAX {
        return Ok(());
    }
    Err(SqlError::new(
        1301,
        "HY000",
        format!("The arguments of {function}() are longer than {DOCUMENTS_BYTES_MAX} bytes together"),
    ))
}

/// The paths from an argument on; `None`: one of them is NULL.
pub(super) fn paths(args: &Args<'_>, from: usize) -> Result<Option<Vec<Path>>, SqlError> {
    (from..args.len()).map(|at| args.text(at).map(|path| Path::parse(&path)).transpose()).collect()
}

fn print(json: &Json) -> Out {
    json.to_string().into()
}

/// One member of a flat object, without a tree: its value as it is written. `None`: that way does not lead there.
fn by_look<'a>(args: &Args<'a>) -> Option<Look<'a>> {
    if args.len() != 2 {
        return None;
    }
    let path = args.text(1)?;
    let name = flat::name_of(&path)?;
    match args.text(0)? {
        Cow::Borrowed(text) => Some(flat::look(text, name)).filter(|look| *look != Look::Unsure),
        Cow::Owned(_) => None,
    }
}

pub(super) fn extract(args: &Args<'_>) -> Answer {
    match by_look(args) {
        Some(Look::Found(raw)) => return Ok(Some(raw.into())),
        Some(Look::Missing) => return Ok(None),
        _ => {}
    }
    let (Some(json), Some(paths)) = (document(args, 0, "json_extract")?, paths(args, 1)?) else { return Ok(None) };
    let found: Vec<&Json> = paths.iter().flat_map(|path| path.select(&json)).collect();
    Ok(match (paths.as_slice(), found.as_slice()) {
        (_, []) => None,
        ([path], [one]) if !path.many() => Some(print(one)),
        _ => Some(print(&Json::Array(found.into_iter().cloned().collect()))),
    })
}

/// `z4_json_text(doc, path)`: JSON_UNQUOTE(JSON_EXTRACT(doc, path)) in one step, which is `->>`.
pub(super) fn extract_text(args: &Args<'_>) -> Answer {
    if let Some(Look::Found(raw)) = by_look(args) {
        let inner = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
        return Ok(Some(inner.unwrap_or(raw).into()));
    }
    Ok(extract(args)?.map(|out| match out {
        Out::Text(bytes) => unquoted(&String::from_utf8_lossy(&bytes)).into(),
        other => other,
    }))
}

/// A string without its quotes; anything else as it is.
fn unquoted(text: &str) -> String {
    if text.len() >= 2
        && text.starts_with('"')
        && text.ends_with('"')
        && let Ok(Json::String(inner)) = Json::parse(text)
    {
        return inner;
    }
    text.to_owned()
}

pub(super) fn unquote(args: &Args<'_>) -> Option<Out> {
    Some(unquoted(&args.text(0)?).into())
}

/// `z4_json_scalar`: a string without quotes, a number and a boolean as numbers, anything else as text.
pub(super) fn scalar(args: &Args<'_>) -> Option<Out> {
    let text = text_of(args.value(0))?;
    match text.trim_start().as_bytes().first() {
        Some(b'"') => Some(unquoted(&text).into()),
        Some(b'-' | b'0'..=b'9') => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(value), _) => Some(Out::Int(value)),
            (_, Ok(value)) => Out::finite(value),
            _ => Some(Out::Arg(0)),
        },
        _ => Some(match text.trim() {
            "true" => Out::Int(1),
            "false" => Out::Int(0),
            _ => Out::Arg(0),
        }),
    }
}

/// The first value that a path leads to; `None`: none, or an argument is NULL.
fn first(args: &Args<'_>, function: &str) -> Result<Option<Json>, SqlError> {
    let (Some(json), Some(paths)) = (document(args, 0, function)?, paths(args, 1)?) else { return Ok(None) };
    match paths.first() {
        None => Ok(Some(json)),
        Some(path) => Ok(path.select(&json).first().map(|found| (*found).clone())),
    }
}

pub(super) fn query(args: &Args<'_>) -> Answer {
    Ok(first(args, "json_query")?.filter(|found| matches!(found, Json::Array(_) | Json::Object(_))).map(|found| print(&found)))
}

pub(super) fn exists(args: &Args<'_>) -> Answer {
    if args.any_null() {
        return Ok(None);
    }
    Ok(Some(first(args, "json_exists")?.is_some().into()))
}

pub(super) fn keys(args: &Args<'_>) -> Answer {
    paths(args, 1)?.iter().flatten().try_for_each(no_wildcards)?;
    Ok(match first(args, "json_keys")? {
        Some(Json::Object(members)) => {
            Some(print(&Json::Array(members.into_iter().map(|(name, _)| Json::String(name)).collect())))
        }
        _ => None,
    })
}

pub(super) fn length(args: &Args<'_>) -> Answer {
    Ok(first(args, "json_length")?.map(|found| match found {
        Json::Array(_) | Json::Object(_) => Out::Int(found.children().count() as i64),
        _ => Out::Int(1),
    }))
}

/// The bytes of its text: documents are kept as text.
pub(super) fn storage_size(args: &Args<'_>) -> Answer {
    Ok(document(args, 0, "json_storage_size")?.map(|json| Out::Int(json.to_string().len() as i64)))
}

/// Nothing is kept free in a text.
pub(super) fn storage_free(args: &Args<'_>) -> Answer {
    Ok(document(args, 0, "json_storage_free")?.map(|_| Out::Int(0)))
}

pub(super) fn depth(args: &Args<'_>) -> Answer {
    fn of(json: &Json) -> i64 {
        1 + json.children().map(of).max().unwrap_or(0)
    }
    Ok(document(args, 0, "json_depth")?.map(|json| Out::Int(of(&json))))
}

pub(super) fn kind(args: &Args<'_>) -> Answer {
    Ok(document(args, 0, "json_type")?.map(|json| {
        Out::from(match json {
            Json::Null => "NULL",
            Json::Bool(_) => "BOOLEAN",
            Json::Number(text) if text.contains(['.', 'e', 'E']) => "DOUBLE",
            Json::Number(text) if text.parse::<i64>().is_ok() => "INTEGER",
            Json::Number(text) if text.parse::<u64>().is_ok() => "UNSIGNED INTEGER",
            Json::Number(_) => "DOUBLE",
            Json::String(_) => "STRING",
            Json::Array(_) => "ARRAY",
            Json::Object(_) => "OBJECT",
        })
    }))
}

pub(super) fn valid(args: &Args<'_>) -> Answer {
    bounded(args, "json_valid")?;
    Ok(args.text(0).map(|text| Json::parse(&text).is_ok().into()))
}
