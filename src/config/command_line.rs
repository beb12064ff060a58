//! The command line and its help, built from the table of options.

use clap::{Arg, ArgAction, Command, ValueHint};

use super::options::{Config, SPECS, Spec};

pub(super) const CONFIG: &str = "config";
pub(super) const CONFIG_VARIABLE: &str = "Z4_CONFIG";
pub(super) const DEV: &str = "dev";
pub(super) const PRINT_CONFIG: &str = "print-config";

const ABOUT: &str = "A peer of z4, the distributed database for tasks.";

const SOURCES: &str = "\
Each option is a flag, an environment variable and a key of the TOML file, in that order of strength: --service-port 7000,
Z4_SERVICE_PORT=7000, service_port = 7000. Unknown names and values outside their range are errors; a Z4_ variable that is like no
option's is a warning. Numbers of bytes take KiB, MiB
and GiB. An empty environment variable counts as unset.

Exit status: 0 stopped as asked; 64 configuration; 69 the machine refuses (directory locked, port taken, io_uring missing);
70 internal error; 74 storage failed or damaged; 130 stopped at once by a second signal.";

pub(super) fn command() -> Command {
    let config = Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("FILE")
        .value_hint(ValueHint::FilePath)
        .value_parser(clap::value_parser!(std::path::PathBuf))
        .help(format!("A TOML file with options [env: {CONFIG_VARIABLE}]"));
    let dev = Arg::new(DEV).long(DEV).action(ArgAction::SetTrue).help(
        "A single peer that needs no configuration: changes the defaults to peer id \"dev\", 127.0.0.1 alone, a cluster of its own, \
         logs as text; the directories and ports stay, and so does what is in them",
    );
    let print = Arg::new(PRINT_CONFIG)
        .long(PRINT_CONFIG)
        .action(ArgAction::SetTrue)
        .help("Print the configuration as it would be used, as a TOML file, and exit");
    let defaults = Config::default();
    let options = SPECS.iter().flat_map(|section| section.options.iter().map(|o| argument(o, section.title, &defaults)));
    Command::new("z4")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(SOURCES)
        .next_line_help(true)
        .max_term_width(120)
        .args([config, dev, print])
        .args(options)
}

fn argument(spec: &Spec, section: &'static str, defaults: &Config) -> Arg {
    let default = defaults.get(spec.name).unwrap_or_default();
    let help = spec.help.trim();
    let facts = format!("[env: {}] [default: {default}{}] [{}]", spec.variable(), spec.unit.suffix(), spec.range());
    let arg = Arg::new(spec.name)
        .long(spec.flag())
        .value_name(spec.placeholder)
        .help_heading(section)
        .help(format!("{help}\n{facts}"))
        // A flag is no value: `--service-port --dev` lacks one.
        .allow_negative_numbers(true)
        .overrides_with(spec.name);
    match spec.alone {
        Some(alone) => arg.num_args(0..=1).require_equals(true).default_missing_value(alone),
        None => arg,
    }
}
