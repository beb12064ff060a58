//! The packets of an answer that are no rows.

use super::bytes::push_number;
use super::columns;
use super::outgoing::Outgoing;
use crate::sql::error::SqlError;
use crate::sql::statement::OutColumn;

/// `SERVER_STATUS_AUTOCOMMIT`.
pub(super) const AUTOCOMMIT: u16 = 2;
/// `SERVER_STATUS_IN_TRANS`.
pub(super) const IN_TRANSACTION: u16 = 1;
/// `SERVER_MORE_RESULTS_EXISTS`.
pub(super) const MORE_RESULTS: u16 = 8;
/// `SERVER_STATUS_IN_TRANS_READONLY`.
pub(super) const IN_TRANSACTION_READ_ONLY: u16 = 0x2000;
/// A longer message of an error is cut: MySQL's limit is 512, and clients cope with more.
const MESSAGE_BYTES_MAX: usize = 2048;

/// OK.
pub(super) fn ok(outgoing: &mut Outgoing, status: u16, warnings: usize) {
    finished(outgoing, 0, status, warnings);
}

/// The end of columns or rows: EOF, or what replaces it for newer clients.
pub(super) fn end(outgoing: &mut Outgoing, deprecate_eof: bool, status: u16, warnings: usize) {
    if deprecate_eof {
        return finished(outgoing, 0xfe, status, warnings);
    }
    let [a, b] = count(warnings).to_le_bytes();
    let [c, d] = status.to_le_bytes();
    outgoing.packet(&[0xfe, a, b, c, d]);
}

fn finished(outgoing: &mut Outgoing, header: u8, status: u16, warnings: usize) {
    let [a, b] = status.to_le_bytes();
    let [c, d] = count(warnings).to_le_bytes();
    // No rows affected, no id made.
    outgoing.packet(&[header, 0, 0, a, b, c, d]);
}

fn count(warnings: usize) -> u16 {
    u16::try_from(warnings).unwrap_or(u16::MAX)
}

/// An error.
pub(super) fn error(outgoing: &mut Outgoing, error: &SqlError) {
    let open = outgoing.open();
    let payload = outgoing.payload();
    payload.push(0xff);
    payload.extend_from_slice(&error.code.to_le_bytes());
    payload.push(b'#');
    payload.extend_from_slice(error.state.as_bytes());
    let message = &error.message;
    payload.extend_from_slice(&message.as_bytes()[..message.floor_char_boundary(MESSAGE_BYTES_MAX)]);
    outgoing.close(open);
}

/// What a client with caching_sha2_password waits for before the OK: its proof was enough.
pub(super) fn fast_path(outgoing: &mut Outgoing) {
    outgoing.packet(&[1, 3]);
}

/// The request for another plugin's proof, by another salt.
pub(super) fn another_plugin(outgoing: &mut Outgoing, plugin: &str, salt: &[u8]) {
    let open = outgoing.open();
    let payload = outgoing.payload();
    payload.push(0xfe);
    for part in [plugin.as_bytes(), salt] {
        payload.extend_from_slice(part);
        payload.push(0);
    }
    outgoing.close(open);
}

/// A sentence, as `COM_STATISTICS` answers.
pub(super) fn sentence(outgoing: &mut Outgoing, text: &str) {
    outgoing.packet(text.as_bytes());
}

/// How a client wants its metadata, and the status to tell it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) deprecate_eof: bool,
    pub(super) status: u16,
}

/// The columns of a result, before its rows.
pub(super) fn header(outgoing: &mut Outgoing, columns: &[OutColumn], manner: Manner) {
    let open = outgoing.open();
    push_number(outgoing.payload(), columns.len() as u64);
    outgoing.close(open);
    definitions(outgoing, columns, manner);
}

/// The answer to PREPARE. There are at most 65,535 of each.
pub(super) fn prepared(
    outgoing: &mut Outgoing,
    id: u32,
    params: &[OutColumn],
    columns: &[OutColumn],
    manner: Manner,
    warnings: usize,
) {
    let open = outgoing.open();
    let payload = outgoing.payload();
    payload.push(0);
    payload.extend_from_slice(&id.to_le_bytes());
    payload.extend_from_slice(&(columns.len() as u16).to_le_bytes());
    payload.extend_from_slice(&(params.len() as u16).to_le_bytes());
    payload.push(0);
    payload.extend_from_slice(&count(warnings).to_le_bytes());
    outgoing.close(open);
    for list in [params, columns] {
        if !list.is_empty() {
            definitions(outgoing, list, manner);
        }
    }
}

fn definitions(outgoing: &mut Outgoing, columns: &[OutColumn], manner: Manner) {
    for column in columns {
        let open = outgoing.open();
        columns::push(outgoing.payload(), column);
        outgoing.close(open);
    }
    if !manner.deprecate_eof {
        end(outgoing, false, manner.status, 0);
    }
}
