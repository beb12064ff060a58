//! ICU's regular expressions, which are MySQL 8.0's, in the words of the crates that search here; what is none is told as MySQL tells it.

use super::pattern::Manner;
use super::weight::{CLASS, LETTER, Weight};
use crate::sql::error::SqlError;

/// What ends a line.
pub(super) const LINE_ENDS: [char; 7] = ['\n', '\u{b}', '\u{c}', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
const ENDS: &str = r"\n\x{0B}\x{0C}\r\x{85}\x{2028}\x{2029}";

/// 3688, at a byte of the pattern.
pub(super) fn wrong_syntax(pattern: &str, at: usize) -> SqlError {
    let before = pattern.get(..at).unwrap_or(pattern);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    SqlError::new(3688, "HY000", format!("Syntax error in regular expression on line {line}, character {column}."))
}

fn wrong(code: u16) -> SqlError {
    let text = match code {
        3689 => "Unrecognized escape sequence in regular expression.",
        3690 => "The regular expression contains a feature that is not implemented in this library version.",
        3691 => "Mismatched parenthesis in regular expression.",
        3692 => "Incorrect description of a {min,max} interval.",
        3693 => "The maximum is less than the minimum in a {min,max} interval.",
        3694 => "Invalid back-reference in regular expression.",
        3696 => "The regular expression contains an unclosed bracket expression.",
        _ => "The regular expression contains an [x-y] character range where x comes after y.",
    };
    SqlError::new(code, "HY000", text)
}

/// A pattern as the crates read it.
pub(super) struct Translated {
    pub(super) pattern: String,
    /// A `$` in it depends on the end of the text.
    pub(super) has_dollar: bool,
    /// `a++`, which the regex crate takes for `(a+)+`.
    pub(super) is_possessive: bool,
    /// Groups that are numbered; those behind the last that was to be kept are not numbered any more.
    pub(super) groups: usize,
    /// They are all kept, for a reference may name any.
    pub(super) keeps_groups: bool,
    /// In how many places of it a search may be at once, about, each counted as often as it is repeated.
    pub(super) weight: usize,
}

/// Translates a pattern for texts that end with the end of a line, or do not. Groups behind the ninth and `groups_max` are kept where the
/// pattern refers to them alone.
///
/// # Errors
/// 3688 to 3697: it is none.
pub(super) fn translated(pattern: &str, manner: Manner, ends_line: bool, groups_max: usize) -> Result<Translated, SqlError> {
    let mut reader = Reader {
        pattern,
        at: 0,
        whole: String::with_capacity(pattern.len() + 16),
        parens: 0,
        groups: groups(pattern),
        opened: 0,
        groups_max: if refers_far(pattern) { usize::MAX } else { groups_max },
        weight: Weight::default(),
        repeatable: false,
        quantified: false,
        is_possessive: false,
        // (?s) and its kin change what a dot is.
        dots: manner.dots || manner.unix || pattern.contains("(?"),
        dollar: (!manner.lines).then_some(ends_line),
        has_dollar: false,
    };
    while let Some(letter) = reader.next() {
        reader.one(letter)?;
    }
    if reader.parens > 0 {
        return Err(wrong(3691));
    }
    Ok(Translated {
        has_dollar: reader.has_dollar,
        is_possessive: reader.is_possessive,
        groups: reader.opened,
        keeps_groups: reader.groups_max == usize::MAX,
        weight: reader.weight.total(manner),
        pattern: reader.whole,
    })
}

/// A reference to a group by its name, or to one behind the ninth, may stand in it.
fn refers_far(pattern: &str) -> bool {
    let far = |three: &[u8]| three.starts_with(b"\\") && three.iter().skip(1).all(u8::is_ascii_digit);
    pattern.contains("\\k") || pattern.as_bytes().windows(3).any(far)
}

/// Groups that are numbered: each `(` that no `?` follows, and those with names.
fn groups(pattern: &str) -> usize {
    let (mut count, mut bytes, mut class) = (0, pattern.bytes().peekable(), false);
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => _ = bytes.next(),
            b'[' => class = true,
            b']' => class = false,
            b'(' if !class && bytes.peek() != Some(&b'?') => count += 1,
            b'<' if !class && bytes.peek().is_some_and(u8::is_ascii_alphabetic) => count += 1,
            _ => {}
        }
    }
    count
}

struct Reader<'a> {
    pattern: &'a str,
    at: usize,
    whole: String,
    /// Open parentheses.
    parens: usize,
    /// Groups that are numbered, in the whole pattern, and up to here.
    groups: usize,
    opened: usize,
    groups_max: usize,
    weight: Weight,
    /// What stands before can be repeated.
    repeatable: bool,
    /// What stands before says how often.
    quantified: bool,
    is_possessive: bool,
    /// `.` is the crates'.
    dots: bool,
    /// Where lines do not count: whether the text ends with the end of one.
    dollar: Option<bool>,
    has_dollar: bool,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.pattern.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    fn eat(&mut self, what: &str) -> bool {
        let there = self.rest().starts_with(what);
        self.at += if there { what.len() } else { 0 };
        there
    }

    fn one(&mut self, letter: char) -> Result<(), SqlError> {
        let begun = self.at - letter.len_utf8();
        let before = std::mem::replace(&mut self.repeatable, true);
        let quantified = std::mem::take(&mut self.quantified);
        match letter {
            '\\' => return self.escape(false),
            '[' => return self.class(),
            '(' => return self.open(begun),
            ')' if self.parens == 0 => return Err(wrong(3691)),
            ')' => {
                self.parens -= 1;
                self.weight.close();
                self.whole.push(')');
            }
            '+' | '?' if quantified => {
                self.is_possessive |= letter == '+';
                self.repeatable = false;
                self.whole.push(letter);
            }
            '*' | '+' | '?' | '{' if !before || quantified => return Err(wrong_syntax(self.pattern, begun)),
            '{' => return self.interval(),
            '*' | '+' | '?' => {
                self.quantified = true;
                self.weight.branch();
                self.whole.push(letter);
            }
            '|' => {
                self.repeatable = false;
                self.weight.branch();
                self.whole.push('|');
            }
            '.' if !self.dots => {
                self.weight.atom(CLASS);
                self.whole.push_str("[^");
                self.whole.push_str(ENDS);
                self.whole.push(']');
            }
            '$' => {
                self.weight.branch();
                self.has_dollar |= self.dollar.is_some();
                self.whole.push_str(if self.dollar == Some(true) {
                    r"(?=(?:\r\n|[\n\x{0B}\x{0C}\r\x{85}\x{2028}\x{2029}])?\z)"
                } else {
                    "$"
                });
            }
            other => {
                self.weight.atom(if matches!(other, '.' | '^') { CLASS } else { LETTER });
                self.whole.push(other);
            }
        }
        Ok(())
    }

    /// What follows a parenthesis.
    fn open(&mut self, begun: usize) -> Result<(), SqlError> {
        self.repeatable = false;
        if self.eat("?#") {
            let end = self.rest().find(')').ok_or_else(|| wrong(3691))?;
            self.at += end + 1;
            self.repeatable = true;
            return Ok(());
        }
        let mut length = if self.rest().starts_with('?') { 1 } else { 0 };
        if length == 1 {
            let rest = self.rest().get(1..).unwrap_or_default();
            length += match rest.chars().next() {
                Some(':' | '=' | '!' | '>') => 1,
                Some('<') if rest.starts_with("<=") || rest.starts_with("<!") => 2,
                Some('<') => rest.find('>').map_or(1, |end| end + 1),
                _ => {
                    let flags = rest.bytes().take_while(|flag| flag.is_ascii_alphabetic() || *flag == b'-').count();
                    let known = rest.get(..flags).is_some_and(|flags| flags.chars().all(|flag| "imsx-".contains(flag)));
                    let end = rest.get(flags..).and_then(|rest| rest.chars().next());
                    match end {
                        Some(')') if known => {
                            self.whole.push_str(self.pattern.get(begun..=self.at + 1 + flags).unwrap_or_default());
                            self.at += flags + 2;
                            return Ok(());
                        }
                        Some(':') if known => flags + 1,
                        _ => return Err(wrong_syntax(self.pattern, begun + 2)),
                    }
                }
            };
        }
        let opening = self.pattern.get(begun..self.at + length).unwrap_or_default();
        self.opened += usize::from(opening == "(" || opening.ends_with('>') && opening != "(?>");
        let dropped = opening == "(" && self.opened > self.groups_max;
        self.whole.push_str(if dropped { "(?:" } else { opening });
        self.at += length;
        self.parens += 1;
        self.weight.open();
        Ok(())
    }

    /// `{n}`, `{n,}` and `{n,m}`.
    fn interval(&mut self) -> Result<(), SqlError> {
        let end = self.rest().find('}').ok_or_else(|| wrong(3692))?;
        let inner = self.rest().get(..end).unwrap_or_default().trim();
        let (least, most) = match inner.split_once(',') {
            Some((least, most)) => (least, Some(most)),
            None => (inner, None),
        };
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| wrong(3692));
        let least = number(least)?;
        let written = match most.map(str::trim) {
            None => format!("{{{least}}}"),
            Some("") => format!("{{{least},}}"),
            Some(most) => {
                let most = number(most)?;
                if most < least {
                    return Err(wrong(3693));
                }
                format!("{{{least},{most}}}")
            }
        };
        let times = most.and_then(|most| most.trim().parse().ok()).unwrap_or(least);
        self.weight.repeat(usize::try_from(times).unwrap_or(usize::MAX));
        self.whole.push_str(&written);
        self.at += end + 1;
        self.quantified = true;
        Ok(())
    }

    /// Brackets, whose first one was read.
    fn class(&mut self) -> Result<(), SqlError> {
        self.weight.atom(CLASS);
        let mut depth = 1_usize;
        self.enter();
        let mut last = None;
        while let Some(letter) = self.next() {
            match letter {
                '\\' => self.escape(true)?,
                '[' => match self.posix() {
                    Some(known) => self.whole.push_str(&known),
                    None => {
                        depth += 1;
                        self.enter();
                    }
                },
                ']' => {
                    self.whole.push(']');
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                '-' => {
                    let until = self.peek().filter(|until| !matches!(until, '[' | ']' | '\\' | '-'));
                    if last.zip(until).is_some_and(|(from, until)| until < from) {
                        return Err(wrong(3697));
                    }
                    self.whole.push('-');
                }
                other => self.whole.push(other),
            }
            last = Some(letter).filter(|letter| !matches!(letter, '\\' | '[' | ']' | '-' | '&'));
        }
        Err(wrong(3696))
    }

    /// The head of brackets: one that stands first is a letter.
    fn enter(&mut self) {
        self.whole.push('[');
        if self.eat("^") {
            self.whole.push('^');
        }
        if self.eat("]") {
            self.whole.push_str("\\]");
        }
    }

    /// `[:alpha:]` and its kin, inside brackets.
    fn posix(&mut self) -> Option<String> {
        let (name, _) = self.rest().strip_prefix(':')?.split_once(":]")?;
        let length = name.len() + 3;
        let (not, name) = name.strip_prefix('^').map_or(("", name), |name| ("^", name));
        let inner = match name {
            "alpha" => r"\p{Alphabetic}",
            "alnum" => r"\p{Alphabetic}\p{Nd}",
            "digit" => r"\p{Nd}",
            "lower" => r"\p{Lowercase}",
            "upper" => r"\p{Uppercase}",
            "space" => r"\s",
            "blank" => r"\t\p{Zs}",
            "cntrl" => r"\p{Cc}",
            "punct" => r"\p{P}",
            "xdigit" => r"\p{Nd}\p{Hex_Digit}",
            "graph" => r"\p{L}\p{M}\p{N}\p{P}\p{S}\p{Cf}\p{Co}",
            "print" => r"\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}\p{Cf}\p{Co}",
            "word" => r"\w",
            _ => return None,
        };
        self.at += length;
        Some(format!("[{not}{inner}]"))
    }

    /// What follows a backslash.
    fn escape(&mut self, class: bool) -> Result<(), SqlError> {
        let Some(letter) = self.next() else { return Err(wrong(3689)) };
        if !class {
            self.weight.atom(match letter {
                'Q' | 'E' => 0,
                letter if letter.is_ascii_alphanumeric() => CLASS,
                _ => LETTER,
            });
        }
        match letter {
            'Q' => {
                let (literal, length) = match self.rest().split_once("\\E") {
                    Some((literal, _)) => (literal, literal.len() + 2),
                    None => (self.rest(), self.rest().len()),
                };
                let (weight, literal) = (if class { 0 } else { literal.len() }, regex::escape(literal));
                self.weight.atom(weight);
                self.whole.push_str(&literal);
                self.at += length;
            }
            'E' => {}
            'e' => self.whole.push_str(r"\x{1B}"),
            'h' => self.whole.push_str(r"[\t\p{Zs}]"),
            'H' => self.whole.push_str(r"[^\t\p{Zs}]"),
            'v' => _ = std::fmt::Write::write_fmt(&mut self.whole, format_args!("[{ENDS}]")),
            'V' => _ = std::fmt::Write::write_fmt(&mut self.whole, format_args!("[^{ENDS}]")),
            'R' if !class => _ = std::fmt::Write::write_fmt(&mut self.whole, format_args!(r"(?:\r\n|[{ENDS}])")),
            'Z' if !class => _ = std::fmt::Write::write_fmt(&mut self.whole, format_args!(r"(?=(?:\r\n|[{ENDS}])?\z)")),
            '0' => {
                let digits = self.rest().bytes().take(3).take_while(|digit| matches!(digit, b'0'..=b'7')).count();
                let value = self.rest().get(..digits).and_then(|digits| u32::from_str_radix(digits, 8).ok());
                let value = value.ok_or_else(|| wrong(3689))?;
                _ = std::fmt::Write::write_fmt(&mut self.whole, format_args!(r"\x{{{value:X}}}"));
                self.at += digits;
            }
            '1'..='9' if !class => {
                let mut number = letter.to_digit(10).unwrap_or_default() as usize;
                if number > self.groups {
                    return Err(wrong(3694));
                }
                while let Some(digit) = self.peek().and_then(|digit| digit.to_digit(10)) {
                    let longer = number * 10 + digit as usize;
                    if longer > self.groups {
                        break;
                    }
                    number = longer;
                    self.at += 1;
                }
                _ = std::fmt::Write::write_fmt(&mut self.whole, format_args!(r"(?:\{number})"));
            }
            'N' | 'X' => return Err(wrong(3690)),
            'a' | 'b' | 'd' | 'D' | 'f' | 'n' | 'p' | 'P' | 'r' | 's' | 'S' | 't' | 'u' | 'U' | 'w' | 'W' | 'x' => {
                self.whole.extend(['\\', letter]);
            }
            'A' | 'B' | 'G' | 'k' | 'z' if !class => self.whole.extend(['\\', letter]),
            ' ' | '#' => self.whole.extend(['\\', letter]),
            letter if letter.is_ascii_alphabetic() => return Err(wrong(3689)),
            other => {
                let literal = regex::escape(other.encode_utf8(&mut [0; 4]));
                self.whole.push_str(&literal);
            }
        }
        Ok(())
    }
}
