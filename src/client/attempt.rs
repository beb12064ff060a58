//! One attempt of a call: how it failed and what that means for the next one.

use std::error::Error as StdError;
use std::time::Duration;

use tonic::{Code, ConnectError, Status};
use z4_proto::{DONE_TRAILER, NOT_DONE};

use super::error::{Error, ErrorKind, Rest};

/// Why an attempt brought no answer that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection: nothing was sent.
    NotSent,
    /// The connection broke, or the peer kept silent: it may have been done.
    Lost,
    /// The peer is there and cannot do it now (no leader, stopping): it may have been done.
    Unavailable,
    /// The peer is there, cannot do it now, and says that nothing was done.
    Unserved,
    /// A bound was reached: nothing was done, and another peer would say the same.
    Overloaded,
    /// An answer that another attempt would not change.
    Final,
}

impl Failure {
    /// Reads a status. What tonic makes of a broken connection carries its cause; what a peer said has none.
    pub(super) fn of(status: &Status) -> Self {
        if status.source().is_some() {
            return if never_connected(status) { Self::NotSent } else { Self::Lost };
        }
        match status.code() {
            Code::Unavailable if says_not_done(status) => Self::Unserved,
            Code::Unavailable => Self::Unavailable,
            Code::ResourceExhausted => Self::Overloaded,
            // The connection is going away, or a proxy gave up; no peer says these.
            Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => Self::Lost,
            _ => Self::Final,
        }
    }

    /// The request may have been done although no answer says so.
    pub(super) fn may_be_done(self) -> bool {
        matches!(self, Self::Lost | Self::Unavailable)
    }
}

/// A peer's word in the trailer of its refusal.
fn says_not_done(status: &Status) -> bool {
    status.metadata().get(DONE_TRAILER).is_some_and(|done| done == NOT_DONE)
}

fn never_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What becomes of a request that is sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It changes nothing.
    Read,
    /// The second time does nothing more than the first.
    Safe,
    /// It would be done twice: it is only sent again when it was not done.
    Unsafe,
}

/// What became of a request until now.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    repeat: Repeat,
    count: u32,
    may_be_done: bool,
    last: Option<(Failure, String, Status)>,
}

impl Attempts {
    pub(super) fn new(repeat: Repeat) -> Self {
        Attempts { repeat, count: 0, may_be_done: false, last: None }
    }

    /// One of them may have been done.
    pub(super) fn may_be_done(&self) -> bool {
        self.may_be_done
    }

    /// How many there were.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Notes one that failed; true: another one may be made.
    pub(super) fn failed(&mut self, failure: Failure, peer: &str, status: Status) -> bool {
        self.count += 1;
        self.may_be_done |= failure.may_be_done() && self.repeat != Repeat::Read;
        self.last = Some((failure, peer.to_owned(), status));
        match self.repeat {
            Repeat::Read | Repeat::Safe => failure != Failure::Final,
            Repeat::Unsafe => matches!(failure, Failure::NotSent | Failure::Unserved | Failure::Overloaded),
        }
    }

    /// The error after the last of them.
    pub(super) fn error(self, call: &'static str) -> Error {
        let nothing = || (Failure::Lost, String::new(), late(Duration::ZERO));
        let (failure, peer, status) = self.last.unwrap_or_else(nothing);
        let (kind, may_be_done) = match failure {
            Failure::NotSent if self.may_be_done => (ErrorKind::Unanswered, true),
            Failure::NotSent => (ErrorKind::Unreachable, false),
            Failure::Lost => (ErrorKind::Unanswered, self.may_be_done),
            // An answer that is about the request says what is so now: only an earlier attempt can have been done.
            Failure::Unavailable | Failure::Unserved | Failure::Overloaded | Failure::Final => {
                (ErrorKind::Refused, self.may_be_done)
            }
        };
        Error { kind, call, rest: Box::new(Rest { peer, attempts: self.count, may_be_done, status }) }
    }
}

/// A peer that keeps silent.
pub(super) fn late(waited: Duration) -> Status {
    Status::deadline_exceeded(format!("no answer within {waited:?}"))
}

/// Waits between attempts: each is about twice the one before, less up to half at random, so that clients that failed together do
/// not come back together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    waits: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(20);
    const CEILING: Duration = Duration::from_millis(1_000);

    /// The wait before attempt `n`, counted from 1 for the first repetition.
    pub(super) fn nth(n: u32) -> Duration {
        let whole = Self::FIRST.saturating_mul(1 << n.saturating_sub(1).min(10)).min(Self::CEILING);
        whole.mul_f64(rand::random_range(0.5..1.0))
    }

    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        self.waits += 1;
        Self::nth(self.waits)
    }
}

#[cfg(test)]
mod tests {
    //! A request that may have been done must never be taken for one that was not: it would be done twice.
    use super::*;

    fn broken(source: impl StdError + Send + Sync + 'static) -> Status {
        Status::from_error(Box::new(source))
    }

    #[test]
    fn what_was_sent_and_what_was_not() {
        let refused = || std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(Failure::of(&broken(ConnectError(Box::new(refused())))), Failure::NotSent);
        // The same reason, but on a connection that was there.
        assert_eq!(Failure::of(&broken(refused())), Failure::Lost);
        assert_eq!(Failure::of(&Status::unavailable("no leader")), Failure::Unavailable);
        let told = |done: &'static str| {
            let mut status = Status::unavailable("no leader");
            status.metadata_mut().insert(DONE_TRAILER, done.parse().expect("ASCII"));
            Failure::of(&status)
        };
        assert_eq!((told("no"), told("maybe"), told("later")), (Failure::Unserved, Failure::Unavailable, Failure::Unavailable));
        assert_eq!(Failure::of(&Status::resource_exhausted("full")), Failure::Overloaded);
        assert_eq!(Failure::of(&Status::not_found("no")), Failure::Final);
        assert_eq!(Failure::of(&late(Duration::from_secs(1))), Failure::Lost);
    }

    #[test]
    fn the_error_tells_the_whole_story() {
        let mut attempts = Attempts::new(Repeat::Safe);
        assert!(attempts.failed(Failure::Lost, "a:1", late(Duration::from_secs(1))));
        assert!(attempts.failed(Failure::NotSent, "b:2", Status::unavailable("refused")));
        let error = attempts.error("UpdateTask");
        assert_eq!((error.kind(), error.attempts(), error.peer()), (ErrorKind::Unanswered, 2, "b:2"));
        assert_eq!(error.to_string(), "UpdateTask: no answer from b:2: UNAVAILABLE: refused (2 attempts); it may have been done");
        let mut attempts = Attempts::new(Repeat::Read);
        assert!(attempts.failed(Failure::Lost, "a:1", late(Duration::from_secs(1))));
        assert!(!attempts.failed(Failure::Final, "a:1", Status::not_found("no such task")));
        let error = attempts.error("GetTask");
        assert!(!error.may_be_done());
        assert_eq!(error.to_string(), "GetTask: a:1 answered NOT_FOUND: no such task (2 attempts)");
    }

    #[test]
    fn what_would_be_done_twice_is_not_sent_again() {
        let again = |failure| Attempts::new(Repeat::Unsafe).failed(failure, "a:1", Status::unavailable(""));
        assert!(again(Failure::NotSent) && again(Failure::Unserved) && again(Failure::Overloaded));
        assert!(!again(Failure::Lost) && !again(Failure::Unavailable) && !again(Failure::Final));
    }

    #[test]
    fn waits_grow_and_have_a_ceiling() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..40).map(|_| backoff.next()).collect();
        assert!(waits[0] <= Backoff::FIRST && waits[0] >= Backoff::FIRST / 2);
        assert!(waits[39] <= Backoff::CEILING && waits[39] >= Backoff::CEILING / 2);
    }
}
