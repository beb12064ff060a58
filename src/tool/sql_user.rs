//! `sql-user`: a line for the file that `Z4_SQL_USERS` names. It asks no peer.

use std::io::{self, BufRead, BufReader, IsTerminal, Read};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde::Serialize;

use super::error::ToolError;
use super::output::{Output, Show};
use crate::sql::wire::users;

/// A password is no longer; more of the input is not read.
const PASSWORD_BYTES_MAX: u64 = 4_096;

/// Reads the password and prints the line.
pub fn execute(out: &mut Output, name: &str) -> Result<(), ToolError> {
    let password = if io::stdin().is_terminal() { ask(name) } else { first_line(io::stdin().lock()) };
    let password = password.map_err(ToolError::Password)?;
    let line = users::line(name, &password).map_err(ToolError::Usage)?;
    out.show(&LineView { line })
}

/// From a person, who sees nothing of it.
fn ask(name: &str) -> io::Result<String> {
    eprint!("Password for {name}: ");
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes -= LocalModes::ECHO;
    tcsetattr(&stdin, OptionalActions::Now, &hidden)?;
    let password = first_line(stdin.lock());
    tcsetattr(&stdin, OptionalActions::Now, &shown)?;
    eprintln!();
    password
}

/// Ends with the line, on a terminal, too.
fn first_line(input: impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    BufReader::new(input.take(PASSWORD_BYTES_MAX)).read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8(line.to_vec()).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8"))
}

#[derive(Serialize)]
struct LineView {
    line: String,
}

impl Show for LineView {
    fn human(&self) -> String {
        self.line.clone()
    }
}

#[cfg(test)]
mod tests {
    //! The password is the first line of the input, without its end; spaces in it count.
    use super::*;

    #[test]
    fn a_password_is_one_line() {
        for (input, expected) in [("secret", "secret"), ("secret\n", "secret"), (" a b \r\nmore", " a b "), ("", ""), ("\nx", "")]
        {
            assert_eq!(first_line(input.as_bytes()).expect("text"), expected, "{input:?}");
        }
        assert!(first_line(&b"\xff\n"[..]).is_err());
        let long = "x".repeat(10_000);
        assert_eq!(first_line(long.as_bytes()).expect("text").len() as u64, PASSWORD_BYTES_MAX);
    }
}
