//! Functions that make documents, and merge them.

use std::fmt::Write;

use super::super::args::{Args, Out, PACKET_MAX};
use super::null_name;
use super::read::{Answer, document};
use super::value::{Json, write_string};
use crate::sql::error::SqlError;

/// NULL when it is longer than a packet.
pub(super) fn printed(json: &Json) -> Option<Out> {
    let text = json.to_string();
    (text.len() <= PACKET_MAX).then(|| text.into())
}

/// A value for a document; NULL is JSON's null.
pub(super) fn value(args: &Args<'_>, at: usize, function: &str) -> Result<Json, SqlError> {
    Ok(document(args, at, function)?.unwrap_or(Json::Null))
}

pub(super) fn quote(args: &Args<'_>) -> Option<Out> {
    Some(Json::String(args.text(0)?.into_owned()).to_string().into())
}

pub(super) fn object(args: &Args<'_>) -> Answer {
    if args.len() % 2 == 1 {
        return Err(SqlError::new(1582, "42000", "Incorrect parameter count in the call to native function 'json_object'"));
    }
    let mut members: Vec<(String, Json)> = Vec::new();
    for at in (0..args.len()).step_by(2) {
        let name = args.text(at).ok_or_else(null_name)?;
        put(&mut members, &name, value(args, at + 1, "json_object")?);
    }
    Ok(printed(&Json::Object(members)))
}

/// Sets a member.
pub(super) fn put(members: &mut Vec<(String, Json)>, name: &str, value: Json) {
    match members.iter_mut().find(|(known, _)| known == name) {
        Some(member) => member.1 = value,
        None => members.push((name.to_owned(), value)),
    }
}

pub(super) fn array(args: &Args<'_>) -> Answer {
    let elements = (0..args.len()).map(|at| value(args, at, "json_array")).collect::<Result<Vec<_>, _>>()?;
    Ok(printed(&Json::Array(elements)))
}

pub(super) fn pretty(args: &Args<'_>) -> Answer {
    let Some(json) = document(args, 0, "json_pretty")? else { return Ok(None) };
    let mut text = String::new();
    indented(&json, 0, &mut text);
    Ok((text.len() <= PACKET_MAX).then(|| text.into()))
}

/// Writing to a String cannot fail.
fn indented(json: &Json, depth: usize, text: &mut String) {
    if text.len() > PACKET_MAX {
        return;
    }
    let (open, close) = match json {
        Json::Array(elements) if !elements.is_empty() => ('[', ']'),
        Json::Object(members) if !members.is_empty() => ('{', '}'),
        other => {
            _ = write!(text, "{other}");
            return;
        }
    };
    let names: Vec<Option<&String>> = match json {
        Json::Object(members) => members.iter().map(|(name, _)| Some(name)).collect(),
        _ => vec![None; json.children().count()],
    };
    text.push(open);
    for (at, (child, name)) in json.children().zip(names).enumerate() {
        _ = write!(text, "{}\n{:2$}", if at == 0 { "" } else { "," }, "", (depth + 1) * 2);
        if let Some(name) = name {
            _ = write_string(name, text);
            text.push_str(": ");
        }
        indented(child, depth + 1, text);
    }
    _ = write!(text, "\n{:1$}{close}", "", depth * 2);
}

pub(super) fn compact(args: &Args<'_>) -> Answer {
    fn tight(json: &Json, text: &mut String) {
        match json {
            Json::Array(elements) => {
                text.push('[');
                for (at, element) in elements.iter().enumerate() {
                    text.push_str(if at == 0 { "" } else { "," });
                    tight(element, text);
                }
                text.push(']');
            }
            Json::Object(members) => {
                text.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    text.push_str(if at == 0 { "" } else { "," });
                    _ = write_string(name, text);
                    text.push(':');
                    tight(value, text);
                }
                text.push('}');
            }
            scalar => _ = write!(text, "{scalar}"),
        }
    }
    let Some(json) = document(args, 0, "json_compact")? else { return Ok(None) };
    let mut text = String::new();
    tight(&json, &mut text);
    Ok(Some(text.into()))
}

/// RFC 7396. A NULL makes all before it unknown.
pub(super) fn merge_patch(args: &Args<'_>) -> Answer {
    let mut whole = document(args, 0, "json_merge_patch")?;
    for at in 1..args.len() {
        whole = match (whole, document(args, at, "json_merge_patch")?) {
            (_, None) => None,
            (Some(target), Some(patch)) => Some(patched(target, patch)),
            (None, Some(patch)) if !matches!(patch, Json::Object(_)) => Some(patch),
            (None, Some(_)) => None,
        };
    }
    Ok(whole.as_ref().and_then(printed))
}

fn patched(target: Json, patch: Json) -> Json {
    let Json::Object(changes) = patch else { return patch };
    let mut members = match target {
        Json::Object(members) => members,
        _ => Vec::new(),
    };
    for (name, change) in changes {
        let old = members.iter().position(|(known, _)| *known == name);
        match (change, old) {
            (Json::Null, Some(at)) => _ = members.remove(at),
            (Json::Null, None) => {}
            (change, Some(at)) => {
                if let Some(member) = members.get_mut(at) {
                    member.1 = patched(std::mem::replace(&mut member.1, Json::Null), change);
                }
            }
            (change, None) => members.push((name, patched(Json::Null, change))),
        }
    }
    Json::Object(members)
}

pub(super) fn merge_preserve(args: &Args<'_>) -> Answer {
    let mut whole: Option<Json> = None;
    for at in 0..args.len() {
        let Some(next) = document(args, at, "json_merge_preserve")? else { return Ok(None) };
        whole = Some(match whole {
            None => next,
            Some(whole) => merged(whole, next),
        });
    }
    Ok(whole.as_ref().and_then(printed))
}

fn merged(a: Json, b: Json) -> Json {
    match (a, b) {
        (Json::Object(mut members), Json::Object(more)) => {
            for (name, value) in more {
                match members.iter_mut().find(|(known, _)| *known == name) {
                    Some(member) => member.1 = merged(std::mem::replace(&mut member.1, Json::Null), value),
                    None => members.push((name, value)),
                }
            }
            Json::Object(members)
        }
        (a, b) => {
            let list = |json| match json {
                Json::Array(elements) => elements,
                other => vec![other],
            };
            let mut elements = list(a);
            elements.extend(list(b));
            Json::Array(elements)
        }
    }
}
