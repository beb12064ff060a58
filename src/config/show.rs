//! The configuration as the TOML file that would give it: `z4 --print-config`.

use std::fmt::Write;

use super::options::{Config, SPECS};

impl Config {
    /// Every option with its value, by section, as TOML that [`load`](super::load) reads back to the same configuration.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for (n, section) in SPECS.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}# {}", if n == 0 { "" } else { "\n" }, section.title);
            for option in section.options {
                let value = self.get(option.name).unwrap_or_default();
                let value = if option.quoted { quote(&value) } else { value };
                let _ = writeln!(text, "{} = {value}", option.name);
            }
        }
        text
    }
}

/// A TOML basic string.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
