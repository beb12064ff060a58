//! The peer's configuration: one struct, one table of names, defaults and ranges (`options.rs`), four sources.
//!
//! From the strongest to the weakest: flag (`--service-port`), environment variable (`Z4_SERVICE_PORT`), key of the TOML file that
//! `--config` or `Z4_CONFIG` names (`service_port`), default. `--dev` changes a few defaults and nothing else, so every source still
//! wins over it. A name that nobody knows is an error, and so is a value outside its range; only of
//! variables some are passed over with a warning, because other programs share the prefix.

mod command_line;
mod error;
mod nearest;
mod options;
mod show;
mod sources;
mod validate;
mod value;

#[cfg(test)]
mod tests;

pub use error::{ConfigError, Origin};
pub use options::{Config, SPECS, Section, Spec};
pub use sources::{Invocation, load};
pub use value::{LogFormat, OptionValue, Takes, Unit};
