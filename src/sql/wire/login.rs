//! Who it is: the login of a connection, and those that `COM_CHANGE_USER` makes of it later.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::answer::Answerer;
use super::fault::Fault;
use super::handshake::Response;
use super::line::{Line, salt};
use super::reply;
use crate::sql::error::SqlError;

/// A login that waits for its proof.
pub(super) struct Pending {
    response: Response,
    plugin: &'static str,
    salt: [u8; 20],
}

/// Whether an answer proves the user's password; says so to who waits for it, or why it is refused.
pub(super) async fn verify(line: &Line, plugin: &str, user: &[u8], salt: &[u8], answer: &[u8]) -> Result<(), SqlError> {
    let service = &line.service;
    // Some clients end it with a zero.
    let answer = if answer.len() == 21 { answer.strip_suffix(&[0]).unwrap_or(answer) } else { answer };
    if service.users.verify(user, plugin, salt, answer) {
        if Response::wants_fast_path(plugin, answer) {
            reply::fast_path(&mut line.outgoing());
        }
        return Ok(());
    }
    tokio::time::sleep(service.options.refusal_delay).await;
    service.connections.counters.refused_logins.fetch_add(1, Relaxed);
    service.connections.metrics.refused_logins.inc();
    let user = String::from_utf8_lossy(user);
    let password = if Response::is_without_password(answer) { "NO" } else { "YES" };
    if let Some(unlogged) = service.connections.counters.refusals.admits() {
        let (peer, user) = (line.peer(), user.chars().take(64).collect::<String>());
        tracing::warn!(%peer, ?user, unlogged, "an SQL login was refused");
    }
    let host = line.peer().ip();
    Err(SqlError::new(1045, "28000", format!("Access denied for user '{user}'@'{host}' (using password: {password})")))
}

impl Answerer {
    /// Another user, or the same one anew. A client proves its password by the salt of the greeting; one that did so by another plugin
    /// than the user's is asked once more.
    pub(super) async fn change_user(&mut self, payload: &[u8]) -> Result<(), Fault> {
        self.line.entry.begins("Change user", None);
        let cut = || Fault::Last(SqlError::new(1043, "08S01", "Bad handshake"));
        let response = Response::of_change(payload, self.line.response().capabilities).ok_or_else(cut)?;
        let plugin = self.line.service.users.plugin(&response.user, &response.plugin);
        if response.plugin == plugin {
            let salt = self.line.salt;
            let proven = verify(&self.line, plugin, &response.user, &salt, &response.answer).await;
            return proven.map_err(Fault::Last).and_then(|()| self.becomes(response));
        }
        let pending = Pending { response, plugin, salt: salt() };
        reply::another_plugin(&mut self.line.outgoing(), plugin, &pending.salt);
        self.pending = Some(pending);
        self.line.expects_proof(true);
        // Nobody is logged in until it comes.
        self.line.set_idle_for(self.line.service.options.login_timeout);
        Ok(())
    }

    /// The answer to that.
    pub(super) async fn proof(&mut self, answer: &[u8]) -> Result<(), Fault> {
        self.line.expects_proof(false);
        let unasked = || Fault::Last(SqlError::new(1043, "08S01", "Bad handshake"));
        let Pending { response, plugin, salt } = self.pending.take().ok_or_else(unasked)?;
        verify(&self.line, plugin, &response.user, &salt, answer).await.map_err(Fault::Last)?;
        self.becomes(response)
    }

    /// The session is a new one.
    fn becomes(&mut self, response: Response) -> Result<(), Fault> {
        self.session.reset();
        self.session.database = None;
        self.session.user = String::from_utf8_lossy(&response.user).into_owned();
        if let Some(database) = &response.database {
            self.session.enter(&String::from_utf8_lossy(database)).map_err(Fault::Last)?;
        }
        self.line.entry.is_of(&self.session.user, self.session.database.as_deref());
        self.line.set_idle_for(Duration::from_secs(self.session.number("wait_timeout")));
        let plugin = self.line.plugin();
        self.line.introduced(response, plugin);
        self.ok();
        Ok(())
    }
}
