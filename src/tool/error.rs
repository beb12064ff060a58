//! What can go wrong, how it reads, and the exit code that it becomes.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use tonic::{Code, Status};

/// Why the tool did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The command line is wrong in a way that the parser cannot see.
    #[error("{0}")]
    Usage(String),
    /// No connection to the target.
    #[error("cannot connect: {}", root_cause(.0))]
    Unreachable(#[source] tonic::transport::Error),
    /// The peer said no, or went away.
    #[error("{}: {}", code_name(.0.code()), .0.message())]
    Refused(#[from] Status),
    /// Some of many requests failed; each was printed.
    #[error("{failed} of {total} acknowledgements were refused")]
    Unsettled {
        /// Refused or unanswered.
        failed: u64,
        /// Sent.
        total: u64,
    },
    /// A payload file.
    #[error("cannot read {}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
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
    /// The one line for stderr.
    pub fn line(&self, target: &str) -> String {
        let text = match self {
            ToolError::Unreachable(_) => format!("z4t: {target}: UNAVAILABLE: {self}"),
            ToolError::Refused(_) | ToolError::Unsettled { .. } => format!("z4t: {target}: {self}"),
            _ => format!("z4t: {self}"),
        };
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// 2 for bad usage, else 1.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(if matches!(self, ToolError::Usage(_)) { 2 } else { 1 })
    }
}

/// tonic wraps the reason ("transport error") several times; the innermost one says what happened.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// A gRPC code as its specification writes it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts read one line: target, code, reason, whatever line breaks the peer put into its text.
    #[test]
    fn a_refusal_is_one_line_with_target_code_and_text() {
        let error = ToolError::from(Status::unimplemented("not\nyet"));
        assert_eq!(error.line("h:1"), "z4t: h:1: UNIMPLEMENTED: not yet");
    }
}
