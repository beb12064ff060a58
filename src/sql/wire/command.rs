//! The client's commands, parsed here: opensrv's parser answers OK to what it does not know, and stops the process at some that are cut.

use super::bytes::Input;
use crate::sql::error::SqlError;

/// A command.
#[derive(Debug, PartialEq)]
pub(super) enum Command {
    /// The client goes.
    Quit,
    /// A statement.
    Query(Vec<u8>),
    /// The default database.
    Database(Vec<u8>),
    /// `COM_FIELD_LIST`: the mariadb command line asks for each table's columns, for completion.
    FieldList,
    Ping,
    Statistics,
    /// KILL of a connection.
    Kill(u32),
    /// Everything but the login is as at the start.
    Reset,
    /// `COM_CHANGE_USER`: another login.
    ChangeUser(Vec<u8>),
    /// What proves the password of that login, where it was asked for once more.
    Proof(Vec<u8>),
    /// `COM_SET_OPTION`.
    Option(u16),
    Prepare(Vec<u8>),
    /// The whole payload, for [`super::params`].
    Execute(Vec<u8>),
    /// Rows of a cursor; there are no cursors.
    Fetch(u32),
    LongData {
        statement: u32,
        param: u16,
        data: Vec<u8>,
    },
    /// Long data are forgotten.
    ResetStatement(u32),
    Close(u32),
    /// Known to MySQL or not, z4 does not do it: the command's byte.
    Unknown(u8),
    /// Cut short.
    Malformed,
    /// The connection ends with this.
    Broken(SqlError),
}

impl Command {
    /// Parses a payload.
    pub(super) fn parse(mut payload: Vec<u8>) -> Command {
        let mut input = Input(&payload);
        let Some(byte) = input.u8() else { return Command::Malformed };
        let number = input.u32();
        let known = match byte {
            0x01 => Some(Command::Quit),
            0x04 => Some(Command::FieldList),
            0x09 => Some(Command::Statistics),
            0x0c => number.map(Command::Kill),
            0x0e => Some(Command::Ping),
            0x19 => number.map(Command::Close),
            0x1a => number.map(Command::ResetStatement),
            0x1b => Input(payload.get(1..).unwrap_or_default()).u16().map(Command::Option),
            0x1c => number.map(Command::Fetch),
            0x1f => Some(Command::Reset),
            0x17 => return Command::Execute(payload),
            0x18 => {
                number.zip(input.u16()).map(|(statement, param)| Command::LongData { statement, param, data: input.0.to_vec() })
            }
            0x02 | 0x03 | 0x11 | 0x16 => {
                payload.drain(..1);
                return match byte {
                    0x02 => Command::Database(payload),
                    0x11 => Command::ChangeUser(payload),
                    0x03 => Command::Query(payload),
                    _ => Command::Prepare(payload),
                };
            }
            other => Some(Command::Unknown(other)),
        };
        known.unwrap_or(Command::Malformed)
    }
}
