//! What can go wrong with a call, and how it reads.

use std::error::Error as StdError;
use std::fmt;

use tonic::{Code, Status};

/// What kind of failure ended a call, after everything that may be tried was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The given address is not `HOST:PORT`, or none was given.
    Address,
    /// No peer could be connected with. Nothing was done.
    Unreachable,
    /// The request was sent and its answer did not come: the connection broke or the time was over. It may have been done.
    Unanswered,
    /// A peer answered with a status: [`Error::code`] and [`Error::message`].
    Refused,
}

/// A call that failed: what failed, where, after how many attempts, and why.
///
/// The last attempt decides about the kind; whether an earlier one may have been done is told by [`Error::may_be_done`].
#[derive(Clone, Debug)]
pub struct Error {
    pub(super) kind: ErrorKind,
    pub(super) call: &'static str,
    /// Boxed, because most results carry no error.
    pub(super) rest: Box<Rest>,
}

#[derive(Clone, Debug)]
pub(super) struct Rest {
    pub(super) peer: String,
    pub(super) attempts: u32,
    pub(super) may_be_done: bool,
    pub(super) status: Status,
}

impl Error {
    pub(super) fn address(address: &str, why: &str) -> Self {
        let status = Status::invalid_argument(format!("{address:?} {why}"));
        let rest = Rest { peer: address.to_owned(), attempts: 0, may_be_done: false, status };
        Error { kind: ErrorKind::Address, call: "connect", rest: Box::new(rest) }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The rpc that failed, as `z4.proto` names it.
    pub fn call(&self) -> &'static str {
        self.call
    }

    /// The address of the peer that was asked last.
    pub fn peer(&self) -> &str {
        &self.rest.peer
    }

    /// How many times a peer was asked, connections that failed included.
    pub fn attempts(&self) -> u32 {
        self.rest.attempts
    }

    /// An attempt was sent and not answered, so what was asked for may have been done nevertheless.
    pub fn may_be_done(&self) -> bool {
        self.rest.may_be_done
    }

    /// The gRPC code: what the peer answered, UNAVAILABLE without a connection, DEADLINE_EXCEEDED when the time was over.
    pub fn code(&self) -> Code {
        self.rest.status.code()
    }

    /// What the peer said, or why there was no answer.
    pub fn message(&self) -> &str {
        self.rest.status.message()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rest { peer, attempts, may_be_done, status } = &*self.rest;
        let (call, code, message) = (self.call, code_name(status.code()), status.message());
        match self.kind {
            ErrorKind::Address => return f.write_str(message),
            ErrorKind::Unreachable => write!(f, "{call}: cannot connect with {peer}")?,
            ErrorKind::Unanswered => write!(f, "{call}: no answer from {peer}: {code}: {message}")?,
            ErrorKind::Refused => write!(f, "{call}: {peer} answered {code}: {message}")?,
        }
        if *attempts > 1 {
            write!(f, " ({attempts} attempts)")?;
        }
        if *may_be_done { f.write_str("; it may have been done") } else { Ok(()) }
    }
}

impl StdError for Error {
    /// What broke the connection. A status that a peer answered with is the failure itself, not its cause.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.rest.status.source()
    }
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
