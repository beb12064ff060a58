//! The client's answer to the greeting: parsed here, and written anew for opensrv's parser, which then sees only what is sane.

use super::bytes::{Input, push_string};
use super::users::SHA2;

/// Capabilities, as MySQL numbers them.
pub(super) mod capability {
    pub(crate) const LONG_PASSWORD: u32 = 1;
    pub(crate) const LONG_FLAG: u32 = 1 << 2;
    pub(crate) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(crate) const COMPRESS: u32 = 1 << 5;
    pub(crate) const PROTOCOL_41: u32 = 1 << 9;
    pub(crate) const SSL: u32 = 1 << 11;
    pub(crate) const TRANSACTIONS: u32 = 1 << 13;
    pub(crate) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(crate) const MULTI_STATEMENTS: u32 = 1 << 16;
    pub(crate) const MULTI_RESULTS: u32 = 1 << 17;
    pub(crate) const PS_MULTI_RESULTS: u32 = 1 << 18;
    pub(crate) const PLUGIN_AUTH: u32 = 1 << 19;
    pub(crate) const CONNECT_ATTRIBUTES: u32 = 1 << 20;
    pub(crate) const LENENC_AUTH: u32 = 1 << 21;
    pub(crate) const DEPRECATE_EOF: u32 = 1 << 24;
    pub(crate) const ZSTD: u32 = 1 << 26;
}
use capability as c;

/// What opensrv's greeting lacks and its client may rely on here.
const ADDED: u32 = c::LONG_PASSWORD
    | c::LONG_FLAG
    | c::COMPRESS
    | c::TRANSACTIONS
    | c::MULTI_STATEMENTS
    | c::MULTI_RESULTS
    | c::PS_MULTI_RESULTS
    | c::ZSTD;
/// Where the greeting has the low half of the capabilities, counted from the zero behind the version: the id, half of the salt, a zero.
const CAPABILITIES_AT: usize = 1 + 4 + 8 + 1;

/// What a client says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) capabilities: u32,
    pub(super) user: Vec<u8>,
    pub(super) database: Option<Vec<u8>>,
    pub(super) plugin: String,
    pub(super) answer: Vec<u8>,
    /// How hard zstd is to work, if the client says so.
    pub(super) zstd_level: Option<u8>,
}

impl Response {
    /// Parses the payload; the error says why it is refused.
    pub(super) fn parse(payload: &[u8]) -> Result<Response, &'static str> {
        let mut input = Input(payload);
        let short = "Bad handshake: it ends early";
        let capabilities = input.u32().ok_or(short)?;
        if capabilities & c::PROTOCOL_41 == 0 || capabilities & c::SECURE_CONNECTION == 0 {
            return Err("Bad handshake: z4 speaks MySQL's protocol 4.1 and later");
        }
        if capabilities & c::SSL != 0 {
            return Err("Bad handshake: z4 does not offer TLS on this port");
        }
        input.take(4 + 1 + 23).ok_or(short)?;
        let user = input.terminated().to_vec();
        let answer = if capabilities & c::LENENC_AUTH != 0 {
            input.string()
        } else {
            input.u8().and_then(|length| input.take(usize::from(length)))
        };
        let answer = answer.ok_or(short)?.to_vec();
        // opensrv leaves a login unanswered when the name is not UTF-8; like this it is a database that is not there.
        let database = (capabilities & c::CONNECT_WITH_DB != 0)
            .then(|| String::from_utf8_lossy(input.terminated()).into_owned().into_bytes());
        let plugin = if capabilities & c::PLUGIN_AUTH != 0 { input.terminated() } else { b"mysql_native_password" };
        let plugin = String::from_utf8_lossy(plugin).into_owned();
        let database = database.filter(|name| !name.is_empty());
        if capabilities & c::CONNECT_ATTRIBUTES != 0 {
            input.string();
        }
        let zstd_level = if capabilities & c::ZSTD != 0 { input.u8() } else { None };
        Ok(Response { capabilities, user, database, plugin, answer, zstd_level })
    }

    /// Parses what follows the byte of `COM_CHANGE_USER`; the capabilities stay those of the login. `None`: it is cut.
    pub(super) fn of_change(payload: &[u8], capabilities: u32) -> Option<Response> {
        let mut input = Input(payload);
        let user = input.terminated().to_vec();
        let answer = input.u8().and_then(|length| input.take(usize::from(length)))?.to_vec();
        let database = String::from_utf8_lossy(input.terminated()).into_owned().into_bytes();
        // The character set, which older clients leave out, as they do what follows.
        let named = input.u16().is_some() && capabilities & c::PLUGIN_AUTH != 0;
        let plugin = if named { input.terminated() } else { b"mysql_native_password" };
        let plugin = String::from_utf8_lossy(plugin).into_owned();
        let database = (!database.is_empty()).then_some(database);
        Some(Response { capabilities, user, database, plugin, answer, zstd_level: None })
    }

    /// The client has no password, or none was given to it. MySQL's own client sends a zero then.
    pub(super) fn is_without_password(answer: &[u8]) -> bool {
        matches!(answer, [] | [0])
    }

    /// The payload for opensrv. `switched`: it is to ask for another plugin's answer, which it does when there is none yet.
    pub(super) fn rewritten(&self, plugin: &str, switched: bool) -> Vec<u8> {
        let database = if self.database.is_some() { c::CONNECT_WITH_DB } else { 0 };
        let capabilities = c::PROTOCOL_41 | c::SECURE_CONNECTION | c::PLUGIN_AUTH | c::LENENC_AUTH | database;
        let mut payload = capabilities.to_le_bytes().to_vec();
        payload.extend_from_slice(&[0; 4 + 1 + 23]);
        payload.extend_from_slice(&self.user);
        payload.push(0);
        push_string(&mut payload, if switched { b"" } else { &self.answer });
        if let Some(database) = &self.database {
            payload.extend_from_slice(database);
            payload.push(0);
        }
        payload.extend_from_slice(if switched { b"" } else { plugin.as_bytes() });
        payload.push(0);
        payload
    }

    /// A proof of a password by the fast path: the client waits for a word that it was enough.
    pub(super) fn wants_fast_path(plugin: &str, answer: &[u8]) -> bool {
        plugin == SHA2 && !Response::is_without_password(answer)
    }
}

/// Sets what opensrv's greeting leaves out: capabilities that z4 has, utf8mb4 and the status.
pub(super) fn amend_greeting(payload: &mut [u8]) {
    let Some(zero) = payload.iter().position(|byte| *byte == 0) else { return };
    // Low half, charset, status, high half, as the protocol lays them out.
    if let Some([a, b, charset, status, _, c, d, ..]) = payload.get_mut(zero + CAPABILITIES_AT..) {
        let amended = u32::from_le_bytes([*a, *b, *c, *d]) | ADDED;
        [*a, *b, *c, *d] = amended.to_le_bytes();
        (*charset, *status) = (super::columns::UTF8MB4_BIN as u8, super::reply::AUTOCOMMIT as u8);
    }
}
