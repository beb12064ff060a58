//! JSON Schema, draft 4, as JSON_SCHEMA_VALID knows it. References lead to places in the schema itself alone; a `pattern` that is no
//! regular expression counts for nothing, nor does `format`.

use super::super::args::{Args, Out};
use super::super::patience::Patience;
use super::super::regexp;
use super::read::{Answer, document};
use super::value::Json;
use crate::sql::decimal::Dec;
use crate::sql::error::SqlError;

/// References that follow one another without a step into the document.
const REFERENCES_MAX: usize = 64;

pub(super) fn valid(args: &Args<'_>) -> Answer {
    Ok(checked(args, "json_schema_valid")?.map(|failed| Out::from(failed.is_none())))
}

/// `{"valid": true}`, or what failed and where.
pub(super) fn report(args: &Args<'_>) -> Answer {
    let Some(failed) = checked(args, "json_schema_validation_report")? else { return Ok(None) };
    let text = |text: &str| Json::String(text.to_owned());
    let mut members = vec![("valid".to_owned(), Json::Bool(failed.is_none()))];
    if let Some(Failed { document, schema, keyword }) = failed {
        let reason =
            format!("The JSON document location '{document}' failed requirement '{keyword}' at JSON Schema location '{schema}'");
        members.extend([
            ("reason".to_owned(), Json::String(reason)),
            ("schema-location".to_owned(), text(&schema)),
            ("document-location".to_owned(), text(&document)),
            ("schema-failed-keyword".to_owned(), text(keyword)),
        ]);
    }
    Ok(Some(Json::Object(members).to_string().into()))
}

/// Where a document is not what its schema says.
struct Failed {
    document: String,
    schema: String,
    keyword: &'static str,
}

fn checked(args: &Args<'_>, function: &str) -> Result<Option<Option<Failed>>, SqlError> {
    let Some(schema) = document(args, 0, function)? else { return Ok(None) };
    if !matches!(schema, Json::Object(_)) {
        let text = format!("Invalid JSON type in argument 1 to function {function}; an object is required.");
        return Err(SqlError::new(3853, "22032", text));
    }
    let Some(json) = document(args, 1, function)? else { return Ok(None) };
    let mut check = Check { root: &schema, patience: Patience::default(), references: 0, over: false };
    Ok(Some(check.value(&json, &schema, ("#", "#"))?.err()))
}

/// A check under way.
struct Check<'a> {
    root: &'a Json,
    patience: Patience,
    references: usize,
    /// The query must end: nothing more is looked at.
    over: bool,
}

type Verdict = Result<Result<(), Failed>, SqlError>;

/// Places in the document and in the schema.
type At<'a> = (&'a str, &'a str);

fn fail((document, schema): At<'_>, keyword: &'static str) -> Verdict {
    Ok(Err(Failed { document: document.to_owned(), schema: schema.to_owned(), keyword }))
}

/// Passes on what failed.
macro_rules! pass {
    ($verdict:expr) => {
        if let Err(failed) = $verdict? {
            return Ok(Err(failed));
        }
    };
}

impl<'a> Check<'a> {
    fn value(&mut self, json: &Json, schema: &'a Json, at: At<'_>) -> Verdict {
        self.over = self.over || self.patience.ends();
        if self.over || !matches!(schema, Json::Object(_)) {
            return Ok(Ok(()));
        }
        if let Some(Json::String(place)) = schema.member("$ref") {
            let found = self.referred(place)?;
            self.references += 1;
            let verdict = self.value(json, found, (at.0, place));
            self.references -= 1;
            return verdict;
        }
        if !is_of(json, schema.member("type")) {
            return fail(at, "type");
        }
        let references = std::mem::take(&mut self.references);
        let inner = match json {
            Json::Number(text) => number(text, schema, at),
            Json::String(text) => string(text, schema, at),
            Json::Array(elements) => self.array(elements, schema, at),
            Json::Object(members) => self.object(members, schema, at),
            Json::Null | Json::Bool(_) => Ok(Ok(())),
        };
        self.references = references;
        pass!(inner);
        self.combined(json, schema, at)
    }

    fn referred(&self, place: &str) -> Result<&'a Json, SqlError> {
        let Some(pointer) = place.strip_prefix('#') else {
            return Err(SqlError::unsupported("references to other documents in a JSON schema are not done by z4"));
        };
        if self.references >= REFERENCES_MAX {
            return Err(SqlError::unsupported("references in a JSON schema that lead to each other are not done by z4"));
        }
        let mut found = self.root;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let below = match found {
                Json::Array(elements) => step.parse::<usize>().ok().and_then(|at| elements.get(at)),
                other => other.member(&step),
            };
            // What is not there says nothing.
            found = below.unwrap_or(&Json::Null);
        }
        Ok(found)
    }

    /// What a schema makes of others: enum, allOf, anyOf, oneOf, not.
    fn combined(&mut self, json: &Json, schema: &'a Json, at: At<'_>) -> Verdict {
        if let Some(Json::Array(values)) = schema.member("enum")
            && !values.iter().any(|value| value.same(json))
        {
            return fail(at, "enum");
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            let Some(Json::Array(schemas)) = schema.member(keyword) else { continue };
            let mut met = 0;
            for (number, one) in schemas.iter().enumerate() {
                let place = format!("{}/{keyword}/{number}", at.1);
                met += usize::from(self.value(json, one, (at.0, &place))?.is_ok());
            }
            let fits = match keyword {
                "allOf" => met == schemas.len(),
                "anyOf" => met > 0,
                _ => met == 1,
            };
            if !fits {
                return fail(at, keyword);
            }
        }
        if let Some(other) = schema.member("not") {
            let place = format!("{}/not", at.1);
            if self.value(json, other, (at.0, &place))?.is_ok() && !self.over {
                return fail(at, "not");
            }
        }
        Ok(Ok(()))
    }

    fn array(&mut self, elements: &[Json], schema: &'a Json, at: At<'_>) -> Verdict {
        let items = schema.member("items");
        for (number, element) in elements.iter().enumerate() {
            let document = format!("{}/{number}", at.0);
            match items {
                Some(Json::Array(several)) => match (several.get(number), schema.member("additionalItems")) {
                    (Some(one), _) => {
                        pass!(self.value(element, one, (&document, &format!("{}/items/{number}", at.1))));
                    }
                    (None, Some(Json::Bool(false))) => return fail(at, "additionalItems"),
                    (None, Some(rest)) => {
                        pass!(self.value(element, rest, (&document, &format!("{}/additionalItems", at.1))));
                    }
                    (None, None) => {}
                },
                Some(one) => pass!(self.value(element, one, (&document, &format!("{}/items", at.1)))),
                None => {}
            }
        }
        pass!(counted(elements.len(), schema, at, ("minItems", "maxItems")));
        if schema.member("uniqueItems") == Some(&Json::Bool(true)) && self.has_twins(elements) {
            return fail(at, "uniqueItems");
        }
        Ok(Ok(()))
    }

    fn has_twins(&mut self, elements: &[Json]) -> bool {
        for (number, element) in elements.iter().enumerate() {
            for other in elements.iter().skip(number + 1) {
                if self.patience.ends() {
                    self.over = true;
                    return false;
                }
                if element.same(other) {
                    return true;
                }
            }
        }
        false
    }

    fn object(&mut self, members: &[(String, Json)], schema: &'a Json, at: At<'_>) -> Verdict {
        let (own, patterns) = (schema.member("properties"), schema.member("patternProperties"));
        for (name, value) in members {
            let document = format!("{}/{}", at.0, escaped(name));
            let mut known = false;
            if let Some(one) = own.and_then(|own| own.member(name)) {
                known = true;
                pass!(self.value(value, one, (&document, &format!("{}/properties/{}", at.1, escaped(name)))));
            }
            if let Some(Json::Object(patterns)) = patterns {
                for (pattern, one) in patterns {
                    if matches(pattern, name) {
                        known = true;
                        let place = format!("{}/patternProperties/{}", at.1, escaped(pattern));
                        pass!(self.value(value, one, (&document, &place)));
                    }
                }
            }
            match schema.member("additionalProperties").filter(|_| !known) {
                Some(Json::Bool(false)) => return fail(at, "additionalProperties"),
                Some(rest) => pass!(self.value(value, rest, (&document, &format!("{}/additionalProperties", at.1)))),
                None => {}
            }
        }
        let has = |name: &Json| matches!(name, Json::String(name) if members.iter().any(|(known, _)| known == name));
        if let Some(Json::Array(names)) = schema.member("required")
            && !names.iter().all(has)
        {
            return fail(at, "required");
        }
        pass!(counted(members.len(), schema, at, ("minProperties", "maxProperties")));
        if let Some(Json::Object(dependencies)) = schema.member("dependencies") {
            for (name, wanted) in dependencies.iter().filter(|(name, _)| members.iter().any(|(known, _)| known == name)) {
                match wanted {
                    Json::Array(names) if !names.iter().all(has) => return fail(at, "dependencies"),
                    Json::Array(_) => {}
                    other => {
                        let whole = Json::Object(members.to_vec());
                        let place = format!("{}/dependencies/{}", at.1, escaped(name));
                        if self.value(&whole, other, (at.0, &place))?.is_err() {
                            return fail(at, "dependencies");
                        }
                    }
                }
            }
        }
        Ok(Ok(()))
    }
}

/// A value of one of the types that are named.
fn is_of(json: &Json, types: Option<&Json>) -> bool {
    let is = |name: &str| match json {
        Json::Null => name == "null",
        Json::Bool(_) => name == "boolean",
        Json::Number(text) => name == "number" || name == "integer" && !text.contains(['.', 'e', 'E']),
        Json::String(_) => name == "string",
        Json::Array(_) => name == "array",
        Json::Object(_) => name == "object",
    };
    match types {
        Some(Json::String(name)) => is(name),
        Some(Json::Array(names)) => names.iter().any(|name| matches!(name, Json::String(name) if is(name))),
        _ => true,
    }
}

/// A number of things between two keywords.
fn counted(count: usize, schema: &Json, at: At<'_>, (least, most): (&'static str, &'static str)) -> Verdict {
    let bound = |keyword: &str| schema.member(keyword).and_then(Json::number);
    if bound(least).is_some_and(|least| (count as f64) < least) {
        return fail(at, least);
    }
    if bound(most).is_some_and(|most| count as f64 > most) {
        return fail(at, most);
    }
    Ok(Ok(()))
}

fn string(text: &str, schema: &Json, at: At<'_>) -> Verdict {
    pass!(counted(text.chars().count(), schema, at, ("minLength", "maxLength")));
    match schema.member("pattern") {
        Some(Json::String(pattern)) if !matches(pattern, text) && is_pattern(pattern) => fail(at, "pattern"),
        _ => Ok(Ok(())),
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    regexp::compiled((pattern, ""), text, |expression| expression.is_in(text)).unwrap_or(false)
}

fn is_pattern(pattern: &str) -> bool {
    regexp::compiled((pattern, ""), "", |_| Ok(())).is_ok()
}

fn number(text: &str, schema: &Json, at: At<'_>) -> Verdict {
    let bound = |keyword: &str| match schema.member(keyword) {
        Some(Json::Number(bound)) => Some(compare(text, bound)),
        _ => None,
    };
    let excluded = |keyword: &str| schema.member(keyword) == Some(&Json::Bool(true));
    for (keyword, exclusive, beyond) in
        [("minimum", "exclusiveMinimum", std::cmp::Ordering::Less), ("maximum", "exclusiveMaximum", std::cmp::Ordering::Greater)]
    {
        match bound(keyword) {
            Some(found) if found == beyond => return fail(at, keyword),
            Some(std::cmp::Ordering::Equal) if excluded(exclusive) => return fail(at, keyword),
            _ => {}
        }
    }
    match schema.member("multipleOf") {
        Some(Json::Number(of)) if !is_multiple(text, of) => fail(at, "multipleOf"),
        _ => Ok(Ok(())),
    }
}

fn exact(text: &str) -> Option<Dec> {
    Dec::parse(text).or_else(|| Dec::of_double(text.parse().ok()?))
}

fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    match (exact(a), exact(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => {
            let real = |text: &str| text.parse::<f64>().unwrap_or(0.0);
            real(a).total_cmp(&real(b))
        }
    }
}

fn is_multiple(text: &str, of: &str) -> bool {
    match (exact(text), exact(of)) {
        (Some(value), Some(of)) if !of.is_zero() => value.modulo(&of).is_some_and(|rest| rest.is_zero()),
        _ => true,
    }
}

/// A name as a step of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
