//! DISTINCT, UNION, EXCEPT and INTERSECT of JSON documents. SQLite would tell documents apart by their text: rows are grouped instead by
//! what equal documents have in common (see `Typed::compared`), and each group shows one of its rows.

use super::compiler::{Compiled, Compiler};
use super::literal::name as quoted;
use super::query::{Part, out_columns, render};
use super::scope::Item;
use super::typed::{Typed, common_of};
use super::union::{all, numbered_names, unify};
use crate::sql::error::SqlError;
use crate::sql::types::SqlType;
use crate::sql::zones::Zone;

impl Compiler<'_> {
    /// SELECT DISTINCT of a part that selects documents, and the terms of the ORDER BY behind it, which see what the SELECT sees.
    pub(super) fn distinct_documents(&mut self, mut part: Part, terms: Vec<String>) -> (Part, Vec<String>) {
        let alias = quoted(&self.fresh("part"));
        let shown: Vec<Item> = part.items.clone();
        let mut outer = Vec::new();
        for term in terms {
            let (key, direction) = term.strip_suffix(" DESC").map_or((term.as_str(), ""), |key| (key, " DESC"));
            if key.parse::<usize>().is_ok() {
                outer.push(term);
                continue;
            }
            outer.push(format!("{alias}.c{}{direction}", part.items.len()));
            part.items.push(Item::new("", Typed::new(key, SqlType::Text)));
        }
        number(&mut part.items);
        let items = named(&shown, &alias);
        let keys = keys(&items, self.zone());
        let rest = format!(" FROM ({}) AS {alias} GROUP BY {keys}", render(&Part { head: "SELECT", ..part }));
        (Part { joined: "", head: "SELECT", items, rest }, outer)
    }

    /// `left word right` without equal rows: UNION, EXCEPT or INTERSECT.
    pub(super) fn set_of_documents(&mut self, mut left: Vec<Part>, word: &str, right: Part) -> Result<Part, SqlError> {
        if word == "UNION" {
            left.push(Part { joined: "UNION ALL", ..right });
            unify(&mut left, self.zone())?;
            let columns = left.first().map(|first| out_columns(&first.items)).unwrap_or_default();
            let rows = self.wrapped(Compiled { sql: all(&left), columns });
            return Ok(self.distinct_documents(rows, Vec::new()).0);
        }
        unify(&mut left, self.zone())?;
        let columns = left.first().map(|first| out_columns(&first.items)).unwrap_or_default();
        let left = self.wrapped(Compiled { sql: all(&left), columns });
        let mut sides = [left, Part { joined: "", ..right }];
        unify(&mut sides, self.zone())?;
        let shown = sides.first().map(|first| first.items.clone()).unwrap_or_default();
        let alias = quoted(&self.fresh("part"));
        let items = named(&shown, &alias);
        let (names, keys) = (numbered_names(shown.len()), keys(&items, self.zone()));
        let [left, right] = sides.map(|mut side| {
            number(&mut side.items);
            render(&side)
        });
        let rows = of_sides(&left, word, &right, (&names, &alias, &keys));
        Ok(Part { joined: "", head: "SELECT", items, rest: format!(" FROM {rows}") })
    }
}

/// The rows of `left` that equal one of `right`, or none of it: a derived table, its GROUP BY and its HAVING. Both sides have columns of
/// these names, and are grouped by these keys.
pub(super) fn of_sides(left: &str, word: &str, right: &str, (names, alias, keys): (&str, &str, &str)) -> String {
    let side = |rows: &str, side: u8| format!("SELECT {names}, {side} AS side FROM ({rows})");
    // Beside min() or max() SQLite shows the row that has it: one of the left side.
    let having = if word == "EXCEPT" { "max(side) = 0" } else { "min(side) = 0 AND sum(side) > 0" };
    format!("({} UNION ALL {}) AS {alias} GROUP BY {keys} HAVING {having}", side(left, 0), side(right, 1))
}

/// What these parts select will be documents in one of the columns.
pub(super) fn are_selected<'a>(parts: impl Iterator<Item = &'a Part> + Clone) -> bool {
    let width = parts.clone().map(|part| part.items.len()).min().unwrap_or(0);
    (0..width).any(|at| {
        let column = parts.clone().filter_map(|part| part.items.get(at)).map(|item| &item.typed);
        common_of(column) == SqlType::Json
    })
}

/// What rows are grouped by, so that equal ones meet.
pub(super) fn keys(items: &[Item], zone: &Zone) -> String {
    items.iter().map(|item| item.typed.clone().compared(zone).sql).collect::<Vec<_>>().join(", ")
}

/// Names the columns `c0`, `c1`, ….
fn number(items: &mut [Item]) {
    items.iter_mut().enumerate().for_each(|(at, item)| item.name = format!("c{at}"));
}

/// The same columns, of a derived table that names them `c0`, `c1`, ….
fn named(items: &[Item], alias: &str) -> Vec<Item> {
    let of = |(at, item): (usize, &Item)| {
        let typed = Typed::new(format!("{alias}.c{at}"), item.typed.ty).null_if(item.typed.nullable);
        Item::new(
            item.name.clone(),
            Typed { column: item.typed.column.clone(), ci: item.typed.ci, whole: item.typed.whole, ..typed },
        )
    };
    items.iter().enumerate().map(of).collect()
}
