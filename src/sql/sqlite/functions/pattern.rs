//! A regular expression of MySQL's: the regex crate's, whose time is linear; one with look-around, back references or atomic groups is
//! searched by going back, within bounds.

use fancy_regex::{Error, RuntimeError};
use regex::{Regex, RegexBuilder};

use super::icu::{self, Translated, translated};
use crate::sql::error::SqlError;

/// Bytes of a compiled expression, and of what it keeps while it searches.
const COMPILED_MAX: usize = 1 << 20;
/// Bytes of an expression: some that are none take the square of their length to be found out.
const PATTERN_MAX: usize = 8 << 10;
/// Bytes that one search may look at, each as often as the pattern has places where it may be meant, about.
const SEARCHED_MAX: usize = 1 << 28;
/// Bytes that a search which goes back may look at, about: steps back times the length of the text.
const BACKTRACKED_MAX: usize = 1 << 30;
/// The same, each byte as often as above.
const BACKTRACKED_PLACES_MAX: usize = 1 << 31;
/// Groups whose places are told, times the weight of the pattern: a search keeps as many places for each step that it may be at.
const GROUPS_MAX: usize = 1 << 16;
/// More groups are never told.
const GROUPS_TOLD_MAX: usize = 99;
/// So many are told, whatever the weight.
const GROUPS_TOLD_LEAST: usize = 9;
/// Steps back in one search, whatever the text.
const STEPS_MAX: usize = 1_000_000;
/// Bytes of a text that is searched by going back.
const TEXT_MAX: usize = 1 << 20;

/// How a pattern is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Manner {
    /// Without regard to case.
    pub(super) ci: bool,
    /// `^` and `$` stand for the ends of lines, too.
    pub(super) lines: bool,
    /// `.` stands for ends of lines, too.
    pub(super) dots: bool,
    /// Only \n ends a line.
    pub(super) unix: bool,
}

impl Manner {
    /// A match type of letters out of "cimnu"; MySQL's collation here is case-sensitive.
    ///
    /// # Errors
    /// 3900: another letter.
    pub(super) fn of(kind: &str) -> Result<Manner, SqlError> {
        let mut manner = Manner::default();
        for letter in kind.chars() {
            match letter {
                'c' => manner.ci = false,
                'i' => manner.ci = true,
                'm' => manner.lines = true,
                'n' => manner.dots = true,
                'u' => manner.unix = true,
                _ => return Err(SqlError::new(3900, "HY000", "Invalid match mode flag in regular expression.")),
            }
        }
        Ok(manner)
    }
}

/// What an expression is compiled for.
#[derive(Clone, Copy)]
pub(super) struct Subject {
    /// Bytes of the text.
    bytes: usize,
    /// It ends with the end of a line, before which `$` stands as well.
    ends_line: bool,
}

impl Subject {
    pub(super) fn of(text: &str) -> Subject {
        Subject { bytes: text.len(), ends_line: text.ends_with(icu::LINE_ENDS) }
    }
}

enum Engine {
    Linear(Regex),
    Backtracking {
        expression: Box<fancy_regex::Regex>,
        /// Bytes of a text for which the bound of its steps was made.
        text_max: usize,
    },
}

/// A compiled expression.
pub(super) struct Pattern {
    engine: Engine,
    /// It has a `$`, and was compiled for texts that end so.
    dollar: Option<bool>,
    /// See [`Translated`].
    weight: usize,
    /// Groups as they are written.
    groups: usize,
}

/// 3700.
pub(super) fn too_big() -> SqlError {
    SqlError::new(3700, "HY000", "The regular expression pattern exceeds limits on size or complexity.")
}

/// Where a match, or a group of it, begins and ends, bytes.
pub(super) type Place = (usize, usize);

impl Pattern {
    /// Compiles a pattern for texts like this one.
    ///
    /// # Errors
    /// 3685 to 3697: it is none; 3700: it is too long.
    pub(super) fn new(pattern: &str, manner: Manner, subject: Subject) -> Result<Pattern, SqlError> {
        if pattern.is_empty() {
            return Err(SqlError::new(3685, "HY000", "Illegal argument to a regular expression."));
        }
        if pattern.len() > PATTERN_MAX {
            return Err(too_big());
        }
        let read = |groups_max| translated(pattern, manner, subject.ends_line, groups_max);
        let mut read_once = read(GROUPS_TOLD_MAX)?;
        let told = if read_once.keeps_groups { read_once.groups } else { read_once.groups.min(GROUPS_TOLD_MAX) };
        if told > GROUPS_TOLD_LEAST && read_once.weight.saturating_mul(told) > GROUPS_MAX {
            if read_once.keeps_groups {
                return Err(too_big());
            }
            read_once = read(GROUPS_TOLD_LEAST)?;
        }
        let Translated { pattern: translated, has_dollar, is_possessive, groups, weight, .. } = read_once;
        let dollar = has_dollar.then_some(subject.ends_line);
        let linear = RegexBuilder::new(&translated)
            .case_insensitive(manner.ci)
            .multi_line(manner.lines)
            .crlf(manner.lines && !manner.unix)
            .dot_matches_new_line(manner.dots)
            .size_limit(COMPILED_MAX)
            .dfa_size_limit(COMPILED_MAX)
            .build();
        match linear {
            Ok(expression) if !is_possessive => {
                return Ok(Pattern { engine: Engine::Linear(expression), dollar, weight, groups });
            }
            Err(regex::Error::CompiledTooBig(_)) => return Err(too_big()),
            _ => {}
        }
        // The next power of two, so that rows of about the same length share an expression.
        let text_max = subject.bytes.max(1 << 10).checked_next_power_of_two().unwrap_or(usize::MAX);
        let built = fancy_regex::RegexBuilder::new(&translated)
            .case_insensitive(manner.ci)
            .multi_line(manner.lines)
            .crlf(manner.lines && !manner.unix)
            .dot_matches_new_line(manner.dots)
            .backtrack_limit((BACKTRACKED_MAX / text_max).min(BACKTRACKED_PLACES_MAX / text_max / weight).min(STEPS_MAX))
            .delegate_size_limit(COMPILED_MAX)
            .delegate_dfa_size_limit(COMPILED_MAX)
            .max_prog_size(PATTERN_MAX)
            .build();
        match built {
            Ok(expression) => {
                let engine = Engine::Backtracking { expression: Box::new(expression), text_max };
                Ok(Pattern { engine, dollar, weight, groups })
            }
            Err(Error::ParseError(at, _)) => Err(icu::wrong_syntax(pattern, at)),
            Err(_) => Err(icu::wrong_syntax(pattern, pattern.len())),
        }
    }

    /// It may be used for such a text.
    pub(super) fn suits(&self, subject: Subject) -> bool {
        let long = match self.engine {
            Engine::Linear(_) => true,
            Engine::Backtracking { text_max, .. } => subject.bytes <= text_max && text_max <= (2 * subject.bytes).max(1 << 10),
        };
        long && self.dollar.is_none_or(|ends_line| ends_line == subject.ends_line)
    }

    /// How many groups it has; fewer may be told where it is large.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// A search through so many bytes, which nothing interrupts, is not too long.
    fn affords(&self, bytes: usize) -> Result<(), SqlError> {
        if self.weight.saturating_mul(bytes) > SEARCHED_MAX { Err(timed_out()) } else { Ok(()) }
    }

    /// Whether it is found.
    ///
    /// # Errors
    /// 3699: the search took too long.
    pub(super) fn is_in(&self, text: &str) -> Result<bool, SqlError> {
        match &self.engine {
            Engine::Linear(expression) => self.affords(text.len()).map(|()| expression.is_match(text)),
            Engine::Backtracking { expression, .. } => {
                bounded(text)?;
                expression.is_match(text).map_err(too_long)
            }
        }
    }

    /// The first match from a place on.
    ///
    /// # Errors
    /// 3699: the search took too long.
    pub(super) fn find_at(&self, text: &str, at: usize) -> Result<Option<Place>, SqlError> {
        match &self.engine {
            Engine::Linear(expression) => {
                self.affords(text.len().saturating_sub(at))?;
                Ok(expression.find_at(text, at).map(|found| (found.start(), found.end())))
            }
            Engine::Backtracking { expression, .. } => {
                bounded(text)?;
                let found = expression.find_from_pos(text, at).map_err(too_long)?;
                Ok(found.map(|found| (found.start(), found.end())))
            }
        }
    }

    /// The groups of the first match from a place on, the whole of it first.
    ///
    /// # Errors
    /// 3699: the search took too long.
    pub(super) fn groups_at(&self, text: &str, at: usize) -> Result<Option<Vec<Option<Place>>>, SqlError> {
        match &self.engine {
            Engine::Linear(expression) => {
                self.affords(text.len().saturating_sub(at))?;
                let groups = expression.captures_at(text, at);
                Ok(groups.map(|groups| groups.iter().map(|group| group.map(|group| (group.start(), group.end()))).collect()))
            }
            Engine::Backtracking { expression, .. } => {
                bounded(text)?;
                let groups = expression.captures_from_pos(text, at).map_err(too_long)?;
                Ok(groups.map(|groups| groups.iter().map(|group| group.map(|group| (group.start(), group.end()))).collect()))
            }
        }
    }
}

fn timed_out() -> SqlError {
    SqlError::new(3699, "HY000", "Timeout exceeded in regular expression match.")
}

fn bounded(text: &str) -> Result<(), SqlError> {
    if text.len() > TEXT_MAX { Err(timed_out()) } else { Ok(()) }
}

fn too_long(error: Error) -> SqlError {
    match error {
        Error::RuntimeError(RuntimeError::BacktrackLimitExceeded) => timed_out(),
        _ => SqlError::new(3698, "HY000", "Overflow in the regular expression backtrack stack."),
    }
}
