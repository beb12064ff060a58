//! The four sources and their order.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::command_line::{CONFIG, CONFIG_VARIABLE, DEV, PRINT_CONFIG, command};
use super::error::{ConfigError, Origin};
use super::nearest::{closest, nearest};
use super::options::{Config, Spec};
use crate::process::text_file;

/// What the process was started to do.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The configuration, valid.
    pub config: Config,
    /// Print it and exit.
    pub print_config: bool,
    /// Environment variables that begin like ours and are none: worth a warning each.
    pub unknown_variables: Vec<String>,
}

/// A configuration file is no larger.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A name so close to an option's is meant for it: insertions, deletions and replacements of characters.
const TYPO_CHARACTERS_MAX: usize = 2;

/// What `--dev` changes: the defaults, so that every source still wins over it.
const DEV_DEFAULTS: [(&str, &str); 4] =
    [("peer_id", "dev"), ("bind_address", "127.0.0.1"), ("bootstrap_cluster", "true"), ("log_format", "text")];

/// Reads the configuration from command line arguments (the first is the program's name), environment variables, and the file that
/// these name; then checks it as a whole.
pub fn load(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Invocation, ConfigError> {
    let flags = command().try_get_matches_from(arguments).map_err(Box::new)?;
    let variables = our_variables(variables)?;
    let mut config = Config::default();
    if flags.get_flag(DEV) {
        for (name, value) in DEV_DEFAULTS {
            config.take(name, value, Origin::Flag(DEV.into()))?;
        }
    }
    if let Some(file) = config_file(&flags, &variables) {
        take_file(&mut config, &file)?;
    }
    let mut unknown_variables = Vec::new();
    for (variable, value) in variables.iter().filter(|(variable, _)| variable != CONFIG_VARIABLE) {
        match Spec::all().find(|s| s.variable() == *variable) {
            Some(spec) => config.take(spec.name, value, Origin::Variable(variable.clone()))?,
            None => unknown_variables.push(unless_a_typo(variable)?),
        }
    }
    for spec in Spec::all() {
        if let Some(value) = flags.get_one::<String>(spec.name) {
            config.take(spec.name, value, Origin::Flag(spec.flag()))?;
        }
    }
    config.validate()?;
    Ok(Invocation { config, print_config: flags.get_flag(PRINT_CONFIG), unknown_variables })
}

impl Config {
    fn take(&mut self, name: &str, value: &str, origin: Origin) -> Result<(), ConfigError> {
        self.set(name, value).ok_or_else(|| {
            let takes = Spec::all().find(|s| s.name == name).map(Spec::range).unwrap_or_default();
            ConfigError::Value { origin, value: value.to_owned(), takes }
        })
    }
}

/// The variables that begin with `Z4_` and are not empty, as text.
fn our_variables(all: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>, ConfigError> {
    let mut ours = Vec::new();
    for (variable, value) in all {
        let Some(variable) = variable.to_str().filter(|v| v.starts_with("Z4_")) else { continue };
        let origin = Origin::Variable(variable.to_owned());
        match value.into_string() {
            Ok(value) if value.is_empty() || is_service_link(variable) => {}
            Ok(value) => ours.push((variable.to_owned(), value)),
            Err(value) => {
                let value = value.to_string_lossy().into_owned();
                return Err(ConfigError::Value { origin, value, takes: "text in UTF-8".into() });
            }
        }
    }
    Ok(ours)
}

/// Kubernetes tells each container about the services of its namespace in variables. Those of a service called `z4` or `z4-...` begin
/// like ours; they are not meant for us.
fn is_service_link(variable: &str) -> bool {
    let known = Spec::all().any(|s| s.variable() == variable);
    let of_port = variable.split("_PORT_").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    !known && (of_port || variable == "Z4_PORT" || variable.ends_with("_SERVICE_HOST") || variable.contains("_SERVICE_PORT"))
}

fn config_file(flags: &ArgMatches, variables: &[(String, String)]) -> Option<PathBuf> {
    let variable = || variables.iter().find(|(v, _)| v == CONFIG_VARIABLE).map(|(_, file)| PathBuf::from(file));
    flags.get_one::<PathBuf>(CONFIG).cloned().or_else(variable)
}

/// Image names, versions and whatever else is deployed beside z4 may begin with `Z4_`: these are none of ours, unless a letter or two is
/// wrong.
fn unless_a_typo(variable: &str) -> Result<String, ConfigError> {
    let known = Spec::all().map(Spec::variable).chain([CONFIG_VARIABLE.to_owned()]);
    match closest(variable, known) {
        Some((distance, meant)) if distance <= TYPO_CHARACTERS_MAX => {
            Err(ConfigError::Unknown { origin: Origin::Variable(variable.to_owned()), nearest: Some(meant) })
        }
        _ => Ok(variable.to_owned()),
    }
}

fn take_file(config: &mut Config, file: &Path) -> Result<(), ConfigError> {
    let text = text_file::read(file, FILE_BYTES_MAX).map_err(|source| ConfigError::Unreadable { file: file.into(), source })?;
    let table: toml::Table = text.parse().map_err(|error| ConfigError::syntax(file, &text, &error))?;
    for (key, value) in &table {
        let origin = Origin::File { key: key.clone(), file: file.into() };
        if !Spec::all().any(|s| s.name == key) {
            return Err(ConfigError::Unknown { origin, nearest: nearest(key, Spec::all().map(|s| s.name.to_owned())) });
        }
        // Lists, tables and the like are no option's value: their text is refused as one.
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(yes) => yes.to_string(),
            other => format!("a TOML {}", other.type_str()),
        };
        config.take(key, &text, origin)?;
    }
    Ok(())
}
