//! The file that says how long the leases were that were granted with this log. On a slow disk they last several times as long as on a quick
//! one (see [`pace`]), and a process that starts anew has to wait for what the one before has granted.
//!
//! `leases` holds the text `z4 raft log, leases up to N times as long` and a checksum. It is written before a lease is told that is longer than
//! what it says, and again when the disk has been quicker for a while. Where it is missing no lease was longer than on a quick disk.

use std::io;

use super::error::LogError;
use super::note;
use super::state::Shared;
use crate::runtime::files::Directory;
use crate::runtime::pace;

const NAME: &str = "leases";
const TITLE: &str = "z4 raft log, leases up to ";
const UNIT: &str = " times as long";

fn text(times: u32) -> String {
    note::sealed(&format!("{TITLE}{times}{UNIT}\n"))
}

fn parse(found: &str) -> Option<u32> {
    let times = found.strip_prefix(TITLE)?.split_once(UNIT)?.0.parse().ok()?;
    (times > 0 && text(times) == found).then_some(times)
}

/// How many times as long leases may have been. Blocks for one small read.
pub(super) fn read(directory: &Directory) -> Result<u32, LogError> {
    Ok(note::read(directory, NAME, parse)?.unwrap_or(1))
}

/// Writes down what the pace asks for, if that is something else.
pub(super) async fn write(log: &Shared) -> io::Result<()> {
    let written = log.leases.get();
    let Some(times) = pace::to_assure(written) else { return Ok(()) };
    // Shorter ones are told before it is written, longer ones after.
    pace::assure(times.min(written));
    note::write(&log.directory, &log.options, NAME, &text(times)).await?;
    log.leases.set(times);
    pace::assure(times);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        assert_eq!(text(8), "z4 raft log, leases up to 8 times as long\ncrc32c ec092273\n");
        for times in [1, 8, 40] {
            assert_eq!(parse(&text(times)), Some(times));
        }
        assert_eq!(parse(&text(8).replacen('8', "4", 1)), None, "its checksum is another one");
        assert_eq!((parse(""), parse(&text(0))), (None, None));
    }
}
