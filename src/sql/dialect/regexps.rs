//! The collations of what the functions of regular expressions are given.

use super::typed::Typed;

/// Functions of regular expressions, how many arguments stand before the match type, and what those are that may be left out: position,
/// occurrence, and so on.
const FUNCTIONS: &[(&str, usize, &[i64])] =
    &[("REGEXP_LIKE", 2, &[]), ("REGEXP_SUBSTR", 4, &[1, 1]), ("REGEXP_INSTR", 5, &[1, 1, 0]), ("REGEXP_REPLACE", 5, &[1, 0])];

/// A `_ci` collation of the text or of the pattern is a match type `i`, against which a match type that is written stands.
pub(super) fn collated(name: &str, mut args: Vec<Typed>) -> Vec<Typed> {
    let Some((_, before, defaults)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else { return args };
    if !args.iter().take(2).any(|arg| arg.ci) || args.len() + defaults.len() < *before {
        return args;
    }
    if let Some(kind) = args.get_mut(*before) {
        kind.sql = format!("('i' || {})", kind.sql);
        return args;
    }
    let missing = before - args.len();
    args.extend(defaults.iter().skip(defaults.len() - missing).map(|default| Typed::int(*default)));
    args.push(Typed::text("i"));
    args
}
