//! How a command fails.

use std::io;

use super::connections::Interrupt;
use crate::sql::error::SqlError;

/// Why a command was not carried out, and what becomes of the connection.
#[derive(Debug)]
pub(super) enum Fault {
    /// The client is told, and goes on.
    Told(SqlError),
    /// The client is told, and the connection ends.
    Last(SqlError),
    /// There is nobody to be told.
    Gone(io::Error),
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Fault {
        Fault::Told(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Gone(error)
    }
}

impl From<Interrupt> for Fault {
    fn from(why: Interrupt) -> Fault {
        let interrupted = SqlError::new(1317, "70100", "Query execution was interrupted");
        match why {
            Interrupt::None | Interrupt::Query => Fault::Told(interrupted),
            Interrupt::Connection => Fault::Last(interrupted),
            Interrupt::Shutdown => Fault::Last(SqlError::new(1053, "08S01", "Server shutdown in progress")),
            Interrupt::Gone => Fault::Gone(io::ErrorKind::BrokenPipe.into()),
        }
    }
}
