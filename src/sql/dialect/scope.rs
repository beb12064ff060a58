//! Names: which tables a SELECT reads, and which column a name means.

use super::errors::{ambiguous, group_reference, unknown_column, unknown_table};
use super::literal::name as quoted;
use super::rollup::Rollup;
use super::typed::{Column, Typed};
use crate::sql::catalog::{DATABASE, Table};
use crate::sql::error::SqlError;
use crate::sql::types::SqlType;

/// A column of a table, a derived table or a CTE.
#[derive(Clone, Debug)]
pub(super) struct SourceColumn {
    pub(super) name: String,
    /// Its name inside SQLite, where it has another one.
    pub(super) sqlite: Option<String>,
    pub(super) ty: SqlType,
    pub(super) nullable: bool,
    pub(super) origin: Option<(&'static str, &'static str, &'static str)>,
    pub(super) ci: bool,
    /// Digits before the point (see [`Typed::whole_digits`]).
    pub(super) whole: u8,
}

/// Something in FROM.
#[derive(Clone, Debug)]
pub(super) struct TableSource {
    pub(super) alias: String,
    /// Its schema, when it is a table of the catalog without an alias.
    pub(super) schema: Option<&'static str>,
    pub(super) columns: Vec<SourceColumn>,
}

impl TableSource {
    /// A table of the catalog.
    pub(super) fn of(table: &'static Table, alias: Option<String>) -> TableSource {
        let ci = table.schema != DATABASE;
        let columns = table.columns.iter().map(|column| SourceColumn {
            name: column.name.to_owned(),
            sqlite: None,
            ty: column.ty,
            nullable: column.nullable,
            origin: Some((table.schema, table.name, column.name)),
            ci: ci && column.ty == SqlType::Text,
            whole: 0,
        });
        let schema = alias.is_none().then_some(table.schema);
        TableSource { alias: alias.unwrap_or_else(|| table.name.to_owned()), schema, columns: columns.collect() }
    }

    fn is(&self, table: &str, schema: Option<&str>) -> bool {
        let schema = schema.is_none_or(|schema| self.schema.is_some_and(|own| own.eq_ignore_ascii_case(schema)));
        schema && self.alias.eq_ignore_ascii_case(table)
    }
}

/// A column of a result.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) typed: Typed,
    /// An aggregate stands in it.
    pub(super) aggregate: bool,
}

impl Item {
    pub(super) fn new(name: impl Into<String>, typed: Typed) -> Item {
        Item { name: name.into(), typed, aggregate: false }
    }
}

/// The part of a SELECT that is being read, and how it sees the SELECT's own items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clause {
    Fields,
    /// The document of JSON_TABLE.
    Document,
    On,
    Where,
    Group,
    Having,
    Order,
}

impl Clause {
    pub(super) fn words(self) -> &'static str {
        match self {
            Clause::Fields => "field list",
            Clause::Document => "a table function argument",
            Clause::On => "on clause",
            Clause::Where => "where clause",
            Clause::Group => "group statement",
            Clause::Having => "having clause",
            Clause::Order => "order clause",
        }
    }
}

/// The names of one SELECT.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) sources: Vec<TableSource>,
    /// Columns (source, place) that USING and NATURAL hide behind those they are equal to.
    pub(super) hidden: Vec<(usize, usize)>,
    /// The columns of `*`, in its order.
    pub(super) shown: Vec<(usize, usize)>,
    /// What is selected, as far as it is known.
    pub(super) items: Vec<Item>,
    pub(super) clause: Clause,
    /// An aggregate stands in it.
    pub(super) aggregates: bool,
    /// A window function stands in it.
    pub(super) windows: bool,
    /// It gives no rows (see `nothing`).
    pub(super) never: bool,
    /// The aliases of `tasks` in it.
    pub(super) tasks: Vec<String>,
    /// Which level of its rollup it is.
    pub(super) rollup: Option<Rollup>,
}

impl Scope {
    pub(super) fn new() -> Scope {
        Scope {
            sources: Vec::new(),
            hidden: Vec::new(),
            shown: Vec::new(),
            items: Vec::new(),
            clause: Clause::Fields,
            aggregates: false,
            windows: false,
            never: false,
            tasks: Vec::new(),
            rollup: None,
        }
    }

    /// A column by its place.
    pub(super) fn column(&self, source: usize, place: usize) -> Option<Typed> {
        let table = self.sources.get(source)?;
        let column = table.columns.get(place)?;
        let sql = format!("{}.{}", quoted(&table.alias), quoted(column.sqlite.as_ref().unwrap_or(&column.name)));
        let origin = Column { table: table.alias.clone(), name: column.name.clone(), origin: column.origin };
        Some(
            Typed { column: Some(origin), ci: column.ci, whole: column.whole, ..Typed::new(sql, column.ty) }
                .null_if(column.nullable),
        )
    }

    /// The columns that a name may mean.
    pub(super) fn find(&self, schema: Option<&str>, table: Option<&str>, name: &str) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (at, source) in self.sources.iter().enumerate() {
            if !table.is_none_or(|table| source.is(table, schema)) {
                continue;
            }
            let places = source.columns.iter().enumerate().filter(|(_, column)| column.name.eq_ignore_ascii_case(name));
            found.extend(places.map(|(place, _)| (at, place)).filter(|place| table.is_some() || !self.hidden.contains(place)));
        }
        found
    }

    /// The item of this name.
    pub(super) fn item(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.name.eq_ignore_ascii_case(name))
    }

    /// What a name means here; `outer`: it stands in a query inside of this SELECT.
    fn own(&self, parts: &[&str], outer: bool) -> Result<Option<Typed>, SqlError> {
        let (schema, table, name) = match parts {
            [name] => (None, None, *name),
            [table, name] => (None, Some(*table), *name),
            [schema, table, name] => (Some(*schema), Some(*table), *name),
            _ => return Ok(None),
        };
        let found = self.find(schema, table, name);
        let alias = self.item(name).filter(|_| table.is_none());
        if matches!(self.clause, Clause::Having | Clause::Order)
            && let Some(item) = alias
        {
            return if outer && item.aggregate { Err(group_reference(name)) } else { Ok(Some(item.typed.clone())) };
        }
        match found.as_slice() {
            [(source, place)] => Ok(self.column(*source, *place)),
            [] if !matches!(self.clause, Clause::Group) && (!outer || self.clause != Clause::Fields) => Ok(None),
            // The columns of a SELECT see no alias of its own; a query among them sees those before it.
            [] => match alias {
                Some(item) if outer && item.aggregate => Err(group_reference(name)),
                item => Ok(item.map(|item| item.typed.clone())),
            },
            // Of two columns of a name the one that is selected.
            [..] if self.clause == Clause::Group && alias.is_some() => Ok(alias.map(|item| item.typed.clone())),
            _ => Err(ambiguous(&parts.join("."), self.clause.words())),
        }
    }

    /// The columns of `*`: source and place.
    pub(super) fn star(&self, table: Option<(&str, Option<&str>)>) -> Result<Vec<(usize, usize)>, SqlError> {
        let Some((table, schema)) = table else { return Ok(self.shown.clone()) };
        let mut found = Vec::new();
        let mut known = false;
        for (at, source) in self.sources.iter().enumerate().filter(|(_, source)| source.is(table, schema)) {
            known = true;
            found.extend((0..source.columns.len()).map(|place| (at, place)));
        }
        if known { Ok(found) } else { Err(unknown_table(table)) }
    }
}

/// What a name means in the innermost of these SELECTs, or in one around it.
pub(super) fn resolve(scopes: &[Scope], parts: &[&str]) -> Result<Typed, SqlError> {
    for (depth, scope) in scopes.iter().rev().enumerate() {
        if let Some(found) = scope.own(parts, depth > 0)? {
            return Ok(found);
        }
    }
    let clause = scopes.last().map_or(Clause::Fields, |scope| scope.clause);
    Err(unknown_column(&parts.join("."), clause.words()))
}
