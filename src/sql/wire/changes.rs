//! Statements that have no rows for the client: they change the session.

use std::io;
use std::sync::Arc;

use super::answer::Answerer;
use super::connections::Interrupt;
use super::fault::Fault;
use super::run::{Collected, Job, collect, unless};
use crate::sql::context::{Context, Warning};
use crate::sql::error::SqlError;
use crate::sql::own::UserValue;
use crate::sql::sqlite::What;
use crate::sql::statement::{Given, Query, Statement, Transaction};
use crate::sql::types::{Datum, SqlType};

impl Answerer {
    /// Carries it out, and answers OK.
    pub(super) async fn change(&mut self, statement: Statement, params: Vec<Datum>, context: Arc<Context>) -> Result<(), Fault> {
        let (mut done, mut ends) = ((None, 0), false);
        let warnings = match statement {
            Statement::Set(assignments) => self.set(assignments, params, &context).await?,
            Statement::Into(query, names) => {
                let (warnings, rows) = self.keep_row(query, names, params, context).await?;
                done = (Some(rows), rows as i64);
                warnings
            }
            Statement::Transaction(change) => {
                ends = matches!(change, Transaction::End { release: true, .. });
                self.session.transact(change);
                Vec::new()
            }
            Statement::Use(database) => {
                self.enter(&database)?;
                Vec::new()
            }
            Statement::Kill { id, connection } => {
                self.kill(id, connection)?;
                Vec::new()
            }
            Statement::Nothing | Statement::Query(_) | Statement::Explain(_) | Statement::Do(_) => Vec::new(),
        };
        self.session.warnings = warnings;
        self.session.own.did(done.0, done.1);
        self.ok();
        if ends {
            unless(&self.line, Interrupt::Gone, self.line.drain()).await??;
            return Err(Fault::Gone(io::ErrorKind::ConnectionAborted.into()));
        }
        Ok(())
    }

    async fn rows_of(
        &mut self,
        query: Query,
        params: Vec<Datum>,
        context: &Arc<Context>,
        rows_max: usize,
    ) -> Result<Collected, Fault> {
        self.session.known.clear();
        self.notice(&query);
        let job = Job { query: Arc::new(query), params, context: context.clone(), what: What::Run, binary: false };
        collect(&self.line, job, rows_max).await
    }

    /// Every value is known before the first variable is set.
    async fn set(
        &mut self,
        assignments: Vec<(String, Given)>,
        params: Vec<Datum>,
        context: &Arc<Context>,
    ) -> Result<Vec<Warning>, Fault> {
        let (mut system, mut user) = (Vec::new(), Vec::new());
        for (name, given) in assignments {
            let value = match given {
                Given::Default => None,
                Given::Is(datum) => Some(kept(datum)),
                Given::Of(query, first) => {
                    let own = params.get(first..first + query.params).unwrap_or_default().to_vec();
                    Some(self.value_of(*query, own, context).await?)
                }
            };
            match (name.strip_prefix('@').filter(|rest| !rest.starts_with('@')), value) {
                (Some(name), Some(value)) => user.push((name.to_owned(), value)),
                (_, value) => system.push((name, value.map(setting))),
            }
        }
        let warnings = self.session.set(system)?;
        self.line.set_idle(self.session.number("wait_timeout"));
        for (name, value) in user {
            self.session.own.assign(&name, value)?;
        }
        Ok(warnings)
    }

    async fn value_of(&mut self, query: Query, params: Vec<Datum>, context: &Arc<Context>) -> Result<UserValue, Fault> {
        let found = self.rows_of(query, params, context, 1).await?;
        Ok(found.rows.into_iter().flatten().next().unwrap_or(kept(Datum::Null)))
    }

    async fn keep_row(
        &mut self,
        query: Query,
        names: Vec<String>,
        params: Vec<Datum>,
        context: Arc<Context>,
    ) -> Result<(Vec<Warning>, u64), Fault> {
        let Collected { mut rows, mut warnings } = self.rows_of(query, params, &context, 2).await?;
        if rows.len() > 1 {
            return Err(SqlError::new(1172, "42000", "Result consisted of more than one row").into());
        }
        let Some(row) = rows.pop() else {
            let error = SqlError::new(1329, "02000", "No data - zero rows fetched, selected, or processed");
            warnings.push(Warning { level: "Warning", error });
            return Ok((warnings, 0));
        };
        for (name, value) in names.iter().zip(row) {
            self.session.own.assign(name, value)?;
        }
        Ok((warnings, 1))
    }
}

/// A literal as a user variable keeps it.
fn kept(datum: Datum) -> UserValue {
    let ty = match &datum {
        Datum::Int(_) => SqlType::Int,
        Datum::UInt(_) => SqlType::UInt,
        Datum::Double(_) => SqlType::Double,
        Datum::Blob(_) => SqlType::Blob,
        Datum::Null | Datum::Text(_) => SqlType::Text,
    };
    UserValue { datum, ty }
}

/// A value as a system variable takes it: digits of a DECIMAL are a number.
fn setting(value: UserValue) -> Datum {
    match value {
        UserValue { datum: Datum::Text(digits), ty: SqlType::Decimal(_) } => {
            digits.parse().map(Datum::Double).unwrap_or(Datum::Text(digits))
        }
        UserValue { datum: Datum::Blob(bytes), .. } => Datum::Text(String::from_utf8_lossy(&bytes).into_owned()),
        UserValue { datum, .. } => datum,
    }
}
