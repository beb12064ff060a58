//! Flags with one dash. `-t` and `-p` are ordinary short flags, `-id` is not: clap would read it as `-i` with the value `d`.

use std::ffi::{OsStr, OsString};

/// Flags whose value is the user's own text, which must not be touched.
const VERBATIM: [&str; 3] = ["--payload", "--meta", "--request-id"];

/// Rewrites `-id X` and `-id=X` to `--id X` and `--id=X`; everything after `--` stays as it is.
pub fn normalise(argv: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut normalised: Vec<OsString> = Vec::new();
    let mut literal = false;
    for arg in argv {
        let value = normalised.last().is_some_and(|before| VERBATIM.iter().any(|flag| before == OsStr::new(flag)));
        let rewritten = if literal || value { None } else { two_dashes(&arg) };
        literal |= !value && arg == "--";
        normalised.push(rewritten.unwrap_or(arg));
    }
    normalised
}

fn two_dashes(arg: &OsStr) -> Option<OsString> {
    let rest = arg.to_str()?.strip_prefix("-id")?;
    (rest.is_empty() || rest.starts_with('=')).then(|| format!("--id{rest}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(line: &str) -> String {
        let argv = normalise(line.split(' ').map(OsString::from));
        argv.iter().map(|arg| arg.to_str().expect("ASCII")).collect::<Vec<_>>().join(" ")
    }

    /// Operators type `-id`; a tool that took it for `-i d` would add a peer named `d`, or nothing at all.
    #[test]
    fn one_dash_id_becomes_two() {
        assert_eq!(normalised("z4t -t h:1 -p h:2 -id b add-peer"), "z4t -t h:1 -p h:2 --id b add-peer");
        assert_eq!(normalised("z4t remove-peer -id=b"), "z4t remove-peer --id=b");
        assert_eq!(normalised("z4t remove-peer --id b -idle"), "z4t remove-peer --id b -idle");
    }

    #[test]
    fn values_and_what_follows_two_dashes_stay() {
        assert_eq!(normalised("z4t task create --payload -id"), "z4t task create --payload -id");
        assert_eq!(normalised("z4t -- -id"), "z4t -- -id");
    }
}
