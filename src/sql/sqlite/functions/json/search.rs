//! Functions that look for something in documents.

use super::super::args::Args;
use super::super::like;
use super::super::patience::Patience;
use super::path::Path;
use super::read::{Answer, document, paths};
use super::value::Json;
use super::write::no_wildcards;
use crate::sql::error::SqlError;

/// MySQL's containment: of a scalar in an array, of every element, of every member.
fn has(target: &Json, candidate: &Json, patience: &mut Patience) -> bool {
    if patience.ends() {
        return false;
    }
    match (target, candidate) {
        (Json::Array(elements), Json::Array(wanted)) => {
            wanted.iter().all(|wanted| elements.iter().any(|element| has(element, wanted, patience)))
        }
        (Json::Array(elements), _) => elements.iter().any(|element| has(element, candidate, patience)),
        (Json::Object(_), Json::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| target.member(name).is_some_and(|found| has(found, wanted, patience)))
        }
        _ => target.same(candidate),
    }
}

pub(super) fn contains(args: &Args<'_>) -> Answer {
    let (Some(target), Some(candidate)) = (document(args, 0, "json_contains")?, document(args, 1, "json_contains")?) else {
        return Ok(None);
    };
    let Some(paths) = paths(args, 2)? else { return Ok(None) };
    match paths.first() {
        None => Ok(Some(has(&target, &candidate, &mut Patience::default()).into())),
        Some(path) => {
            no_wildcards(path)?;
            Ok(path.select(&target).first().map(|found| has(found, &candidate, &mut Patience::default()).into()))
        }
    }
}

/// `one` is true, `all` is false: error 3154 of anything else.
fn one_of(args: &Args<'_>, function: &str) -> Result<Option<bool>, SqlError> {
    let Some(text) = args.text(1) else { return Ok(None) };
    match text.to_ascii_lowercase().as_str() {
        "one" => Ok(Some(true)),
        "all" => Ok(Some(false)),
        _ => {
            let message = format!("The oneOrAll argument to {function} may take these values: 'one' or 'all'.");
            Err(SqlError::new(3154, "42000", message))
        }
    }
}

pub(super) fn contains_path(args: &Args<'_>) -> Answer {
    let (Some(json), Some(one)) = (document(args, 0, "json_contains_path")?, one_of(args, "json_contains_path")?) else {
        return Ok(None);
    };
    let Some(paths) = paths(args, 2)? else { return Ok(None) };
    let mut there = paths.iter().map(|path| !path.select(&json).is_empty());
    let found = if one { there.any(|there| there) } else { there.all(|there| there) };
    Ok(Some(found.into()))
}

/// MEMBER OF(value, array).
pub(super) fn member_of(args: &Args<'_>) -> Answer {
    let (Some(value), Some(within)) = (document(args, 0, "member of")?, document(args, 1, "member of")?) else {
        return Ok(None);
    };
    Ok(Some(match within {
        Json::Array(elements) => elements.iter().any(|element| element.same(&value)).into(),
        other => other.same(&value).into(),
    }))
}

pub(super) fn overlaps(args: &Args<'_>) -> Answer {
    let (Some(a), Some(b)) = (document(args, 0, "json_overlaps")?, document(args, 1, "json_overlaps")?) else {
        return Ok(None);
    };
    Ok(Some(match (&a, &b) {
        (Json::Object(members), Json::Object(_)) => {
            members.iter().any(|(name, value)| b.member(name).is_some_and(|found| found.same(value))).into()
        }
        (Json::Array(a), Json::Array(b)) => {
            let mut patience = Patience::default();
            a.iter().any(|a| b.iter().any(|b| patience.ends() || a.same(b))).into()
        }
        (Json::Array(elements), one) | (one, Json::Array(elements)) => elements.iter().any(|element| element.same(one)).into(),
        (a, b) => a.same(b).into(),
    }))
}

/// JSON_SEARCH(doc, one or all, pattern, escape, path, …).
pub(super) fn search(args: &Args<'_>) -> Answer {
    let (Some(json), Some(one), Some(pattern)) = (document(args, 0, "json_search")?, one_of(args, "json_search")?, args.text(2))
    else {
        return Ok(None);
    };
    let escape = args.text(3).map_or(Some('\\'), |escape| Some(escape.chars().next().unwrap_or('\\')));
    let Some(paths) = paths(args, 4)? else { return Ok(None) };
    let roots = if paths.is_empty() { vec![Path(Vec::new())] } else { paths };
    let mut below: Vec<*const Json> = Vec::new();
    for root in &roots {
        below.extend(root.select(&json).into_iter().map(std::ptr::from_ref));
    }
    let mut found = Vec::new();
    let inside = below.contains(&std::ptr::from_ref(&json));
    walk(
        &json,
        "$",
        inside,
        &mut |text, path, root| {
            let wanted = root && like::matches(text, &pattern, escape, false) && (!one || found.is_empty());
            if wanted {
                found.push(Json::String(path.to_owned()));
            }
        },
        &below,
    );
    Ok(match found.len() {
        0 => None,
        1 => found.first().map(|path| path.to_string().into()),
        _ => Some(Json::Array(found).to_string().into()),
    })
}

/// A name that stands in a path without quotes.
fn is_identifier(name: &str) -> bool {
    let begins = |letter: char| letter.is_alphabetic() || matches!(letter, '_' | '$');
    name.starts_with(begins) && name.chars().all(|letter| begins(letter) || letter.is_alphanumeric())
}

/// Every string below a value, with its path, and whether it is below one of the places.
fn walk(json: &Json, path: &str, inside: bool, each: &mut dyn FnMut(&str, &str, bool), places: &[*const Json]) {
    let mut down = |child: &Json, path: String| {
        let inside = inside || places.contains(&std::ptr::from_ref(child));
        walk(child, &path, inside, each, places);
    };
    match json {
        Json::String(text) => each(text, path, inside),
        Json::Array(elements) => {
            for (at, element) in elements.iter().enumerate() {
                down(element, format!("{path}[{at}]"));
            }
        }
        Json::Object(members) => {
            for (name, value) in members {
                let leg = if is_identifier(name) { name.clone() } else { Json::String(name.clone()).to_string() };
                down(value, format!("{path}.{leg}"));
            }
        }
        _ => {}
    }
}
