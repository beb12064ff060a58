//! Queries: WITH, UNION and its kin, ORDER BY, LIMIT.

use sqlparser::ast::{
    Cte as WrittenCte, Expr, LimitClause, Offset, OrderBy, OrderByExpr, OrderByKind, Query, SetExpr, SetOperator, SetQuantifier,
    Value, Values, With,
};

use super::compiler::{Compiled, Compiler, Cte, as_source};
use super::errors::{column_counts, duplicate_column, unknown_column};
use super::literal::name as quoted;
use super::nothing;
use super::scope::{Clause, Item, Scope};
use super::typed::{Column, Kind, Typed, common};
use crate::sql::error::SqlError;
use crate::sql::statement::OutColumn;
use crate::sql::types::SqlType;

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
        self.deeper(|compiler| {
            let visible = compiler.ctes.len();
            let compiled = compiler.whole_query(query, outermost);
            compiler.ctes.truncate(visible);
            compiled
        })
    }

    fn whole_query(&mut self, query: &Query, outermost: bool) -> Result<Compiled, SqlError> {
        if query.fetch.is_some() || query.for_clause.is_some() || query.settings.is_some() || query.format_clause.is_some() {
            return Err(SqlError::syntax("FETCH, FOR XML, SETTINGS and FORMAT are not MySQL's; LIMIT n is"));
        }
        if !query.pipe_operators.is_empty() {
            return Err(SqlError::syntax("|> is not MySQL's"));
        }
        let never = std::mem::take(&mut self.never) || nothing::is_limit_0(query.limit_clause.as_ref());
        let with = query.with.as_ref().map(|with| self.with(with)).transpose()?.unwrap_or_default();
        let order = order_expressions(query.order_by.as_ref())?;
        let mut order_sql = String::new();
        let mut parts = Vec::new();
        match query.body.as_ref() {
            SetExpr::Select(select) => {
                self.never = never;
                parts.push(self.select(select, order, &mut order_sql)?);
            }
            body => {
                self.set_operations(body, &mut parts, never)?;
                order_sql = self.order_of_union(order, &parts)?;
            }
        }
        unify(&mut parts, self.zone())?;
        let limit = match &query.limit_clause {
            Some(limit) => self.limit(limit)?,
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

    /// The SELECTs of a chain of UNION, EXCEPT and INTERSECT, which SQLite joins from left to right as well.
    fn set_operations(&mut self, body: &SetExpr, parts: &mut Vec<Part>, never: bool) -> Result<(), SqlError> {
        let mut chain = Vec::new();
        let mut first = body;
        while let SetExpr::SetOperation { left, op, set_quantifier, right } = first {
            chain.push((joined(*op, *set_quantifier)?, right.as_ref()));
            first = left;
        }
        self.never = never;
        parts.push(self.part(first, "")?);
        for (joined, right) in chain.into_iter().rev() {
            self.never = never;
            let part = self.part(right, joined)?;
            parts.push(part);
        }
        Ok(())
    }

    fn part(&mut self, body: &SetExpr, joined: &'static str) -> Result<Part, SqlError> {
        let part = match body {
            SetExpr::Select(select) => self.select(select, &[], &mut String::new())?,
            SetExpr::Values(values) => {
                self.never = false;
                self.values(values)?
            }
            SetExpr::Query(query) => {
                let compiled = self.query(query, false)?;
                self.wrapped(compiled)
            }
            SetExpr::SetOperation { .. } => {
                let never = std::mem::take(&mut self.never);
                let compiled = self.deeper(|compiler| {
                    let mut parts = Vec::new();
                    compiler.set_operations(body, &mut parts, never)?;
                    unify(&mut parts, compiler.zone())?;
                    let columns = parts.first().map(|first| out_columns(&first.items)).unwrap_or_default();
                    Ok(Compiled { sql: parts.iter().map(render).collect::<Vec<_>>().join(" "), columns })
                })?;
                self.wrapped(compiled)
            }
            SetExpr::Table(table) => {
                let (Some(name), schema) = (&table.table_name, table.schema_name.as_deref()) else {
                    return Err(SqlError::syntax("TABLE needs the name of a table"));
                };
                let never = std::mem::take(&mut self.never);
                self.scopes.push(Scope { never, ..Scope::new() });
                let part = self.table_statement(schema, name);
                self.scopes.pop();
                part?
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                return Err(SqlError::read_only("a write inside a query"));
            }
        };
        Ok(Part { joined, ..part })
    }

    /// A query as a SELECT of all of its columns: where SQLite takes no parentheses.
    fn wrapped(&mut self, compiled: Compiled) -> Part {
        let alias = self.fresh("part");
        let item = |column: &OutColumn| {
            let origin = Column { table: column.table.clone(), name: column.name.clone(), origin: column.origin };
            let column_of = (!column.table.is_empty()).then_some(origin);
            let sql = format!("{}.{}", quoted(&alias), quoted(&column.name));
            Item {
                name: column.name.clone(),
                typed: Typed { column: column_of, ..Typed::new(sql, column.ty) }.null_if(column.nullable),
            }
        };
        let items = compiled.columns.iter().map(item).collect();
        Part { joined: "", head: "SELECT", items, rest: format!(" FROM ({}) AS {}", compiled.sql, quoted(&alias)) }
    }

    fn values(&mut self, values: &Values) -> Result<Part, SqlError> {
        let mut rows = Vec::new();
        for row in &values.rows {
            rows.push(row.content.iter().map(|value| self.expression(value)).collect::<Result<Vec<_>, _>>()?);
        }
        let mut types = Vec::new();
        for row in &rows {
            types.resize(row.len().max(types.len()), SqlType::Null);
            if rows.first().is_some_and(|first| first.len() != row.len()) {
                return Err(SqlError::new(1136, "21S01", "Column count doesn't match value count at row 1"));
            }
            types = types.iter().zip(row).map(|(ty, value)| common(*ty, value.ty)).collect();
        }
        let zone = self.zone();
        let fit = |row: Vec<Typed>| {
            let values: Vec<String> = row.into_iter().zip(&types).map(|(value, ty)| value.fitted(*ty, zone).sql).collect();
            format!("({})", values.join(", "))
        };
        let rows: Vec<String> = rows.into_iter().map(fit).collect();
        let item = |(at, ty): (usize, &SqlType)| Item {
            name: format!("column_{at}"),
            typed: Typed::new(format!("column{}", at + 1), *ty),
        };
        let items = types.iter().enumerate().map(item).collect();
        Ok(Part { joined: "", head: "SELECT", items, rest: format!(" FROM (VALUES {})", rows.join(", ")) })
    }

    /// ORDER BY behind a UNION: columns of the result, by name or place.
    fn order_of_union(&mut self, order: &[OrderByExpr], parts: &[Part]) -> Result<String, SqlError> {
        let items: &[Item] = parts.first().map(|part| part.items.as_slice()).unwrap_or_default();
        let mut terms = Vec::new();
        for term in order {
            let place = match &term.expr {
                Expr::Identifier(name) => items.iter().position(|item| item.name.eq_ignore_ascii_case(&name.value)),
                Expr::Value(value) => match &value.value {
                    Value::Number(text, _) => {
                        text.parse::<usize>().ok().filter(|at| (1..=items.len()).contains(at)).map(|at| at - 1)
                    }
                    Value::Null => continue,
                    _ => None,
                },
                _ => None,
            };
            let place = place.ok_or_else(|| unknown_column(&term.expr.to_string(), Clause::Order.words()))?;
            terms.push(format!("{}{}", place + 1, direction(term)?));
        }
        Ok(if terms.is_empty() { String::new() } else { format!(" ORDER BY {}", terms.join(", ")) })
    }

    fn limit(&mut self, limit: &LimitClause) -> Result<String, SqlError> {
        let (limit, offset) = match limit {
            LimitClause::LimitOffset { limit, offset, limit_by } if limit_by.is_empty() => {
                (limit.as_ref(), offset.as_ref().map(|Offset { value, .. }| value))
            }
            LimitClause::LimitOffset { .. } => return Err(SqlError::syntax("LIMIT BY is not MySQL's")),
            LimitClause::OffsetCommaLimit { offset, limit } => (Some(limit), Some(offset)),
        };
        let Some(limit) = limit else { return Err(SqlError::syntax("OFFSET needs a LIMIT before it")) };
        let limit = self.count(limit)?;
        match offset {
            Some(offset) => Ok(format!(" LIMIT {limit} OFFSET {}", self.count(offset)?)),
            None => Ok(format!(" LIMIT {limit}")),
        }
    }

    fn count(&mut self, expr: &Expr) -> Result<String, SqlError> {
        let typed = self.expression(expr)?;
        match &typed.kind {
            Kind::Param => Ok(typed.sql),
            Kind::Number(text) => match text.parse::<u64>() {
                Ok(count) => Ok(i64::try_from(count).unwrap_or(i64::MAX).to_string()),
                Err(_) => Err(SqlError::syntax(format!("LIMIT and OFFSET take whole numbers, not {text}"))),
            },
            _ => Err(SqlError::syntax("LIMIT and OFFSET take whole numbers or ?")),
        }
    }
}

fn joined(op: SetOperator, quantifier: SetQuantifier) -> Result<&'static str, SqlError> {
    match (op, quantifier) {
        (SetOperator::Union, SetQuantifier::All) => Ok("UNION ALL"),
        (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) => Ok("UNION"),
        (SetOperator::Except, SetQuantifier::None | SetQuantifier::Distinct) => Ok("EXCEPT"),
        (SetOperator::Intersect, SetQuantifier::None | SetQuantifier::Distinct) => Ok("INTERSECT"),
        _ => Err(SqlError::unsupported(format!("{op} {quantifier} is not done by z4; UNION [ALL], EXCEPT and INTERSECT are"))),
    }
}

pub(super) fn order_expressions(order: Option<&OrderBy>) -> Result<&[OrderByExpr], SqlError> {
    match order.map(|order| (&order.kind, &order.interpolate)) {
        None => Ok(&[]),
        Some((OrderByKind::Expressions(expressions), None)) => Ok(expressions),
        Some(_) => Err(SqlError::syntax("ORDER BY ALL and INTERPOLATE are not MySQL's")),
    }
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

/// Coerces the columns of each SELECT to what all of them fit into.
fn unify(parts: &mut [Part], zone_seconds: i32) -> Result<(), SqlError> {
    let Some(first) = parts.first() else { return Ok(()) };
    let width = first.items.len();
    if parts.iter().any(|part| part.items.len() != width) {
        return Err(column_counts());
    }
    if parts.len() < 2 {
        return Ok(());
    }
    for at in 0..width {
        let of = |part: &Part| part.items.get(at).map(|item| (item.typed.ty, item.typed.nullable));
        let types: Vec<(SqlType, bool)> = parts.iter().filter_map(of).collect();
        let ty = types.iter().map(|(ty, _)| *ty).reduce(common).unwrap_or(SqlType::Null);
        let nullable = types.iter().any(|(_, nullable)| *nullable);
        for item in parts.iter_mut().filter_map(|part| part.items.get_mut(at)) {
            item.typed = Typed { nullable, column: None, ..item.typed.clone().fitted(ty, zone_seconds) };
        }
    }
    Ok(())
}

fn render(part: &Part) -> String {
    let items: Vec<String> = part.items.iter().map(|item| format!("{} AS {}", item.typed.sql, quoted(&item.name))).collect();
    let joined = if part.joined.is_empty() { String::new() } else { format!("{} ", part.joined) };
    format!("{joined}{} {}{}", part.head, items.join(", "), part.rest)
}

fn out_columns(items: &[Item]) -> Vec<OutColumn> {
    let out = |item: &Item| OutColumn {
        name: item.name.clone(),
        table: item.typed.column.as_ref().map(|column| column.table.clone()).unwrap_or_default(),
        origin: item.typed.column.as_ref().and_then(|column| column.origin),
        ty: item.typed.ty,
        nullable: item.typed.nullable,
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
