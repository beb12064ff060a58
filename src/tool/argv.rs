//! Flags as Go's tools take them: one dash or two, whatever their length (`-id b`, `-target=h:1`, `--t h:1`), and `-ns` on either side of
//! the subcommand. clap would read `-id` as `-i` with the value `d`, and knows no `--t`.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// Flags whose value is the user's own text, which must not be touched.
const VERBATIM: [&str; 3] = ["--payload", "--meta", "--request-id"];

/// The names of all flags of a command and of its subcommands.
pub struct Flags {
    long: BTreeSet<String>,
    short: BTreeSet<char>,
}

impl Flags {
    /// Those of a command.
    pub fn of(command: &Command) -> Self {
        let mut flags =
            Flags { long: BTreeSet::from(["help".to_owned(), "version".to_owned()]), short: BTreeSet::from(['h', 'V']) };
        flags.add(command);
        flags
    }

    fn add(&mut self, command: &Command) {
        self.long.extend(command.get_arguments().filter_map(Arg::get_long).map(str::to_owned));
        self.short.extend(command.get_arguments().filter_map(Arg::get_short));
        command.get_subcommands().for_each(|subcommand| self.add(subcommand));
    }
}

/// Gives each flag the dashes that clap wants, and puts what was said with `-ns` behind the subcommand as `--namespace`. Everything after
/// `--` stays as it is, and so does the text of a payload, metadata and a request id.
pub fn normalise(argv: impl Iterator<Item = OsString>, flags: &Flags) -> Vec<OsString> {
    let mut normalised: Vec<OsString> = Vec::new();
    let mut namespaces = Vec::new();
    let mut argv = argv.peekable();
    while let Some(arg) = argv.next_if(|arg| arg != "--") {
        let arg = redashed(&arg, flags).unwrap_or(arg);
        match namespace(&arg) {
            Some(Some(value)) => namespaces.push(value),
            Some(None) => namespaces.extend(argv.next()),
            None => {
                let verbatim = VERBATIM.iter().any(|flag| arg == *flag);
                normalised.push(arg);
                if verbatim {
                    normalised.extend(argv.next());
                }
            }
        }
    }
    for namespace in namespaces {
        normalised.extend(["--namespace".into(), namespace]);
    }
    normalised.extend(argv);
    normalised
}

/// `-ns X` has its value behind it, `-ns=X` in it.
fn namespace(arg: &OsStr) -> Option<Option<OsString>> {
    let rest = arg.to_str()?.strip_prefix("--ns")?;
    if rest.is_empty() { Some(None) } else { rest.strip_prefix('=').map(|value| Some(value.into())) }
}

/// A flag with the wrong number of dashes; `None`: it is right, or no flag.
fn redashed(arg: &OsStr, flags: &Flags) -> Option<OsString> {
    let text = arg.to_str()?;
    let flag = text.trim_start_matches('-');
    let name = flag.split('=').next().unwrap_or(flag);
    let mut letters = name.chars();
    match (text.len() - flag.len(), letters.next(), letters.next()) {
        (1, Some(_), Some(_)) if name == "ns" || flags.long.contains(name) => Some(format!("--{flag}").into()),
        (2, Some(letter), None) if flags.short.contains(&letter) => Some(format!("-{flag}").into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::args::Args;
    use super::*;

    fn normalised(line: &str) -> String {
        let argv = normalise(line.split(' ').map(OsString::from), &Flags::of(&Args::command()));
        argv.iter().map(|arg| arg.to_str().expect("ASCII")).collect::<Vec<_>>().join(" ")
    }

    /// Operators type `-id`; a tool that took it for `-i d` would add a peer named `d`, or nothing at all.
    #[test]
    fn one_dash_becomes_two_and_two_become_one() {
        assert_eq!(normalised("z4t -t h:1 -p h:2 -id b add-peer"), "z4t -t h:1 -p h:2 --id b add-peer");
        assert_eq!(normalised("z4t remove-peer -id=b"), "z4t remove-peer --id=b");
        assert_eq!(normalised("z4t remove-peer --id b -idle"), "z4t remove-peer --id b -idle");
        assert_eq!(normalised("z4t --t h:1 --p=h:2 -target h:3 add-peer"), "z4t -t h:1 -p=h:2 --target h:3 add-peer");
        assert_eq!(normalised("z4t consume -namespace=a -ack -limit 3 -na"), "z4t consume --namespace=a --ack --limit 3 -na");
        assert_eq!(normalised("z4t task create --in -5s"), "z4t task create --in -5s");
    }

    #[test]
    fn a_namespace_is_said_on_either_side_of_the_command() {
        for line in
            ["z4t -ns a -t h:1 consume", "z4t -t h:1 consume -ns=a", "z4t --ns=a -t h:1 consume", "z4t -t h:1 consume --ns a"]
        {
            assert_eq!(normalised(line), "z4t -t h:1 consume --namespace a", "{line}");
        }
        assert_eq!(normalised("z4t -ns a task get -- -ns"), "z4t task get --namespace a -- -ns");
    }

    #[test]
    fn values_and_what_follows_two_dashes_stay() {
        for line in ["z4t task create --payload -id", "z4t -- -id", "z4t task create --meta -ns=x --request-id --t"] {
            assert_eq!(normalised(line), line);
        }
    }
}
