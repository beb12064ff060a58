//! What opensrv calls: the login, and one and the same query for every command (see [`super::gate`]).

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use opensrv_mysql::{AsyncMysqlShim, InitWriter, ParamParser, QueryResultWriter, StatementMetaWriter};

use super::answer::Answerer;
use super::connections::Interrupt;
use super::fault::Fault;
use super::line::Line;
use super::login::verify;
use super::outlet::Outlet;
use super::reply;
use super::run::unless;
use super::users::{NATIVE, SHA2};
use super::variables::VERSION;
use crate::sql::context::Warning;

/// One connection's side of opensrv.
pub(super) struct Shim {
    line: Arc<Line>,
    answerer: Answerer,
}

impl Shim {
    pub(super) fn new(line: Arc<Line>) -> Shim {
        Shim { answerer: Answerer::new(line.clone()), line }
    }

    /// Takes the command that lies in the line and answers it.
    async fn command(&mut self) -> io::Result<()> {
        let Some((command, share)) = self.line.take() else { return Err(unexpected()) };
        let result = self.answerer.answer(command).await;
        drop(share);
        let failed = match &result {
            Err(Fault::Told(error) | Fault::Last(error)) => Some(error),
            _ => None,
        };
        self.line.entry.ends(&self.line.service.connections, failed);
        match result {
            Ok(()) => {}
            Err(Fault::Told(error)) => {
                self.line.refuse(&error);
                self.answerer.session.own.did(None, -1);
                self.answerer.session.warnings = vec![Warning { level: "Error", error }];
            }
            Err(Fault::Last(error)) => {
                // It is written when the connection ends, if the client takes it.
                self.line.refuse(&error);
                return Err(io::Error::other(error));
            }
            Err(Fault::Gone(error)) => return Err(error),
        }
        match unless(&self.line, Interrupt::Gone, self.line.drain()).await {
            Ok(drained) => drained,
            Err(_) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

/// opensrv sees no command but the query that stands for all of them.
fn unexpected() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a command came past the gate")
}

#[async_trait]
impl AsyncMysqlShim<Outlet> for Shim {
    type Error = io::Error;

    fn version(&self) -> String {
        VERSION.to_owned()
    }

    fn connect_id(&self) -> u32 {
        self.line.entry.id
    }

    fn default_auth_plugin(&self) -> &str {
        self.line.service.users.default_plugin()
    }

    async fn auth_plugin_for_username(&self, _: &[u8]) -> &str {
        if self.line.plugin() == SHA2 { SHA2 } else { NATIVE }
    }

    fn salt(&self) -> [u8; 20] {
        self.line.salt
    }

    async fn authenticate(&self, plugin: &str, user: &[u8], salt: &[u8], answer: &[u8]) -> bool {
        let proven = verify(&self.line, plugin, user, salt, answer).await;
        match proven.and_then(|()| self.line.expects_compression()) {
            Ok(()) => self.line.logs_in(),
            Err(refused) => self.line.refuse(&refused),
        }
        self.line.is_logged_in()
    }

    async fn on_init<'a>(&'a mut self, database: &'a str, _: InitWriter<'a, Outlet>) -> io::Result<()> {
        // Only after the login: later COM_INIT_DB and USE are commands like others.
        if let Err(error) = self.answerer.session.enter(database) {
            self.line.refuse(&error);
            return Err(io::Error::other(error));
        }
        let mut outgoing = self.line.outgoing();
        reply::ok(&mut outgoing, reply::AUTOCOMMIT, 0);
        self.line.compresses_answers(&mut outgoing);
        Ok(())
    }

    async fn on_query<'a>(&'a mut self, _: &'a str, _: QueryResultWriter<'a, Outlet>) -> io::Result<()> {
        self.command().await
    }

    async fn on_prepare<'a>(&'a mut self, _: &'a str, _: StatementMetaWriter<'a, Outlet>) -> io::Result<()> {
        Err(unexpected())
    }

    async fn on_execute<'a>(&'a mut self, _: u32, _: ParamParser<'a>, _: QueryResultWriter<'a, Outlet>) -> io::Result<()> {
        Err(unexpected())
    }

    async fn on_close<'a>(&'a mut self, _: u32)
    where
        Outlet: 'async_trait,
    {
    }
}
