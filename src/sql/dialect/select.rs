//! One SELECT: what it selects, WHERE, GROUP BY, HAVING, windows.

use sqlparser::ast::{
    Distinct, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, NamedWindowExpr, OrderByExpr, Select,
    SelectItem, SelectItemQualifiedWildcardKind, Value, WildcardAdditionalOptions, WindowSpec,
};

use super::compiler::{Compiler, parts};
use super::documents;
use super::errors::unknown_column;
use super::literal::name as quoted;
use super::nothing;
use super::query::{Part, direction};
use super::rollup;
use super::scope::{Clause, Item, Scope};
use super::typed::{Kind, Typed};
use crate::sql::error::SqlError;
use crate::sql::types::SqlType;

impl Compiler<'_> {
    /// A SELECT and the ORDER BY behind it, which sees its tables.
    pub(super) fn select(&mut self, select: &Select, order: &[OrderByExpr], order_sql: &mut String) -> Result<Part, SqlError> {
        refuse(select)?;
        let never = std::mem::take(&mut self.never) || select.selection.as_ref().is_some_and(nothing::is_never_true);
        match rollup::levels(select) {
            Some(levels) => self.rolled_up(select, (levels, never), order, order_sql),
            None => self.level(select, order, order_sql, (None, never)),
        }
    }

    /// A SELECT, or one level of its rollup.
    pub(super) fn level(
        &mut self,
        select: &Select,
        order: &[OrderByExpr],
        order_sql: &mut String,
        (level, never): (Option<usize>, bool),
    ) -> Result<Part, SqlError> {
        self.scopes.push(Scope { never, ..Scope::new() });
        let part = self.inside(select, order, order_sql, level);
        self.scopes.pop();
        part
    }

    fn enter(&mut self, clause: Clause) {
        if let Some(scope) = self.scope() {
            scope.clause = clause;
        }
    }

    fn inside(
        &mut self,
        select: &Select,
        order: &[OrderByExpr],
        order_sql: &mut String,
        level: Option<usize>,
    ) -> Result<Part, SqlError> {
        let (look, queries) = (self.look.take(), self.queries);
        let mut from = self.from(&select.from)?;
        if let Some(kept) = level {
            self.begin_level(select, kept)?;
        }
        self.enter(Clause::Fields);
        self.items(select)?;
        if let Some(instead) = look.and_then(|table| self.look(table, &from, queries)) {
            from = instead;
        }
        let mut rest = if from.is_empty() { String::new() } else { format!(" FROM {from}") };
        let mut filters = Vec::new();
        if let Some(filter) = &select.selection {
            self.enter(Clause::Where);
            filters.push(self.condition(filter)?);
        }
        let groups = self.groups(&select.group_by)?;
        let mut having = None;
        if let Some(expr) = &select.having {
            self.enter(Clause::Having);
            let condition = self.condition(expr)?;
            // MySQL filters rows by HAVING where nothing is grouped; SQLite wants WHERE there.
            if groups.is_empty() && !self.scope().is_some_and(|scope| scope.aggregates) {
                filters.push(condition);
            } else {
                having = Some(condition);
            }
        }
        if let Some(nothing) = self.scope().and_then(|scope| nothing::filter(scope)) {
            filters = vec![nothing];
        }
        if !filters.is_empty() {
            rest.push_str(&format!(" WHERE {}", filters.join(" AND ")));
        }
        if !groups.is_empty() {
            rest.push_str(&format!(" GROUP BY {}", groups.join(", ")));
        }
        if let Some(condition) = having {
            rest.push_str(&format!(" HAVING {condition}"));
        }
        self.enter(Clause::Order);
        rest.push_str(&self.windows(select)?);
        let keys = self.level_keys(order)?;
        let is_level = keys.is_some();
        let terms = if is_level { Vec::new() } else { self.order_terms(order, true)? };
        let one_group = groups.is_empty() && self.scope().is_some_and(|scope| scope.aggregates);
        let mut items = self.scope().map(|scope| std::mem::take(&mut scope.items)).unwrap_or_default();
        // An aggregate in HAVING or ORDER BY makes one group of all rows; SQLite sees that by what is selected alone.
        if one_group
            && items.iter().all(|item| !item.aggregate)
            && let Some(first) = items.first_mut()
        {
            first.typed.sql = format!("iif(count(*) IS NULL, NULL, {})", first.typed.sql);
        }
        if matches!(select.distinct, Some(Distinct::Distinct)) {
            items.iter_mut().for_each(|item| item.typed = item.typed.clone().kept());
        }
        items.extend(keys.into_iter().flatten());
        // SQLite leaves out columns of a derived table that nobody reads, unless it is DISTINCT; `(SELECT @n := 0) AS start` has one row.
        let starts = from.is_empty() && items.iter().any(|item| item.typed.sql.contains("z4_assign("));
        let distinct = starts || matches!(select.distinct, Some(Distinct::Distinct));
        let head = if distinct { "SELECT DISTINCT" } else { "SELECT" };
        let part = Part { joined: "", head, items, rest };
        Ok(if is_level { part } else { self.ordered_part(part, (terms, order_sql)) })
    }

    /// A SELECT as it is written, with the terms of its ORDER BY.
    pub(super) fn ordered_part(&mut self, part: Part, (terms, order_sql): (Vec<String>, &mut String)) -> Part {
        let documents = part.head == "SELECT DISTINCT" && documents::are_selected(std::iter::once(&part));
        let (part, terms) = if documents { self.distinct_documents(part, terms) } else { (part, terms) };
        if !terms.is_empty() {
            *order_sql = format!(" ORDER BY {}", terms.join(", "));
        }
        part
    }

    /// Compiles what is selected into the scope.
    fn items(&mut self, select: &Select) -> Result<(), SqlError> {
        let source = self.source;
        let written = source.items(select.select_token.0.span.start);
        for (at, item) in select.projection.iter().enumerate() {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let (typed, aggregate) = self.item(expr)?;
                    let text = written.get(at).copied().unwrap_or_default();
                    let name = match (&typed.column, &typed.kind, expr) {
                        (Some(column), ..) if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => {
                            column.name.clone()
                        }
                        (_, Kind::Text(text), Expr::Value(_)) => text.clone(),
                        (_, _, Expr::Function(function)) => named(function).unwrap_or_else(|| text.to_owned()),
                        _ => text.to_owned(),
                    };
                    self.add_item(Item { name: shortened(name), typed, aggregate });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let (typed, aggregate) = self.item(expr)?;
                    self.add_item(Item { name: shortened(alias.value.clone()), typed, aggregate });
                }
                SelectItem::Wildcard(options) => {
                    plain(options)?;
                    self.star(None)?;
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    plain(options)?;
                    let names = parts(name).unwrap_or_default();
                    match names.as_slice() {
                        [table] => self.star(Some((&table.value, None)))?,
                        [schema, table] => self.star(Some((&table.value, Some(&schema.value))))?,
                        _ => return Err(SqlError::syntax(format!("{name}.* names no table"))),
                    }
                }
                _ => return Err(SqlError::syntax(format!("{item} is not MySQL's"))),
            }
        }
        Ok(())
    }

    /// One expression that is selected, and whether an aggregate stands in it.
    fn item(&mut self, expr: &Expr) -> Result<(Typed, bool), SqlError> {
        let before = self.scope().is_some_and(|scope| std::mem::take(&mut scope.aggregates));
        let typed = self.expression(expr)?;
        let aggregate = self.scope().is_some_and(|scope| scope.aggregates);
        if let Some(scope) = self.scope() {
            scope.aggregates |= before;
        }
        Ok((typed, aggregate))
    }

    fn add_item(&mut self, item: Item) {
        if let Some(scope) = self.scope() {
            scope.items.push(item);
        }
    }

    fn star(&mut self, table: Option<(&str, Option<&str>)>) -> Result<(), SqlError> {
        let Some(scope) = self.scope() else { return Ok(()) };
        if scope.sources.is_empty() {
            return Err(SqlError::new(1096, "HY000", "No tables used"));
        }
        let columns: Vec<Typed> =
            scope.star(table)?.into_iter().filter_map(|(source, place)| scope.column(source, place)).collect();
        for typed in columns {
            let name = typed.column.as_ref().map(|column| column.name.clone()).unwrap_or_default();
            let typed = self.rolled_column(typed);
            self.add_item(Item::new(name, typed));
        }
        Ok(())
    }

    fn groups(&mut self, group_by: &GroupByExpr) -> Result<Vec<String>, SqlError> {
        self.enter(Clause::Group);
        if let Some(groups) = self.level_groups()? {
            return Ok(groups);
        }
        let expressions = match group_by {
            GroupByExpr::Expressions(expressions, modifiers) if modifiers.is_empty() => expressions,
            GroupByExpr::Expressions(..) => return Err(SqlError::syntax("of GROUP BY's modifiers MySQL has WITH ROLLUP alone")),
            GroupByExpr::All(_) => return Err(SqlError::syntax("GROUP BY ALL is not MySQL's")),
        };
        let mut groups = Vec::new();
        for expr in expressions {
            if let Some(place) = self.place(expr)? {
                groups.push(match self.document(place) {
                    Some(item) => item.compared(self.zone()).sql,
                    None => place.to_string(),
                });
                continue;
            }
            if let Expr::Value(value) = expr
                && matches!(value.value, Value::Null)
            {
                continue;
            }
            let typed = self.expression(expr)?.kept().compared(self.zone());
            groups.push(collated(&typed.sql, typed.ci && typed.column.is_none()));
        }
        Ok(groups)
    }

    /// The place of an item, from 1, that GROUP BY or ORDER BY names by number.
    pub(super) fn place(&mut self, expr: &Expr) -> Result<Option<usize>, SqlError> {
        let Expr::Value(value) = expr else { return Ok(None) };
        let Value::Number(text, _) = &value.value else { return Ok(None) };
        let (count, clause) = self.scope().map_or((0, Clause::Order), |scope| (scope.items.len(), scope.clause));
        match text.parse::<usize>() {
            Ok(place) if (1..=count).contains(&place) => Ok(Some(place)),
            _ => Err(unknown_column(text, clause.words())),
        }
    }

    /// The item at a place, where it is a JSON document.
    fn document(&mut self, place: usize) -> Option<Typed> {
        let item = self.scope()?.items.get(place - 1)?;
        (item.typed.ty == SqlType::Json).then(|| item.typed.clone())
    }

    /// The terms of an ORDER BY; `places` may be numbers and names of what is selected.
    pub(super) fn order_terms(&mut self, order: &[OrderByExpr], places: bool) -> Result<Vec<String>, SqlError> {
        let mut terms = Vec::new();
        for term in order {
            let direction = direction(term)?;
            if places {
                let named = match &term.expr {
                    Expr::Identifier(name) => {
                        let items = self.scope().map(|scope| scope.items.as_slice()).unwrap_or_default();
                        items.iter().position(|item| item.name.eq_ignore_ascii_case(&name.value)).map(|at| at + 1)
                    }
                    expr => self.place(expr)?,
                };
                if let Some(place) = named {
                    terms.push(match self.document(place) {
                        Some(item) => format!("{}{direction}", item.compared(self.zone()).sql),
                        None => format!("{place}{direction}"),
                    });
                    continue;
                }
            }
            let typed = self.expression(&term.expr)?.compared(self.zone());
            terms.push(format!("{}{direction}", collated(&typed.sql, typed.ci && typed.column.is_none())));
        }
        Ok(terms)
    }

    fn windows(&mut self, select: &Select) -> Result<String, SqlError> {
        let mut windows = Vec::new();
        for definition in &select.named_window {
            let spec = match &definition.1 {
                NamedWindowExpr::WindowSpec(spec) => self.window(spec)?,
                NamedWindowExpr::NamedWindow(name) => quoted(&name.value),
            };
            windows.push(format!("{} AS {spec}", quoted(&definition.0.value)));
        }
        Ok(if windows.is_empty() { String::new() } else { format!(" WINDOW {}", windows.join(", ")) })
    }

    /// A window in parentheses.
    pub(super) fn window(&mut self, spec: &WindowSpec) -> Result<String, SqlError> {
        let mut words = Vec::new();
        if let Some(name) = &spec.window_name {
            words.push(quoted(&name.value));
        }
        if !spec.partition_by.is_empty() {
            let by: Result<Vec<_>, _> =
                spec.partition_by.iter().map(|expr| self.expression(expr).map(|typed| typed.compared(self.zone()).sql)).collect();
            words.push(format!("PARTITION BY {}", by?.join(", ")));
        }
        words.extend(self.ordered(spec)?);
        Ok(format!("({})", words.join(" ")))
    }
}

/// SQL with a collation that disregards case.
pub(super) fn collated(sql: &str, ci: bool) -> String {
    if ci { format!("{sql} COLLATE z4_ci") } else { sql.to_owned() }
}

/// The name that NAME_CONST gives.
fn named(function: &Function) -> Option<String> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(name)))) = list.args.first() else { return None };
    let is_it = function.name.to_string().eq_ignore_ascii_case("NAME_CONST");
    let name = super::literal::value(&name.value).filter(|_| is_it)?;
    name.literal_text().map(str::to_owned)
}

/// MySQL's names of columns have at most 256 characters.
fn shortened(name: String) -> String {
    if name.len() <= 256 { name } else { name.chars().take(256).collect() }
}

fn plain(options: &WildcardAdditionalOptions) -> Result<(), SqlError> {
    let none = options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
        && options.opt_alias.is_none();
    if none { Ok(()) } else { Err(SqlError::syntax("* takes nothing behind it")) }
}

/// Refuses what other databases have in a SELECT.
fn refuse(select: &Select) -> Result<(), SqlError> {
    if select.into.is_some() {
        return Err(SqlError::read_only("SELECT … INTO"));
    }
    let foreign = [
        ("TOP", select.top.is_some()),
        ("DISTINCT ON", matches!(select.distinct, Some(Distinct::On(_)))),
        ("EXCLUDE", select.exclude.is_some()),
        ("LATERAL VIEW", !select.lateral_views.is_empty()),
        ("PREWHERE", select.prewhere.is_some()),
        ("CONNECT BY", !select.connect_by.is_empty()),
        ("CLUSTER BY", !select.cluster_by.is_empty()),
        ("DISTRIBUTE BY", !select.distribute_by.is_empty()),
        ("SORT BY", !select.sort_by.is_empty()),
        ("QUALIFY", select.qualify.is_some()),
        ("SELECT AS STRUCT", select.value_table_mode.is_some()),
        ("FROM before SELECT", select.flavor != sqlparser::ast::SelectFlavor::Standard),
    ];
    match foreign.iter().find(|(_, there)| *there) {
        Some((what, _)) => Err(SqlError::syntax(format!("{what} is not MySQL's"))),
        None => Ok(()),
    }
}
