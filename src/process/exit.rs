//! The exit statuses of `z4`. They follow sysexits.h, so that a supervisor can tell what a restart may cure.

use std::process::ExitCode;

use crate::telemetry::log;

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It was asked to stop and did: everything in flight was answered and persisted.
    Stopped = 0,
    /// The command line or the configuration is wrong. A restart changes nothing (EX_USAGE).
    Configuration = 64,
    /// The machine refuses something: a directory is locked, a port is taken, io_uring is missing. A restart may help (EX_UNAVAILABLE).
    Unavailable = 69,
    /// A defect of z4, such as a panic or a Raft group that gave up (EX_SOFTWARE).
    Internal = 70,
    /// The disk failed, or what is on it is damaged; nothing more can be acknowledged. A restart may find the damage again (EX_IOERR).
    Storage = 74,
    /// A second signal ended it at once (128 + SIGINT, as shells have it). Nothing acknowledged is lost.
    Interrupted = 130,
}

impl Exit {
    /// The number.
    pub fn status(self) -> u8 {
        self as u8
    }

    /// Ends the process, with every thread, once the last lines of its log are written, and runs no destructor.
    pub fn now(self) -> ! {
        log::flush();
        std::process::exit(i32::from(self.status()))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.status())
    }
}
