//! Where answers are printed. Nothing here panics on a closed pipe: a failed write is an error like any other.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::args::Form;
use super::error::ToolError;

/// An answer that has a form for people; its JSON form comes from `Serialize`.
pub trait Show: Serialize {
    /// One or more lines, without the last line break.
    fn human(&self) -> String;
}

/// Standard output in the form that the user asked for.
pub struct Output {
    json: bool,
    stdout: io::Stdout,
}

impl Output {
    /// The form that was asked for; without a wish what is right for who reads it: a person at a terminal, or a program.
    pub fn new(wish: Option<Form>) -> Self {
        let stdout = io::stdout();
        let json = wish.map_or_else(|| !stdout.is_terminal(), |form| form == Form::Json);
        Output { json, stdout }
    }

    /// Prints one answer and flushes it, so that a reader at the other end of a pipe sees it now.
    pub fn show(&mut self, answer: &impl Show) -> Result<(), ToolError> {
        if self.json {
            return self.line(&serde_json::to_string(answer)?);
        }
        self.line(&answer.human())
    }

    /// Prints a table's header, in the human form only.
    pub fn header(&mut self, header: &str) -> Result<(), ToolError> {
        if self.json { Ok(()) } else { self.line(header) }
    }

    fn line(&mut self, line: &str) -> Result<(), ToolError> {
        let mut stdout = self.stdout.lock();
        writeln!(stdout, "{line}").and_then(|()| stdout.flush()).map_err(ToolError::Output)
    }
}
