//! GROUP BY … WITH ROLLUP, which SQLite does not have: a SELECT for each level, and their rows in MySQL's order.

use sqlparser::ast::{
    Distinct, Expr, FunctionArg, FunctionArgExpr, GroupByExpr, GroupByWithModifier, OrderByExpr, Select, SelectItem, Value,
};

use super::compiler::Compiler;
use super::errors::{unknown_column, wrong_count};
use super::query::{Part, direction, render};
use super::scope::{Clause, Item, Scope};
use super::select::collated;
use super::typed::{Kind, Typed};
use super::union::unify;
use crate::sql::error::SqlError;

/// Expressions that a SELECT rolls up: it is compiled, and its tables are read, once more for each.
const LEVELS_MAX: usize = 16;
/// Levels of all rollups of a statement, for one inside of another is compiled for each level of that; and bytes that one becomes.
const LEVELS_IN_ALL_MAX: usize = 64;
const BYTES_MAX: usize = 4 << 20;

/// One level: rows are grouped by the first `kept` expressions, the others are NULL.
#[derive(Clone, Debug)]
pub(super) struct Rollup {
    groups: Vec<Group>,
    kept: usize,
}

/// What is grouped by, as it is written, and in SQLite's SQL.
#[derive(Clone, Debug)]
struct Group {
    expr: Expr,
    sql: String,
}

/// How many expressions a SELECT rolls up; `None`: it does not.
pub(super) fn levels(select: &Select) -> Option<usize> {
    match &select.group_by {
        GroupByExpr::Expressions(expressions, modifiers) if modifiers.as_slice() == [GroupByWithModifier::Rollup] => {
            Some(expressions.len())
        }
        _ => None,
    }
}

impl Compiler<'_> {
    /// The rows of every level, from all expressions to none.
    pub(super) fn rolled_up(
        &mut self,
        select: &Select,
        (levels, never): (usize, bool),
        order: &[OrderByExpr],
        order_sql: &mut String,
    ) -> Result<Part, SqlError> {
        if levels > LEVELS_MAX {
            return Err(SqlError::unsupported(format!(
                "GROUP BY … WITH ROLLUP takes at most {LEVELS_MAX} expressions, not {levels}"
            )));
        }
        let (mut parts, mut bytes) = (Vec::new(), 0);
        for kept in (0..=levels).rev() {
            self.levels += 1;
            let part = self.level(select, order, &mut String::new(), (Some(kept), never))?;
            bytes += part.rest.len() + part.items.iter().map(|item| item.typed.sql.len()).sum::<usize>();
            if self.levels > LEVELS_IN_ALL_MAX || bytes > BYTES_MAX {
                return Err(SqlError::unsupported(format!(
                    "WITH ROLLUP of more than {LEVELS_IN_ALL_MAX} levels in all, or {BYTES_MAX} bytes, is not done by z4"
                )));
            }
            let joined = if parts.is_empty() { "" } else { "UNION ALL" };
            parts.push(Part { joined, head: "SELECT", ..part });
        }
        unify(&mut parts, self.zone())?;
        let mut names = Vec::new();
        for part in &mut parts {
            names.clear();
            for (at, item) in part.items.iter_mut().enumerate() {
                names.push(std::mem::replace(&mut item.name, format!("c{at}")));
            }
        }
        let alias = self.fresh("rollup");
        let columns: Vec<Typed> = parts
            .first()
            .map(|first| first.items.as_slice())
            .unwrap_or_default()
            .iter()
            .map(|item| {
                let typed = Typed::new(format!("{alias}.{}", item.name), item.typed.ty);
                Typed { ci: item.typed.ci, ..typed }.null_if(item.typed.nullable)
            })
            .collect();
        let keys = if order.is_empty() { vec![""; 2 * levels] } else { order.iter().map(direction).collect::<Result<_, _>>()? };
        let (shown, hidden) = columns.split_at(columns.len().saturating_sub(keys.len()));
        let zone = self.zone();
        let term =
            |(key, direction): (&Typed, &&str)| format!("{}{direction}", collated(&key.clone().compared(zone).sql, key.ci));
        let terms: Vec<String> = hidden.iter().zip(&keys).map(term).collect();
        let items = shown.iter().zip(names).map(|(typed, name)| Item::new(name, typed.clone())).collect();
        let distinct = matches!(select.distinct, Some(Distinct::Distinct));
        let all: Vec<String> = parts.iter().map(render).collect();
        let rest = format!(" FROM ({}) AS {alias}", all.join(" "));
        let part = Part { joined: "", head: if distinct { "SELECT DISTINCT" } else { "SELECT" }, items, rest };
        Ok(self.ordered_part(part, (terms, order_sql)))
    }

    /// From here on the innermost SELECT, whose tables are known, is this level of its rollup.
    pub(super) fn begin_level(&mut self, select: &Select, kept: usize) -> Result<(), SqlError> {
        let GroupByExpr::Expressions(expressions, _) = &select.group_by else { return Ok(()) };
        let Some(scope) = self.scope() else { return Ok(()) };
        let meant = expressions.iter().map(|expr| meant(expr, select, scope)).collect::<Result<Vec<_>, _>>()?;
        let clause = std::mem::replace(&mut scope.clause, Clause::Group);
        let mut groups = Vec::new();
        for expr in meant {
            let sql = self.expression(&expr)?.sql;
            groups.push(Group { expr, sql });
        }
        if let Some(scope) = self.scope() {
            scope.clause = clause;
            scope.rollup = Some(Rollup { groups, kept });
        }
        Ok(())
    }

    /// What a level is grouped by; `None`: nothing is rolled up.
    pub(super) fn level_groups(&mut self) -> Result<Option<Vec<String>>, SqlError> {
        let Some(Rollup { groups, kept }) = self.scope().and_then(|scope| scope.rollup.clone()) else { return Ok(None) };
        let mut by = Vec::new();
        for Group { expr, .. } in groups.iter().take(kept).filter(|group| !matches!(group.expr, Expr::Value(_))) {
            let typed = self.expression(expr)?.kept().compared(self.zone());
            by.push(collated(&typed.sql, typed.ci && typed.column.is_none()));
        }
        if by.is_empty() {
            // One group of all rows, and none of no rows.
            by.push("NULL".to_owned());
        }
        Ok(Some(by))
    }

    /// What the rows of a level are sorted by, behind what is selected: what ORDER BY says, else each group's rows and then its sum.
    pub(super) fn level_keys(&mut self, order: &[OrderByExpr]) -> Result<Option<Vec<Item>>, SqlError> {
        let Some(Rollup { groups, kept }) = self.scope().and_then(|scope| scope.rollup.clone()) else { return Ok(None) };
        let mut keys = Vec::new();
        if order.is_empty() {
            for (at, Group { expr, .. }) in groups.iter().enumerate() {
                keys.push(Typed::int(i64::from(at >= kept)));
                keys.push(self.expression(expr)?);
            }
        }
        for term in order {
            let named = match &term.expr {
                Expr::Identifier(name) => self.scope().and_then(|scope| scope.item(&name.value).map(|item| item.typed.clone())),
                expr => match self.place(expr)? {
                    Some(place) => self.scope().and_then(|scope| scope.items.get(place - 1).map(|item| item.typed.clone())),
                    None => None,
                },
            };
            keys.push(match named {
                Some(item) => item,
                None => self.expression(&term.expr)?,
            });
        }
        Ok(Some(keys.into_iter().map(|key| Item::new("", key)).collect()))
    }

    /// NULL, for an expression that is rolled up at this level.
    pub(super) fn rolled(&mut self, expr: &Expr) -> Result<Option<Typed>, SqlError> {
        let Some(scope) = self.scope() else { return Ok(None) };
        let seen = matches!(scope.clause, Clause::Fields | Clause::Having | Clause::Order);
        let Some(rollup) = scope.rollup.as_ref().filter(|_| seen) else { return Ok(None) };
        let kept = rollup.kept;
        let Some((place, typed)) = self.group_of(expr) else { return Ok(None) };
        if place < kept {
            return Ok(None);
        }
        Ok(Some(Typed { sql: "NULL".to_owned(), kind: Kind::Expression, column: None, written: None, ..typed }.null_if(true)))
    }

    /// A column of `*`.
    pub(super) fn rolled_column(&mut self, column: Typed) -> Typed {
        let rollup = self.scope().and_then(|scope| scope.rollup.as_ref());
        let place =
            rollup.and_then(|rollup| Some((rollup.groups.iter().position(|group| group.sql == column.sql)?, rollup.kept)));
        match place {
            Some((place, kept)) if place >= kept => Typed { sql: "NULL".to_owned(), column: None, ..column }.null_if(true),
            _ => column,
        }
    }

    /// The first group that is this expression, whatever their spelling.
    fn group_of(&mut self, expr: &Expr) -> Option<(usize, Typed)> {
        let kind = std::mem::discriminant(bare(expr));
        let named = |expr: &Expr| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        let may_be = |group: &Group| {
            let other = bare(&group.expr);
            kind == std::mem::discriminant(other) || named(bare(expr)) && named(other)
        };
        if !self.scope()?.rollup.as_ref()?.groups.iter().any(may_be) {
            return None;
        }
        // In ORDER BY and HAVING a name may be an item's, which is rolled up already.
        let clause = std::mem::replace(&mut self.scope()?.clause, Clause::Group);
        let typed = self.of_all_rows(|compiler| compiler.expression(expr)).ok();
        self.scope()?.clause = clause;
        let typed = typed?;
        let place = self.scope()?.rollup.as_ref()?.groups.iter().position(|group| group.sql == typed.sql)?;
        Some((place, typed))
    }

    /// An aggregate sees what is rolled up as it is.
    pub(super) fn of_all_rows<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, SqlError>) -> Result<T, SqlError> {
        let rollup = self.scope().and_then(|scope| scope.rollup.take());
        let done = work(self);
        if let Some(scope) = self.scope() {
            scope.rollup = rollup;
        }
        done
    }

    /// GROUPING(a, b, …): a bit for each that is rolled up, the first the highest.
    pub(super) fn grouping(&mut self, list: &[FunctionArg]) -> Result<Typed, SqlError> {
        if list.is_empty() || list.len() > 63 {
            return Err(wrong_count("GROUPING"));
        }
        let clause = self.scope().map(|scope| scope.clause);
        let rollup = self.scope().and_then(|scope| scope.rollup.as_ref().map(|rollup| rollup.kept));
        let Some(kept) = rollup.filter(|_| !matches!(clause, Some(Clause::Where | Clause::On | Clause::Group))) else {
            return Err(SqlError::new(1111, "HY000", "Invalid use of group function: GROUPING needs GROUP BY … WITH ROLLUP"));
        };
        let mut bits = 0;
        for (at, arg) in list.iter().enumerate() {
            let place = match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.group_of(expr).map(|(place, _)| place),
                _ => None,
            };
            let Some(place) = place else {
                let message = format!("Argument #{at} of GROUPING function is not in GROUP BY");
                return Err(SqlError::new(3602, "HY000", message));
            };
            bits = bits << 1 | i64::from(place >= kept);
        }
        Ok(Typed::int(bits))
    }
}

/// What an expression of GROUP BY means: an item by its place or alias, else itself.
fn meant(expr: &Expr, select: &Select, scope: &Scope) -> Result<Expr, SqlError> {
    let item = |at: usize| match select.projection.get(at) {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => Some(expr.clone()),
        _ => None,
    };
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => {
                let place = text.parse::<usize>().ok().and_then(|place| place.checked_sub(1));
                place.and_then(item).ok_or_else(|| unknown_column(text, Clause::Group.words()))
            }
            _ => Ok(expr.clone()),
        },
        Expr::Identifier(name) if scope.find(None, None, &name.value).is_empty() => {
            let aliased = select.projection.iter().find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } if alias.value.eq_ignore_ascii_case(&name.value) => Some(expr.clone()),
                _ => None,
            });
            Ok(aliased.unwrap_or_else(|| expr.clone()))
        }
        _ => Ok(expr.clone()),
    }
}

fn bare(expr: &Expr) -> &Expr {
    let mut expr = expr;
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}
