//! What can go wrong, how it reads, and the exit code that it becomes.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::client::{self, ErrorKind, code_name};

/// Why the tool did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The command line is wrong in a way that the parser cannot see.
    #[error("{0}")]
    Usage(String),
    /// A peer said no, went away, or could not be reached.
    #[error("{0}")]
    Call(#[from] client::Error),
    /// Some of many requests failed; each was printed.
    #[error("{failed} of {total} acknowledgements were refused")]
    Unsettled {
        /// Refused or unanswered.
        failed: u64,
        /// Sent.
        total: u64,
    },
    /// A change of the membership that the cluster took and has not carried out in time.
    #[error("{0}")]
    Unfinished(String),
    /// A payload file.
    #[error("cannot read {}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A user's password.
    #[error("cannot read the password: {0}")]
    Password(#[source] io::Error),
    /// Standard output.
    #[error("cannot write the output: {0}")]
    Output(#[source] io::Error),
    /// Something in the answer has no JSON form.
    #[error("cannot write the answer as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The machine denies what every program needs.
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
}

impl ToolError {
    /// The one line for stderr: what the tool could not do, at which peer, the gRPC code, the reason.
    pub fn line(&self) -> String {
        let text = match self {
            ToolError::Call(error) if error.kind() != ErrorKind::Address => {
                let (peer, code) = (error.peer(), code_name(error.code()));
                let mut text = match error.kind() {
                    ErrorKind::Unreachable => format!("{peer}: {code}: cannot connect: {}", root_cause(error)),
                    _ => format!("{peer}: {code}: {}", error.message()),
                };
                if error.attempts() > 1 {
                    text += &format!(" ({} attempts)", error.attempts());
                }
                if error.may_be_done() {
                    text += "; it may have been done";
                }
                text
            }
            _ => self.to_string(),
        };
        format!("z4t: {}", text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// 2 for bad usage, else 1.
    pub fn exit_code(&self) -> ExitCode {
        let usage = match self {
            ToolError::Usage(_) => true,
            ToolError::Call(error) => error.kind() == ErrorKind::Address,
            _ => false,
        };
        ExitCode::from(if usage { 2 } else { 1 })
    }
}

/// The layers below wrap the reason ("transport error") several times; the innermost one says what happened.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
