//! Queries: WITH, UNION and its kin, ORDER BY, LIMIT.

use sqlparser::ast::{Cte as WrittenCte, Expr, LimitClause, Offset, OrderBy, OrderByExpr, OrderByKind, Query, SetExpr, With};

use super::compiler::{Compiled, Compiler, Cte, as_source};
use super::errors::duplicate_column;
use super::literal::name as quoted;
use super::look;
use super::nothing;
use super::scope::Item;
use super::typed::{Kind, Written};
use super::union::unify;
use crate::sql::error::SqlError;
use crate::sql::statement::{Amount, OutColumn, Window};

/// One SELECT of a UNION: its items can still be coerced.
pub(super) struct Part {
    /// How it is joined to the one before: `UNION ALL`; empty for the first.
    pub(super) joined: &'static str,
    /// `SELECT`, `SELECT DISTINCT`.
    pub(super) head: &'static str,
    pub(super) items: Vec<Item>,
    /// From FROM on.
    pub(super) rest: String,
}

impl Compiler<'_> {
    /// A query wherever one may stand. `outermost` takes the session's limit when it has none of its own.
    pub(super) fn query(&mut self, query: &Query, outermost: bool) -> Result<Compiled, SqlError> {
        self.queries += 1;
        self.deeper(|compiler| {
            let visible = compiler.ctes.len();
            let compiled = compiler.whole_query(query, outermost);
            compiler.ctes.truncate(visible);
            compiled
        })
    }

    fn whole_query(&mut self, query: &Query, outermost: bool) -> Result<Compiled, SqlError> {
        if let Some(inner) = only_in_parentheses(query) {
            return self.whole_query(&inner, outermost);
        }
        if query.fetch.is_some() || query.for_clause.is_some() || query.settings.is_some() || query.format_clause.is_some() {
            return Err(SqlError::syntax("FETCH, FOR XML, SETTINGS and FORMAT are not MySQL's; LIMIT n is"));
        }
        if !query.pipe_operators.is_empty() {
            return Err(SqlError::syntax("|> is not MySQL's"));
        }
        let recursion = std::mem::take(&mut self.recursion);
        let never = std::mem::take(&mut self.never) || nothing::is_limit_0(query.limit_clause.as_ref());
        let with = query.with.as_ref().map(|with| self.with(with)).transpose()?.unwrap_or_default();
        let order = order_expressions(query.order_by.as_ref())?;
        let mut order_sql = String::new();
        let mut parts = Vec::new();
        match query.body.as_ref() {
            SetExpr::Select(select) => {
                self.never = never;
                self.look = look::table(query).filter(|_| outermost);
                parts.push(self.select(select, order, &mut order_sql)?);
            }
            body => {
                self.recursion = recursion;
                self.set_operations(body, &mut parts, never)?;
                unify(&mut parts, self.zone())?;
                order_sql = self.order_of_union(order, &mut parts)?;
            }
        }
        let counts = outermost && self.source.counts_rows();
        let limit = match &query.limit_clause {
            Some(limit) if counts => {
                self.window = Some(self.window_of(limit)?);
                String::new()
            }
            Some(limit) => self.limit(limit)?,
            None if counts => {
                self.window = Some(Window { skip: Amount::Is(0), take: Amount::Is(self.context.select_limit) });
                String::new()
            }
            None if outermost && self.context.select_limit != u64::MAX => {
                format!(" LIMIT {}", i64::try_from(self.context.select_limit).unwrap_or(i64::MAX))
            }
            None => String::new(),
        };
        let columns = parts.first().map(|first| out_columns(&first.items)).unwrap_or_default();
        let body: Vec<String> = parts.iter().map(render).collect();
        Ok(Compiled { sql: format!("{with}{}{order_sql}{limit}", body.join(" ")), columns })
    }

    fn with(&mut self, with: &With) -> Result<String, SqlError> {
        let mut ctes = Vec::new();
        for cte in &with.cte_tables {
            ctes.push(self.cte(cte, with.recursive)?);
        }
        let recursive = if with.recursive { "RECURSIVE " } else { "" };
        Ok(format!("WITH {recursive}{} ", ctes.join(", ")))
    }

    fn cte(&mut self, cte: &WrittenCte, recursive: bool) -> Result<String, SqlError> {
        let name = cte.alias.name.value.clone();
        let sqlite = self.fresh("cte");
        let names: Vec<&str> = cte.alias.columns.iter().map(|column| column.name.value.as_str()).collect();
        if recursive && matches!(cte.query.body.as_ref(), SetExpr::SetOperation { .. }) {
            // The types of the recursion are those of what it starts from.
            let mut first = cte.query.body.as_ref();
            while let SetExpr::SetOperation { left, .. } = first {
                first = left;
            }
            let (tasks, uses, fresh) = (self.tasks, self.uses.clone(), self.names);
            if let Ok(anchor) = self.part(first, "") {
                let mut columns = out_columns(&anchor.items);
                rename(&mut columns, &names)?;
                let mut columns = as_source(&columns);
                columns.iter_mut().for_each(|column| column.nullable = true);
                self.ctes.push(Cte { name: name.clone(), sqlite: sqlite.clone(), columns });
            }
            (self.tasks, self.uses, self.names) = (tasks, uses, fresh);
        }
        let scopes = std::mem::take(&mut self.scopes);
        self.recursion = recursive;
        let compiled = self.query(&cte.query, false);
        self.scopes = scopes;
        let mut compiled = compiled?;
        rename(&mut compiled.columns, &names)?;
        unique(&compiled.columns)?;
        let list: Vec<String> = compiled.columns.iter().map(|column| quoted(&column.name)).collect();
        let text = format!("{}({}) AS ({})", quoted(&sqlite), list.join(", "), compiled.sql);
        self.ctes.push(Cte { name, sqlite, columns: as_source(&compiled.columns) });
        Ok(text)
    }

    fn limit(&mut self, limit: &LimitClause) -> Result<String, SqlError> {
        let (limit, offset) = counts_of(limit)?;
        let limit = self.count(limit)?;
        match offset {
            Some(offset) => Ok(format!(" LIMIT {limit} OFFSET {}", self.count(offset)?)),
            None => Ok(format!(" LIMIT {limit}")),
        }
    }

    fn window_of(&mut self, limit: &LimitClause) -> Result<Window, SqlError> {
        let (take, skip) = counts_of(limit)?;
        let skip = skip.map_or(Ok(Amount::Is(0)), |skip| self.amount(skip))?;
        Ok(Window { skip, take: self.amount(take)? })
    }

    /// A number of rows in SQLite's SQL.
    fn count(&mut self, expr: &Expr) -> Result<String, SqlError> {
        Ok(match self.amount(expr)? {
            Amount::Is(count) => i64::try_from(count).unwrap_or(i64::MAX).to_string(),
            // Of a type that is not known yet: nothing has been executed.
            Amount::Param(number) if self.context.params.is_empty() => format!("?{number}"),
            Amount::Param(number) => format!("z4_limit(?{number})"),
        })
    }

    fn amount(&mut self, expr: &Expr) -> Result<Amount, SqlError> {
        let typed = self.expression(expr)?;
        match (typed.written, &typed.kind) {
            (Some(Written::Param(number)), _) => Ok(Amount::Param(number)),
            (_, Kind::Number(text)) => match text.parse() {
                Ok(count) => Ok(Amount::Is(count)),
                Err(_) => Err(SqlError::syntax(format!("LIMIT and OFFSET take whole numbers, not {text}"))),
            },
            _ => Err(SqlError::syntax("LIMIT and OFFSET take whole numbers or ?")),
        }
    }
}

/// The numbers of a LIMIT: how many rows, and how many before them.
fn counts_of(limit: &LimitClause) -> Result<(&Expr, Option<&Expr>), SqlError> {
    let (limit, offset) = match limit {
        LimitClause::LimitOffset { limit, offset, limit_by } if limit_by.is_empty() => {
            (limit.as_ref(), offset.as_ref().map(|Offset { value, .. }| value))
        }
        LimitClause::LimitOffset { .. } => return Err(SqlError::syntax("LIMIT BY is not MySQL's")),
        LimitClause::OffsetCommaLimit { offset, limit } => (Some(limit), Some(offset)),
    };
    let limit = limit.ok_or_else(|| SqlError::syntax("OFFSET needs a LIMIT before it"))?;
    Ok((limit, offset))
}

pub(super) fn order_expressions(order: Option<&OrderBy>) -> Result<&[OrderByExpr], SqlError> {
    match order.map(|order| (&order.kind, &order.interpolate)) {
        None => Ok(&[]),
        Some((OrderByKind::Expressions(expressions), None)) => Ok(expressions),
        Some(_) => Err(SqlError::syntax("ORDER BY ALL and INTERPOLATE are not MySQL's")),
    }
}

/// `(query) ORDER BY … LIMIT …` where the query has no LIMIT: one query with them. Of two orders the outer one counts; SQLite forgets
/// the order of an inner query.
fn only_in_parentheses(query: &Query) -> Option<Query> {
    let SetExpr::Query(inner) = query.body.as_ref() else { return None };
    let order_by = query.order_by.as_ref().or(inner.order_by.as_ref());
    let plain = inner.with.is_none() && inner.limit_clause.is_none() && inner.fetch.is_none() && inner.for_clause.is_none();
    plain.then(|| Query { body: inner.body.clone(), order_by: order_by.cloned(), ..query.clone() })
}

/// ` DESC`, or nothing.
pub(super) fn direction(term: &OrderByExpr) -> Result<&'static str, SqlError> {
    use sqlparser::ast::OrderBySort;
    if term.options.nulls_first.is_some() || term.with_fill.is_some() {
        return Err(SqlError::syntax("NULLS FIRST, NULLS LAST and WITH FILL are not MySQL's"));
    }
    match &term.options.sort {
        None | Some(OrderBySort::Asc) => Ok(""),
        Some(OrderBySort::Desc) => Ok(" DESC"),
        Some(_) => Err(SqlError::syntax("ORDER BY … USING is not MySQL's")),
    }
}

pub(super) fn render(part: &Part) -> String {
    let items: Vec<String> = part.items.iter().map(|item| format!("{} AS {}", item.typed.sql, quoted(&item.name))).collect();
    let joined = if part.joined.is_empty() { String::new() } else { format!("{} ", part.joined) };
    format!("{joined}{} {}{}", part.head, items.join(", "), part.rest)
}

pub(super) fn out_columns(items: &[Item]) -> Vec<OutColumn> {
    let out = |item: &Item| OutColumn {
        name: item.name.clone(),
        table: item.typed.column.as_ref().map(|column| column.table.clone()).unwrap_or_default(),
        origin: item.typed.column.as_ref().and_then(|column| column.origin),
        ty: item.typed.ty,
        nullable: item.typed.nullable,
        whole: item.typed.whole_digits(),
    };
    items.iter().map(out).collect()
}

/// Gives the columns the names of a list behind an alias.
pub(super) fn rename(columns: &mut [OutColumn], names: &[&str]) -> Result<(), SqlError> {
    if names.is_empty() {
        return Ok(());
    }
    if names.len() != columns.len() {
        return Err(SqlError::new(1353, "HY000", "The list of column names and the query have different numbers of columns"));
    }
    for (column, name) in columns.iter_mut().zip(names) {
        column.name = (*name).to_owned();
    }
    Ok(())
}

/// A table has no two columns of one name.
pub(super) fn unique(columns: &[OutColumn]) -> Result<(), SqlError> {
    let mut names = std::collections::HashSet::new();
    match columns.iter().find(|column| !names.insert(column.name.to_lowercase())) {
        Some(column) => Err(duplicate_column(&column.name)),
        None => Ok(()),
    }
}
