//! Answers commands.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::bytes::Input;
use super::columns::expression;
use super::command::Command;
use super::connections::Interrupt;
use super::fault::Fault;
use super::handshake::capability;
use super::line::Line;
use super::login::Pending;
use super::params::Params;
use super::prepared::Prepared;
use super::reply::{self, Manner};
use super::run::{Job, explain_columns, pause, run, unless};
use super::session::Session;
use crate::sql::catalog;
use crate::sql::context::Context;
use crate::sql::dialect;
use crate::sql::error::SqlError;
use crate::sql::own::Own;
use crate::sql::sqlite::What;
use crate::sql::statement::{Given, Query, Statement};
use crate::sql::types::{Datum, SqlType};

/// A longer statement is compiled beside the thread that serves all connections.
const LONG_STATEMENT_BYTES: usize = 32 << 10;
/// Parameters and columns are counted in two bytes.
const COUNTED_MAX: usize = u16::MAX as usize;

/// What is to be done about a statement.
enum Compiled {
    /// Rows; the parameters that stand for literals.
    Query(Arc<Query>, What, Vec<Datum>),
    /// Something about the session.
    Change(Statement),
}

impl Compiled {
    /// How many parameters it takes.
    fn params(&self) -> usize {
        match self {
            Compiled::Query(query, ..) => query.params,
            Compiled::Change(Statement::Into(query, _)) => query.params,
            Compiled::Change(Statement::Set(assignments)) => {
                let of = |(_, given): &(String, Given)| match given {
                    Given::Of(query, _) => query.params,
                    _ => 0,
                };
                assignments.iter().map(of).sum()
            }
            Compiled::Change(_) => 0,
        }
    }
}

/// A session and its line.
pub(super) struct Answerer {
    pub(super) line: Arc<Line>,
    pub(super) session: Session,
    /// The client wants no EOF behind columns; `None`: it has not been met.
    deprecate_eof: Option<bool>,
    /// Another statement of the same text follows.
    more: bool,
    /// Another login that waits for its proof.
    pub(super) pending: Option<Pending>,
}

impl Answerer {
    pub(super) fn new(line: Arc<Line>) -> Answerer {
        let (defaults, own) = (line.service.defaults.clone(), Own::new(line.entry.holder()));
        let session = Session::new(line.entry.id, line.peer().ip().to_string(), defaults, own);
        Answerer { line, session, deprecate_eof: None, more: false, pending: None }
    }

    /// Carries out a command and answers it, but for an error.
    pub(super) async fn answer(&mut self, command: Command) -> Result<(), Fault> {
        self.meet();
        self.more = false;
        let name = match &command {
            Command::Query(_) => "Query",
            Command::Prepare(_) => "Prepare",
            Command::Execute(_) => "Execute",
            Command::Database(_) => "Init DB",
            Command::Ping => "Ping",
            Command::Reset => "Reset Connection",
            Command::ChangeUser(_) | Command::Proof(_) => "Change user",
            _ => "Query",
        };
        match command {
            Command::Query(text) => return self.query(text).await,
            Command::Prepare(text) => return self.prepare(text).await,
            Command::Execute(payload) => return self.execute(&payload).await,
            Command::LongData { statement, param, data } => self.long_data(statement, param, &data),
            Command::Close(id) => drop(self.session.prepared.remove(&id)),
            Command::ChangeUser(payload) => return self.change_user(&payload).await,
            Command::Proof(answer) => return self.proof(&answer).await,
            _ => {
                self.line.entry.begins(name, None);
                self.small(command)?;
            }
        }
        Ok(())
    }

    /// Before the first command: who it is, now that it has logged in.
    fn meet(&mut self) {
        if self.deprecate_eof.is_none() {
            let response = self.line.response();
            self.session.user = String::from_utf8_lossy(&response.user).into_owned();
            self.line.entry.is_of(&self.session.user, self.session.database.as_deref());
            self.session.several = response.capabilities & capability::MULTI_STATEMENTS != 0;
            self.deprecate_eof = Some(response.capabilities & capability::DEPRECATE_EOF != 0);
        }
    }

    fn manner(&self) -> Manner {
        let more = if self.more { reply::MORE_RESULTS } else { 0 };
        Manner { deprecate_eof: self.deprecate_eof.unwrap_or_default(), status: self.session.status() | more }
    }

    pub(super) fn ok(&self) {
        reply::ok(&mut self.line.outgoing(), self.manner().status, self.session.warnings.len());
    }

    fn end(&self) {
        let Manner { deprecate_eof, status } = self.manner();
        reply::end(&mut self.line.outgoing(), deprecate_eof, status, self.session.warnings.len());
    }

    /// Commands that wait for nothing.
    fn small(&mut self, command: Command) -> Result<(), Fault> {
        match command {
            Command::Database(name) => {
                self.enter(&dialect::readable(name)?)?;
                self.session.warnings.clear();
                self.ok();
            }
            Command::Ping => self.ok(),
            Command::Reset => {
                self.session.reset();
                self.line.set_idle(self.session.number("wait_timeout"));
                self.ok();
            }
            // No columns: there is nothing to complete names with.
            Command::FieldList => self.end(),
            // Several statements in one text: on, off.
            Command::Option(option @ (0 | 1)) => {
                self.session.several = option == 0;
                self.end();
            }
            Command::Statistics => {
                let summary = self.line.service.connections.summary();
                reply::sentence(&mut self.line.outgoing(), &summary);
            }
            Command::Kill(id) => {
                self.kill(id, true)?;
                self.ok();
            }
            Command::ResetStatement(id) => {
                self.prepared(id, "mysqld_stmt_reset")?.forget();
                self.ok();
            }
            Command::Fetch(id) => {
                self.prepared(id, "mysqld_stmt_fetch")?;
                return Err(SqlError::new(1421, "HY000", format!("The statement ({id}) has no open cursor.")).into());
            }
            Command::Broken(error) => return Err(Fault::Last(error)),
            Command::Malformed => return Err(SqlError::new(1835, "HY000", "Malformed communication packet.").into()),
            _ => return Err(SqlError::new(1047, "08S01", "Unknown command").into()),
        }
        Ok(())
    }

    pub(super) fn enter(&mut self, database: &str) -> Result<(), SqlError> {
        self.session.enter(database)?;
        self.line.entry.is_of(&self.session.user, self.session.database.as_deref());
        Ok(())
    }

    pub(super) fn kill(&self, id: u32, connection: bool) -> Result<(), SqlError> {
        let found = self.line.service.connections.kill(id, connection);
        if found { Ok(()) } else { Err(SqlError::new(1094, "HY000", format!("Unknown thread id: {id}"))) }
    }

    fn prepared(&mut self, id: u32, caller: &str) -> Result<&mut Prepared, SqlError> {
        let unknown = || SqlError::new(1243, "HY000", format!("Unknown prepared statement handler ({id}) given to {caller}"));
        self.session.prepared.get_mut(&id).ok_or_else(unknown)
    }

    /// Understands a statement, with parameters of these types where they are known.
    async fn compile(&mut self, text: &str, types: Arc<[SqlType]>) -> Result<(Compiled, Arc<Context>), SqlError> {
        let context = Arc::new(Context { params: types, ..self.session.context() });
        if let Some((query, what, values)) = self.session.known.find(text, &context) {
            return Ok((Compiled::Query(query, what, values), context));
        }
        let backend = &self.line.service.backend;
        let statement = if text.len() <= LONG_STATEMENT_BYTES {
            backend.compile(text, &context)?
        } else {
            let (backend, text, shared) = (backend.clone(), text.to_owned(), context.clone());
            let compiled = tokio::task::spawn_blocking(move || backend.compile(&text, &shared)).await;
            compiled.map_err(|_| SqlError::new(1053, "08S01", "Server shutdown in progress"))??
        };
        let (query, what) = match statement {
            Statement::Query(query) => (Arc::new(query), What::Run),
            Statement::Explain(query) => (Arc::new(query), What::Explain),
            Statement::Do(query) => (Arc::new(query), What::Drop),
            other => return Ok((Compiled::Change(other), context)),
        };
        self.session.known.keep(text, &context.params, &query, what);
        let values = query.values();
        Ok((Compiled::Query(query, what, values), context))
    }

    async fn query(&mut self, text_bytes: Vec<u8>) -> Result<(), Fault> {
        self.line.service.connections.counters.statements.fetch_add(1, Relaxed);
        let text = dialect::readable(text_bytes)?;
        if !self.session.several {
            return self.statement(&text).await;
        }
        let mut rest = text.as_str();
        loop {
            let (statement, behind) = dialect::split(rest);
            self.more = !dialect::is_blank(behind);
            // One of them, in the client's eyes, which hears of each end by itself.
            self.statement(statement).await?;
            if !self.more {
                return Ok(());
            }
            // A text may hold a million of them, and the client may take none of their answers.
            if self.line.outgoing().is_full() {
                unless(&self.line, Interrupt::Query, self.line.drain()).await??;
            }
            pause(&self.line).await?;
            self.line.entry.ends(&self.line.service.connections, None);
            self.line.service.connections.counters.statements.fetch_add(1, Relaxed);
            rest = behind;
        }
    }

    /// Answers one statement.
    async fn statement(&mut self, text: &str) -> Result<(), Fault> {
        self.line.entry.begins("Query", Some(text));
        let (compiled, context) = self.compile(text, Arc::default()).await?;
        if compiled.params() > 0 {
            return Err(SqlError::syntax("A parameter ('?') can only stand in a prepared statement").into());
        }
        self.carry_out(compiled, Vec::new(), context, text, false).await
    }

    async fn carry_out(
        &mut self,
        compiled: Compiled,
        mut params: Vec<Datum>,
        context: Arc<Context>,
        text: &str,
        binary: bool,
    ) -> Result<(), Fault> {
        let (query, what) = match compiled {
            Compiled::Query(query, what, values) => {
                params.extend(values);
                (query, what)
            }
            Compiled::Change(statement) => return self.change(statement, params, context).await,
        };
        if text.contains(":=") {
            self.session.known.clear();
        }
        self.notice(&query);
        let job = Job { query, params, context, what, binary };
        let (warnings, found) = run(&self.line, job, self.manner()).await?;
        match what {
            What::Drop => self.session.own.did(None, 0),
            _ => self.session.own.did(Some(found), -1),
        }
        if !asks_for_warnings(text) {
            self.session.warnings = warnings;
        }
        if what == What::Drop {
            self.ok()
        } else {
            self.end()
        }
        Ok(())
    }

    /// A query that reads tables may begin a transaction.
    pub(super) fn notice(&mut self, query: &Query) {
        if query.uses.iter().any(|table| catalog::table(catalog::DATABASE, table).is_some()) {
            self.session.reads();
        }
    }

    async fn prepare(&mut self, text_bytes: Vec<u8>) -> Result<(), Fault> {
        let text = dialect::readable(text_bytes)?;
        self.line.entry.begins("Prepare", Some(&text));
        let service = self.line.service.clone();
        let max = service.options.statements_max;
        if self.session.prepared.len() >= max {
            let told = format!("Can't create more than max_prepared_stmt_count statements (current value: {max})");
            return Err(SqlError::new(1461, "42000", told).into());
        }
        let (compiled, context) = self.compile(&text, Arc::default()).await?;
        let params = compiled.params();
        let (columns, check) = match compiled {
            Compiled::Query(query, What::Explain, _) => (explain_columns(), Some(query)),
            Compiled::Query(query, What::Drop, _) => (Vec::new(), Some(query)),
            Compiled::Query(query, ..) => (query.columns.clone(), Some(query)),
            Compiled::Change(Statement::Into(query, _)) => (Vec::new(), Some(Arc::new(query))),
            Compiled::Change(_) => (Vec::new(), None),
        };
        if params > COUNTED_MAX || columns.len() > COUNTED_MAX {
            return Err(SqlError::new(1390, "HY000", "Prepared statement contains too many placeholders").into());
        }
        let mut warnings = Vec::new();
        if let Some(query) = check {
            warnings = self.check(query, context).await?;
        }
        let kept = Prepared::new(text, params, &service.kept);
        let kept =
            kept.ok_or_else(|| SqlError::new(1041, "HY000", "Out of memory for prepared statements of all connections"))?;
        let id = self.next_id();
        self.session.prepared.insert(id, kept);
        self.session.warnings = warnings;
        let shapes: Vec<_> = (0..params).map(|_| expression("?", SqlType::Text)).collect();
        let (manner, count) = (self.manner(), self.session.warnings.len());
        reply::prepared(&mut self.line.outgoing(), id, &shapes, &columns, manner, count);
        Ok(())
    }

    async fn check(&self, query: Arc<Query>, context: Arc<Context>) -> Result<Vec<crate::sql::context::Warning>, Fault> {
        let params = vec![Datum::Null; query.params + query.literals.len()];
        let job = Job { query, params, context, what: What::Check, binary: true };
        Ok(run(&self.line, job, self.manner()).await?.0)
    }

    fn next_id(&mut self) -> u32 {
        let mut id = self.session.last_prepared.wrapping_add(1).max(1);
        while self.session.prepared.contains_key(&id) {
            id = id.wrapping_add(1).max(1);
        }
        self.session.last_prepared = id;
        id
    }

    async fn execute(&mut self, payload: &[u8]) -> Result<(), Fault> {
        self.line.service.connections.counters.statements.fetch_add(1, Relaxed);
        let mut input = Input(payload.get(1..).unwrap_or_default());
        let id = input.u32().ok_or_else(|| SqlError::new(1835, "HY000", "Malformed communication packet."))?;
        let prepared = self.prepared(id, "mysqld_stmt_execute")?;
        let text = prepared.text.clone();
        let decoded = match prepared.fault() {
            Some(_) => Ok(Params::default()),
            None => prepared.bound.decode(input),
        };
        // Long values are for one execution, even for one that fails.
        if let Some(fault) = prepared.forget() {
            return Err(fault.into());
        }
        let Params { values, types } = decoded?;
        self.line.entry.begins("Execute", Some(&text));
        let (compiled, context) = self.compile(&text, types.into()).await?;
        self.carry_out(compiled, values, context, &text, true).await
    }

    /// There is no answer to it, whatever is wrong.
    fn long_data(&mut self, id: u32, param: u16, data: &[u8]) {
        let service = self.line.service.clone();
        let others: usize = self.session.prepared.iter().filter(|(other, _)| **other != id).map(|(_, p)| p.long_bytes()).sum();
        let left = service.options.packet_bytes_max.saturating_sub(others);
        if let Some(prepared) = self.session.prepared.get_mut(&id) {
            prepared.append(param, data, left, &service.kept);
        }
    }
}

/// What a statement before this one warned of stays.
fn asks_for_warnings(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(40).collect::<String>().to_ascii_lowercase();
    let mut words = start.split_whitespace();
    let shows = words.next() == Some("show")
        && words.next().is_some_and(|word| ["warnings", "errors", "count"].iter().any(|w| word.starts_with(w)));
    shows || start.contains("@@warning_count") || start.contains("@@error_count")
}
