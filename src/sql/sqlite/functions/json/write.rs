//! Functions that change documents at paths.

use super::super::args::Args;
use super::make::{printed, value};
use super::path::{Leg, Path, Place};
use super::read::{Answer, document, paths};
use super::value::Json;
use crate::sql::error::SqlError;

/// What may be done at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Set,
    Insert,
    Replace,
    Append,
}

pub(super) fn set(args: &Args<'_>) -> Answer {
    change(args, Mode::Set, "json_set")
}

pub(super) fn insert(args: &Args<'_>) -> Answer {
    change(args, Mode::Insert, "json_insert")
}

pub(super) fn replace(args: &Args<'_>) -> Answer {
    change(args, Mode::Replace, "json_replace")
}

pub(super) fn array_append(args: &Args<'_>) -> Answer {
    change(args, Mode::Append, "json_array_append")
}

/// Each path ends with the place of an element; what is there, and what follows it, makes room.
pub(super) fn array_insert(args: &Args<'_>) -> Answer {
    const FUNCTION: &str = "json_array_insert";
    let Some(mut json) = document(args, 0, FUNCTION)? else { return Ok(None) };
    if args.len().is_multiple_of(2) {
        return Err(parameter_count(FUNCTION));
    }
    for at in (1..args.len()).step_by(2) {
        let Some(path) = args.text(at) else { return Ok(None) };
        let path = Path::parse(&path)?;
        no_wildcards(&path)?;
        let Some((Leg::Element(place), before)) = path.0.split_last() else {
            return Err(SqlError::new(3165, "42000", "A path expression is not a path to a cell in an array."));
        };
        let new = value(args, at + 1, FUNCTION)?;
        let here = before.iter().try_fold(&mut json, |json, leg| child(json, leg));
        if let Some(Json::Array(elements)) = here {
            let until = elements.len();
            elements.insert(place.of(until).unwrap_or(0).min(until), new);
        }
    }
    Ok(printed(&json))
}

fn parameter_count(function: &str) -> SqlError {
    SqlError::new(1582, "42000", format!("Incorrect parameter count in the call to native function '{function}'"))
}

/// 3149.
pub(super) fn no_wildcards(path: &Path) -> Result<(), SqlError> {
    if path.many() {
        let message = "In this situation, path expressions may not contain the * and ** tokens or an array range.";
        return Err(SqlError::new(3149, "42000", message));
    }
    Ok(())
}

fn change(args: &Args<'_>, mode: Mode, function: &str) -> Answer {
    let Some(mut json) = document(args, 0, function)? else { return Ok(None) };
    if args.len().is_multiple_of(2) {
        return Err(parameter_count(function));
    }
    for at in (1..args.len()).step_by(2) {
        let Some(path) = args.text(at) else { return Ok(None) };
        let path = Path::parse(&path)?;
        no_wildcards(&path)?;
        put(&mut json, &path.0, value(args, at + 1, function)?, mode);
    }
    Ok(printed(&json))
}

/// Follows a path of members and elements; what is missing on the way leaves all as it is.
fn put(json: &mut Json, legs: &[Leg], new: Json, mode: Mode) {
    let Some((leg, rest)) = legs.split_first() else {
        match mode {
            Mode::Set | Mode::Replace => *json = new,
            Mode::Append => append(json, new),
            Mode::Insert => {}
        }
        return;
    };
    if let Some(child) = child(json, leg) {
        return put(child, rest, new, mode);
    }
    if !rest.is_empty() || !matches!(mode, Mode::Set | Mode::Insert) {
        return;
    }
    match (leg, json) {
        (Leg::Member(name), Json::Object(members)) => members.push((name.clone(), new)),
        (Leg::Element(Place::First(_)), Json::Array(elements)) => elements.push(new),
        (Leg::Element(Place::Last(_)), Json::Array(elements)) => elements.insert(0, new),
        (Leg::Element(Place::First(_)), other) => {
            *other = Json::Array(vec![std::mem::replace(other, Json::Null), new]);
        }
        (Leg::Element(Place::Last(_)), other) => {
            *other = Json::Array(vec![new, std::mem::replace(other, Json::Null)]);
        }
        _ => {}
    }
}

fn append(json: &mut Json, new: Json) {
    match json {
        Json::Array(elements) => elements.push(new),
        other => *other = Json::Array(vec![std::mem::replace(other, Json::Null), new]),
    }
}

/// What a step leads to; a value that is no array is its own first element.
fn child<'a>(json: &'a mut Json, leg: &Leg) -> Option<&'a mut Json> {
    match (leg, json) {
        (Leg::Member(name), Json::Object(members)) => members.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value),
        (Leg::Element(place), Json::Array(elements)) => {
            let at = place.of(elements.len())?;
            elements.get_mut(at)
        }
        (Leg::Element(place), other) if place.of(1) == Some(0) => Some(other),
        _ => None,
    }
}

pub(super) fn remove(args: &Args<'_>) -> Answer {
    let (Some(mut json), Some(paths)) = (document(args, 0, "json_remove")?, paths(args, 1)?) else { return Ok(None) };
    for path in &paths {
        no_wildcards(path)?;
        let Some((last, before)) = path.0.split_last() else {
            return Err(SqlError::new(3153, "42000", "The path expression '$' is not allowed in this context."));
        };
        let mut here = Some(&mut json);
        for leg in before {
            here = here.and_then(|json| child(json, leg));
        }
        match (here, last) {
            (Some(Json::Object(members)), Leg::Member(name)) => members.retain(|(known, _)| known != name),
            (Some(Json::Array(elements)), Leg::Element(place)) => {
                if let Some(at) = place.of(elements.len()).filter(|at| *at < elements.len()) {
                    elements.remove(at);
                }
            }
            _ => {}
        }
    }
    Ok(printed(&json))
}
