//! What can be wrong with a configuration. Every message names the option, the value and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag; its name without dashes.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// A key of the TOML file.
    File {
        /// The key.
        key: String,
        /// The file.
        file: PathBuf,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(flag) => write!(f, "--{flag}"),
            Origin::Variable(variable) => f.write_str(variable),
            Origin::File { key, file } => write!(f, "{key} in {}", file.display()),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line was not understood, or it asked for the help or the version.
    #[error(transparent)]
    CommandLine(#[from] Box<clap::Error>),
    /// The configuration file cannot be read.
    #[error("the configuration file {} cannot be read", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration file is no TOML.
    #[error("the configuration file {} is not valid TOML: {}{why}", file.display(), place.map(|(line, column)| format!("line {line}, column {column}: ")).unwrap_or_default())]
    Syntax {
        /// Which.
        file: PathBuf,
        /// Line and column, both from 1, where the parser says so.
        place: Option<(usize, usize)>,
        /// What is wrong there.
        why: String,
    },
    /// A name that no option has.
    #[error("{origin} is unknown{}; z4 --help lists what there is", nearest.as_ref().map(|n| format!(", {n} is known")).unwrap_or_default())]
    Unknown {
        /// Where the name stands.
        origin: Origin,
        /// A known name that looks like it.
        nearest: Option<String>,
    },
    /// A value that the option does not take.
    #[error("{origin} is {value:?}; it takes {takes}")]
    Value {
        /// Where the value stands.
        origin: Origin,
        /// The value.
        value: String,
        /// What would be right, with the unit.
        takes: String,
    },
    /// Values that do not go together, or a text of a wrong form.
    #[error("{option} is {value}; {rule}")]
    Rule {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What must hold.
        rule: String,
    },
}

impl ConfigError {
    /// What the parser says, with the place in lines and columns.
    pub(super) fn syntax(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let before = error.span().and_then(|span| text.get(..span.start));
        let place = before.map(|before| {
            let line = before.rsplit('\n').next().unwrap_or(before);
            (before.matches('\n').count() + 1, line.chars().count() + 1)
        });
        ConfigError::Syntax { file: file.to_owned(), place, why: error.message().replace('\n', " ") }
    }
}
