//! UNION, EXCEPT and INTERSECT.

use sqlparser::ast::{Expr, OrderByExpr, SetExpr, SetOperator, SetQuantifier, Value, Values};

use super::compiler::{Compiled, Compiler};
use super::documents;
use super::errors::{column_counts, unknown_column};
use super::literal::name as quoted;
use super::query::{Part, direction, out_columns, render, unique};
use super::scope::{Clause, Item, Scope};
use super::typed::{Column, Kind, Typed, common, common_of, widest};
use crate::sql::decimal::DIGITS_MAX;
use crate::sql::error::SqlError;
use crate::sql::statement::OutColumn;
use crate::sql::types::SqlType;
use crate::sql::zones::Zone;

impl Compiler<'_> {
    /// The SELECTs of a chain of UNION, EXCEPT and INTERSECT, which SQLite joins from left to right as well.
    pub(super) fn set_operations(&mut self, body: &SetExpr, parts: &mut Vec<Part>, never: bool) -> Result<(), SqlError> {
        let mut chain = Vec::new();
        let mut first = body;
        while let SetExpr::SetOperation { left, op, set_quantifier, right } = first {
            chain.push((joined(*op, *set_quantifier)?, right.as_ref()));
            first = left;
        }
        // SQLite knows a recursion by how it is written.
        let recursion = std::mem::take(&mut self.recursion);
        self.never = never;
        parts.push(self.part(first, "")?);
        for (joined, right) in chain.into_iter().rev() {
            self.never = never;
            let part = self.part(right, joined.word())?;
            match joined {
                Joined::Each(word) => {
                    let each = self.of_each(std::mem::take(parts), word, part)?;
                    parts.push(each);
                }
                Joined::Set(word)
                    if !recursion && word != "UNION ALL" && documents::are_selected(parts.iter().chain([&part])) =>
                {
                    let set = self.set_of_documents(std::mem::take(parts), word, part)?;
                    parts.push(set);
                }
                Joined::Set(_) => parts.push(part),
            }
        }
        Ok(())
    }

    /// EXCEPT ALL and INTERSECT ALL, which SQLite does not have: of rows with their numbers among those that are equal.
    fn of_each(&mut self, mut left: Vec<Part>, word: &str, right: Part) -> Result<Part, SqlError> {
        unify(&mut left, self.zone())?;
        let columns = left.first().map(|first| out_columns(&first.items)).unwrap_or_default();
        let left = self.wrapped(Compiled { sql: all(&left), columns });
        let mut sides = [left, Part { joined: "", ..right }];
        unify(&mut sides, self.zone())?;
        let columns = sides.first().map(|first| out_columns(&first.items)).unwrap_or_default();
        let names = numbered_names(columns.len());
        let numbered = |(at, column): (usize, &OutColumn)| Item::new("", Typed::new(format!("c{at}"), column.ty));
        let items: Vec<Item> = columns.iter().enumerate().map(numbered).collect();
        let documents = documents::are_selected(sides.iter());
        let keys = if documents { documents::keys(&items, self.zone()) } else { names.clone() };
        let [left, right] = sides.map(|side| {
            let list = quoted(&self.fresh("list"));
            let number = format!("row_number() OVER (PARTITION BY {keys})");
            format!("SELECT * FROM (WITH {list}({names}) AS ({}) SELECT {names}, {number} AS n FROM {list})", render(&side))
        });
        let rows = if documents {
            let (names, keys, alias) = (format!("{names}, n"), format!("{keys}, n"), quoted(&self.fresh("part")));
            format!("SELECT {names} FROM {}", documents::of_sides(&left, word, &right, (&names, &alias, &keys)))
        } else {
            format!("{left} {word} {right}")
        };
        let list = quoted(&self.fresh("list"));
        let shown: Vec<String> =
            columns.iter().enumerate().map(|(at, column)| format!("c{at} AS {}", quoted(&column.name))).collect();
        let sql = format!("WITH {list}({names}, n) AS ({rows}) SELECT {} FROM {list}", shown.join(", "));
        Ok(self.wrapped(Compiled { sql, columns }))
    }

    pub(super) fn part(&mut self, body: &SetExpr, joined: &'static str) -> Result<Part, SqlError> {
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
                    Ok(Compiled { sql: all(&parts), columns })
                })?;
                self.wrapped(compiled)
            }
            SetExpr::Table(_) => return Err(SqlError::syntax("TABLE needs the name of a table")),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                return Err(SqlError::read_only("a write inside a query"));
            }
        };
        Ok(Part { joined, ..part })
    }

    /// A query as a SELECT of all of its columns: where SQLite takes no parentheses.
    pub(super) fn wrapped(&mut self, compiled: Compiled) -> Part {
        let alias = quoted(&self.fresh("part"));
        let twice = unique(&compiled.columns).is_err();
        let item = |(at, column): (usize, &OutColumn)| {
            let origin = Column { table: column.table.clone(), name: column.name.clone(), origin: column.origin };
            let column_of = (!column.table.is_empty()).then_some(origin);
            let name = if twice { format!("c{at}") } else { quoted(&column.name) };
            let typed = Typed { column: column_of, whole: column.whole, ..Typed::new(format!("{alias}.{name}"), column.ty) };
            Item::new(column.name.clone(), typed.null_if(column.nullable))
        };
        let items = compiled.columns.iter().enumerate().map(item).collect();
        let sql = if twice {
            let list = quoted(&self.fresh("list"));
            format!("WITH {list}({}) AS ({}) SELECT * FROM {list}", numbered_names(compiled.columns.len()), compiled.sql)
        } else {
            compiled.sql
        };
        Part { joined: "", head: "SELECT", items, rest: format!(" FROM ({sql}) AS {alias}") }
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
        let item = |(at, ty): (usize, &SqlType)| Item::new(format!("column_{at}"), Typed::new(format!("column{}", at + 1), *ty));
        let items = types.iter().enumerate().map(item).collect();
        Ok(Part { joined: "", head: "SELECT", items, rest: format!(" FROM (VALUES {})", rows.join(", ")) })
    }

    /// ORDER BY behind a UNION: columns of the result, by name or place, and expressions of them.
    pub(super) fn order_of_union(&mut self, order: &[OrderByExpr], parts: &mut Vec<Part>) -> Result<String, SqlError> {
        let mut terms = Vec::new();
        let items: &[Item] = parts.first().map(|part| part.items.as_slice()).unwrap_or_default();
        for term in order {
            if is_null(&term.expr) {
                continue;
            }
            match place(&term.expr, items)? {
                Some(place) if items.get(place - 1).is_none_or(|item| item.typed.ty != SqlType::Json) => {
                    terms.push(format!("{place}{}", direction(term)?))
                }
                // An expression, or a document, which is sorted by one.
                _ => {
                    terms = self.order_of_expressions(order, parts)?;
                    break;
                }
            }
        }
        Ok(if terms.is_empty() { String::new() } else { format!(" ORDER BY {}", terms.join(", ")) })
    }

    /// The same where one is an expression: over the UNION as a table.
    fn order_of_expressions(&mut self, order: &[OrderByExpr], parts: &mut Vec<Part>) -> Result<Vec<String>, SqlError> {
        let columns = parts.first().map(|first| out_columns(&first.items)).unwrap_or_default();
        let whole = self.wrapped(Compiled { sql: all(parts), columns: columns.clone() });
        let items = whole.items.clone();
        *parts = vec![whole];
        self.scopes.push(Scope { items, clause: Clause::Order, ..Scope::new() });
        let terms = self.order_terms(order, true);
        self.scopes.pop();
        terms
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Null))
}

/// The place, from 1, of the item that a term names; `None`: it is an expression.
fn place(expr: &Expr, items: &[Item]) -> Result<Option<usize>, SqlError> {
    let place = match expr {
        Expr::Identifier(name) => items.iter().position(|item| item.name.eq_ignore_ascii_case(&name.value)).map(|at| at + 1),
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.parse::<usize>().ok().filter(|place| (1..=items.len()).contains(place)),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    match place {
        Some(place) => Ok(Some(place)),
        None => Err(unknown_column(&expr.to_string(), Clause::Order.words())),
    }
}

/// `c0, c1, …`: names for columns whose own names are not unique.
pub(super) fn numbered_names(count: usize) -> String {
    (0..count).map(|at| format!("c{at}")).collect::<Vec<_>>().join(", ")
}

/// A chain of SELECTs.
pub(super) fn all(parts: &[Part]) -> String {
    parts.iter().map(render).collect::<Vec<_>>().join(" ")
}

/// How a SELECT is joined to those before it.
#[derive(Clone, Copy)]
enum Joined {
    /// As SQLite does it.
    Set(&'static str),
    /// EXCEPT ALL and INTERSECT ALL, without their ALL.
    Each(&'static str),
}

impl Joined {
    fn word(self) -> &'static str {
        match self {
            Joined::Set(word) | Joined::Each(word) => word,
        }
    }
}

fn joined(op: SetOperator, quantifier: SetQuantifier) -> Result<Joined, SqlError> {
    match (op, quantifier) {
        (SetOperator::Union, SetQuantifier::All) => Ok(Joined::Set("UNION ALL")),
        (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) => Ok(Joined::Set("UNION")),
        (SetOperator::Except, SetQuantifier::None | SetQuantifier::Distinct) => Ok(Joined::Set("EXCEPT")),
        (SetOperator::Intersect, SetQuantifier::None | SetQuantifier::Distinct) => Ok(Joined::Set("INTERSECT")),
        (SetOperator::Except, SetQuantifier::All) => Ok(Joined::Each("EXCEPT")),
        (SetOperator::Intersect, SetQuantifier::All) => Ok(Joined::Each("INTERSECT")),
        _ => Err(SqlError::syntax(format!("{op} {quantifier} is not MySQL's"))),
    }
}

/// A DECIMAL that gets more digits behind the point has fewer before it: 65 together.
fn within(typed: Typed, own: SqlType) -> Typed {
    let short = matches!(&typed.kind, Kind::Number(text) if text.len() <= 30);
    match (own, typed.ty) {
        (SqlType::Decimal(own), SqlType::Decimal(digits)) if own < digits && !short => {
            let sql = format!("z4_dec({}, {DIGITS_MAX}, {digits})", typed.sql);
            Typed { sql, kind: Kind::Expression, ..typed }
        }
        _ => typed,
    }
}

/// Coerces the columns of each SELECT to what all of them fit into.
pub(super) fn unify(parts: &mut [Part], zone: &Zone) -> Result<(), SqlError> {
    let Some(first) = parts.first() else { return Ok(()) };
    let width = first.items.len();
    if parts.iter().any(|part| part.items.len() != width) {
        return Err(column_counts());
    }
    if parts.len() < 2 {
        return Ok(());
    }
    for at in 0..width {
        let column = || parts.iter().filter_map(|part| part.items.get(at)).map(|item| &item.typed);
        let ty = common_of(column());
        let nullable = column().any(|typed| typed.nullable);
        let whole = widest(column());
        for item in parts.iter_mut().filter_map(|part| part.items.get_mut(at)) {
            let typed = item.typed.clone().kept();
            let own = typed.ty;
            item.typed = Typed { nullable, column: None, ..within(typed.fitted(ty, zone), own) }.with_whole(whole);
        }
    }
    Ok(())
}
