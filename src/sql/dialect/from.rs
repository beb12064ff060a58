//! FROM: tables, derived tables, joins.

use sqlparser::ast::{Join, JoinConstraint, JoinOperator, ObjectName, Query, TableAlias, TableFactor, TableWithJoins};

use super::compiler::{Compiler, as_source, parts};
use super::errors::{no_database, no_such_table, not_unique, unknown_column, unknown_database};
use super::lateral;
use super::literal::name as quoted;
use super::query::{rename, unique};
use super::scope::{Clause, TableSource};
use crate::sql::catalog;
use crate::sql::error::SqlError;

impl Compiler<'_> {
    /// FROM without its keyword; empty: no tables.
    pub(super) fn from(&mut self, tables: &[TableWithJoins]) -> Result<String, SqlError> {
        if let [TableWithJoins { relation: TableFactor::Table { name, alias: None, .. }, joins }] = tables
            && joins.is_empty()
            && parts(name).is_some_and(|parts| matches!(parts.as_slice(), [dual] if dual.value.eq_ignore_ascii_case("dual")))
        {
            return Ok(String::new());
        }
        let mut items = Vec::new();
        for table in tables {
            let sql = self.joined(table)?;
            // SQLite reads commas and joins from left to right; MySQL's joins bind stronger, which shows on the right side of a comma.
            let whole = items.is_empty() || table.joins.is_empty() || lateral::reads_before(table);
            items.push(if whole { sql } else { format!("({sql})") });
        }
        Ok(items.join(", "))
    }

    fn joined(&mut self, table: &TableWithJoins) -> Result<String, SqlError> {
        let first = self.scope().map_or(0, |scope| scope.sources.len());
        let shown = self.scope().map_or(0, |scope| scope.shown.len());
        let mut sql = self.factor(&table.relation)?;
        for (at, join) in table.joins.iter().enumerate() {
            let second = self.scope().map_or(0, |scope| scope.sources.len());
            let right = self.factor(&join.relation)?;
            if matches!(&join.join_operator, JoinOperator::Right(_) | JoinOperator::RightOuter(_)) {
                self.refuse_turned(&join.relation, &right, second)?;
            }
            // SQLite pushes no bounds into the sides of a RIGHT JOIN: it becomes a LEFT JOIN the other way round.
            let (left, right) = match &join.join_operator {
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) if at == 0 => (right, sql),
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (right, format!("({sql})")),
                _ => (sql, right),
            };
            sql = self.join(join, &left, &right, Sides { first, second, shown })?;
        }
        Ok(sql)
    }

    /// `left JOIN right ON …`, as they are written.
    fn join(&mut self, join: &Join, left: &str, right: &str, sides: Sides) -> Result<String, SqlError> {
        let (words, constraint, outer) = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => ("JOIN", constraint, (false, false)),
            JoinOperator::CrossJoin(constraint) => ("JOIN", constraint, (false, false)),
            // Tables in this order: SQLite's CROSS JOIN keeps it.
            JoinOperator::StraightJoin(constraint) => ("CROSS JOIN", constraint, (false, false)),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => ("LEFT JOIN", constraint, (false, true)),
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => ("LEFT JOIN", constraint, (true, false)),
            _ => return Err(SqlError::syntax("MySQL joins are INNER, LEFT, RIGHT, CROSS, NATURAL and STRAIGHT_JOIN")),
        };
        self.become_nullable(sides, outer);
        // Of no rows: WHERE has bounds that SQLite sees behind inner joins alone.
        let words = if self.scope().is_some_and(|scope| scope.never) && words == "LEFT JOIN" { "JOIN" } else { words };
        let equal: Vec<String> = match constraint {
            JoinConstraint::On(expr) => {
                if let Some(scope) = self.scope() {
                    scope.clause = Clause::On;
                }
                return Ok(format!("{left} {words} {right} ON {}", self.condition(expr)?));
            }
            JoinConstraint::None => return Ok(format!("{left} {words} {right}")),
            JoinConstraint::Using(names) => {
                let name = |name: &ObjectName| parts(name).and_then(|parts| parts.first().map(|part| part.value.clone()));
                names.iter().filter_map(name).collect()
            }
            JoinConstraint::Natural => self.common_names(sides),
        };
        let mut conditions = Vec::new();
        let mut kept = Vec::new();
        for name in &equal {
            conditions.push(self.equal_columns(name, sides, outer.0, &mut kept)?);
        }
        self.show_first(&kept, sides, outer.0);
        let on = if conditions.is_empty() { String::new() } else { format!(" ON {}", conditions.join(" AND ")) };
        Ok(format!("{left} {words} {right}{on}"))
    }

    /// The order of `*` behind a join by names: the common columns, in the order of the side that is kept, then the others of both sides.
    fn show_first(&mut self, kept: &[(usize, usize)], sides: Sides, keep_right: bool) {
        let Some(scope) = self.scope() else { return };
        let mut places = scope.shown.split_off(sides.shown.min(scope.shown.len()));
        places.retain(|place| !scope.hidden.contains(place));
        let rank = |place: &(usize, usize)| {
            let of_right = place.0 >= sides.second;
            (!kept.contains(place), of_right != keep_right)
        };
        places.sort_by_key(rank);
        scope.shown.append(&mut places);
    }

    fn become_nullable(&mut self, sides: Sides, outer: (bool, bool)) {
        let Some(scope) = self.scope() else { return };
        for (at, source) in scope.sources.iter_mut().enumerate().skip(sides.first) {
            if if at < sides.second { outer.0 } else { outer.1 } {
                source.columns.iter_mut().for_each(|column| column.nullable = true);
            }
        }
    }

    fn common_names(&mut self, Sides { first, second, .. }: Sides) -> Vec<String> {
        let Some(scope) = self.scope() else { return Vec::new() };
        let names = |sources: &[TableSource]| -> Vec<String> {
            sources.iter().flat_map(|source| source.columns.iter().map(|column| column.name.clone())).collect()
        };
        let right = names(scope.sources.get(second..).unwrap_or_default());
        let mut left = names(scope.sources.get(first..second).unwrap_or_default());
        left.retain(|name| right.iter().any(|other| other.eq_ignore_ascii_case(name)));
        let mut seen = std::collections::HashSet::new();
        left.retain(|name| seen.insert(name.to_lowercase()));
        left
    }

    /// `left.name = right.name`, and hides one of the two.
    fn equal_columns(
        &mut self,
        name: &str,
        Sides { first, second, .. }: Sides,
        keep_right: bool,
        all_kept: &mut Vec<(usize, usize)>,
    ) -> Result<String, SqlError> {
        let unknown = || unknown_column(name, "from clause");
        let scope = self.scope().ok_or_else(unknown)?;
        let found = scope.find(None, None, name);
        let left = found.iter().copied().find(|(source, _)| (first..second).contains(source)).ok_or_else(unknown)?;
        let right = found.iter().copied().find(|(source, _)| *source >= second).ok_or_else(unknown)?;
        let (kept, hidden) = if keep_right { (right, left) } else { (left, right) };
        scope.hidden.push(hidden);
        all_kept.push(kept);
        let (left, right) =
            (scope.column(left.0, left.1).ok_or_else(unknown)?, scope.column(right.0, right.1).ok_or_else(unknown)?);
        Ok(self.compare(left, "=", right)?.sql)
    }

    fn factor(&mut self, factor: &TableFactor) -> Result<String, SqlError> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let alias = alias.as_ref().map(|alias| alias.name.value.clone());
                let names = parts(name).unwrap_or_default();
                match names.as_slice() {
                    [table] => self.named_table(None, &table.value, alias),
                    [schema, table] => self.named_table(Some(&schema.value), &table.value, alias),
                    _ => Err(SqlError::syntax(format!("{name} is no name of a table"))),
                }
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => self.derived(subquery, alias.as_ref(), *lateral),
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                let before = self.scope().map_or(0, |scope| scope.sources.len());
                let sql = self.deeper(|compiler| compiler.joined(table_with_joins))?;
                self.refuse_hidden(table_with_joins, &sql, before)?;
                Ok(if table_with_joins.joins.is_empty() { sql } else { format!("({sql})") })
            }
            TableFactor::JsonTable { .. } => self.json_table(factor),
            other => Err(SqlError::syntax(format!("{other} is no table of MySQL's"))),
        }
    }

    fn derived(&mut self, query: &Query, alias: Option<&TableAlias>, lateral: bool) -> Result<String, SqlError> {
        let Some(alias) = alias else {
            return Err(SqlError::new(1248, "42000", "Every derived table must have its own alias"));
        };
        if lateral {
            return self.lateral(query, alias);
        }
        // It does not see the tables beside it, but those of the queries around.
        let beside = self.scopes.pop();
        self.never = beside.as_ref().is_some_and(|scope| scope.never);
        let compiled = self.query(query, false);
        self.scopes.extend(beside);
        let mut compiled = compiled?;
        let names: Vec<&str> = alias.columns.iter().map(|column| column.name.value.as_str()).collect();
        let mut sql = compiled.sql;
        if !names.is_empty() {
            let list: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            rename(&mut compiled.columns, &names)?;
            let cte = quoted(&self.fresh("list"));
            sql = format!("WITH {cte}({}) AS ({sql}) SELECT * FROM {cte}", list.join(", "));
        }
        unique(&compiled.columns)?;
        let name = alias.name.value.clone();
        self.add(TableSource { alias: name.clone(), schema: None, columns: as_source(&compiled.columns) })?;
        Ok(format!("({sql}) AS {}", quoted(&name)))
    }

    /// A table of the catalog, or a CTE.
    pub(super) fn named_table(&mut self, schema: Option<&str>, name: &str, alias: Option<String>) -> Result<String, SqlError> {
        if schema.is_none()
            && let Some(cte) = self.ctes.iter().rev().find(|cte| cte.name.eq_ignore_ascii_case(name)).cloned()
        {
            let alias = alias.unwrap_or(cte.name);
            self.add(TableSource { alias: alias.clone(), schema: None, columns: cte.columns })?;
            return Ok(format!("{} AS {}", quoted(&cte.sqlite), quoted(&alias)));
        }
        let context = self.context;
        let schema = schema.or(context.database.as_deref()).ok_or_else(no_database)?;
        let table = match catalog::table(schema, name) {
            Some(table) => table,
            None if catalog::schema(schema).is_some() => return Err(no_such_table(schema, name)),
            None => return Err(unknown_database(schema)),
        };
        let is_tasks = table == &catalog::TASKS;
        self.tasks += usize::from(is_tasks);
        if !self.uses.contains(&table.name) {
            self.uses.push(table.name);
        }
        let source = TableSource::of(table, alias);
        let alias = quoted(&source.alias);
        if is_tasks && let Some(scope) = self.scope() {
            scope.tasks.push(alias.clone());
        }
        self.add(source)?;
        Ok(format!("{} AS {alias}", quoted(&table.virtual_name())))
    }

    pub(super) fn add(&mut self, source: TableSource) -> Result<(), SqlError> {
        let Some(scope) = self.scope() else { return Ok(()) };
        if scope.sources.iter().any(|other| other.alias.eq_ignore_ascii_case(&source.alias)) {
            return Err(not_unique(&source.alias));
        }
        let (at, columns) = (scope.sources.len(), source.columns.len());
        scope.shown.extend((0..columns).map(|place| (at, place)));
        scope.sources.push(source);
        Ok(())
    }
}

/// Where the sides of a join begin: the first sources of both, as they are written, and the first column that `*` has of them.
#[derive(Clone, Copy)]
struct Sides {
    first: usize,
    second: usize,
    shown: usize,
}
