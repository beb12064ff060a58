//! What an option can be: how its text is read and written, and what it takes.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// What an option takes, besides being of its type.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// A whole number from the first to the second, both included.
    Range(u64, u64),
    /// What the text says; the type and [`Config::validate`](super::Config::validate) check it.
    Text(&'static str),
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// No unit, or not a number.
    None,
    /// Bytes; KiB, MiB and GiB may follow the number.
    Bytes,
    /// Milliseconds.
    Ms,
}

impl Unit {
    /// The unit after a number, with the space before it.
    pub fn suffix(self) -> &'static str {
        match self {
            Unit::None => "",
            Unit::Bytes => " bytes",
            Unit::Ms => " ms",
        }
    }
}

/// `"1 to 64 bytes"`, or the text.
pub(super) fn describe(takes: Takes, unit: Unit) -> String {
    match takes {
        Takes::Range(from, to) => format!("{from} to {to}{}", unit.suffix()),
        Takes::Text(text) => text.to_owned(),
    }
}

/// A type that an option can have.
pub trait OptionValue: Sized {
    /// Reads a value; `None`: the text is none.
    fn parse(text: &str, unit: Unit) -> Option<Self>;
    /// Writes it so that [`OptionValue::parse`] reads it back.
    fn show(&self) -> String;
    /// The number to compare with [`Takes::Range`].
    fn number(&self) -> Option<u64> {
        None
    }
    /// TOML wants quotes around it.
    const QUOTED: bool = true;
    /// The flag may stand alone and then means this.
    const ALONE: Option<&'static str> = None;
    /// What stands for the value in the help.
    const PLACEHOLDER: &'static str;
}

/// `65536`, `64KiB`, `64 KiB` as bytes. A number too large for 64 bits is none.
fn bytes(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(at);
    let shift = match suffix.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

macro_rules! whole_numbers {
    ($($t:ty),*) => {$(
        impl OptionValue for $t {
            fn parse(text: &str, unit: Unit) -> Option<Self> {
                match unit {
                    Unit::Bytes => bytes(text)?.try_into().ok(),
                    _ => text.parse().ok(),
                }
            }
            fn show(&self) -> String {
                self.to_string()
            }
            fn number(&self) -> Option<u64> {
                u64::try_from(*self).ok()
            }
            const QUOTED: bool = false;
            const PLACEHOLDER: &'static str = "N";
        }
    )*};
}

whole_numbers!(u16, u64, usize);

impl OptionValue for bool {
    fn parse(text: &str, _: Unit) -> Option<Self> {
        match text {
            "true" | "True" | "TRUE" | "t" | "T" | "1" => Some(true),
            "false" | "False" | "FALSE" | "f" | "F" | "0" => Some(false),
            _ => None,
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
    const QUOTED: bool = false;
    const ALONE: Option<&'static str> = Some("true");
    const PLACEHOLDER: &'static str = "true|false";
}

impl OptionValue for String {
    fn parse(text: &str, _: Unit) -> Option<Self> {
        Some(text.to_owned())
    }
    fn show(&self) -> String {
        self.clone()
    }
    const PLACEHOLDER: &'static str = "TEXT";
}

impl OptionValue for PathBuf {
    fn parse(text: &str, _: Unit) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }
    fn show(&self) -> String {
        self.display().to_string()
    }
    const PLACEHOLDER: &'static str = "PATH";
}

impl OptionValue for IpAddr {
    fn parse(text: &str, _: Unit) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        self.to_string()
    }
    const PLACEHOLDER: &'static str = "IP";
}

/// The form of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// One JSON object per line.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}

impl OptionValue for LogFormat {
    fn parse(text: &str, _: Unit) -> Option<Self> {
        match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
    const PLACEHOLDER: &'static str = "text|json";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_counts_take_binary_suffixes() {
        for (text, value) in [("0", 0), ("7B", 7), ("1KiB", 1024), ("4 MiB", 4 << 20), ("2GiB", 2 << 30)] {
            assert_eq!(u64::parse(text, Unit::Bytes), Some(value), "{text}");
        }
        for text in ["", "KiB", "1KB", "1 kib", "-1", "1.5MiB", "99999999999999999999", "17179869184GiB"] {
            assert_eq!(u64::parse(text, Unit::Bytes), None, "{text}");
        }
        assert_eq!(u64::parse("1KiB", Unit::Ms), None, "only bytes have them");
        assert_eq!(u16::parse("70000", Unit::None), None);
    }
}
