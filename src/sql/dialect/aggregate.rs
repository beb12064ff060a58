//! Aggregates and window functions.

use sqlparser::ast::{FunctionArg, WindowType};

use super::call::{Arguments, is_star, returns};
use super::compiler::Compiler;
use super::errors::wrong_count;
use super::literal::{self, name as quoted};
use super::typed::{Typed, common, scale_of, widest};
use crate::sql::error::SqlError;
use crate::sql::signatures::{self, Want};
use crate::sql::types::SqlType::{Blob, Decimal, Double, Int, Json, Text, UInt};

impl Compiler<'_> {
    /// COUNT, SUM, AVG, MIN, MAX, GROUP_CONCAT.
    /// `over`: ` OVER …` of a window, or nothing.
    pub(super) fn aggregate(&mut self, name: &str, arguments: &Arguments<'_>, over: &str) -> Result<Typed, SqlError> {
        self.aggregates();
        let distinct = if arguments.distinct { "DISTINCT " } else { "" };
        if name == "GROUP_CONCAT" {
            return self.group_concat(arguments);
        }
        if !arguments.order.is_empty() || arguments.separator.is_some() {
            return Err(SqlError::syntax(format!("{name} takes no ORDER BY and no SEPARATOR")));
        }
        if name == "COUNT" {
            if is_star(arguments.list) {
                return Ok(Typed::new(format!("count(*){over}"), Int).never_null());
            }
            let zone = self.zone();
            let values: Vec<Typed> =
                self.values_of(name, arguments.list)?.into_iter().map(|value| value.compared(zone)).collect();
            return match values.as_slice() {
                [value] => Ok(Typed::new(format!("count({distinct}{}){over}", value.sql), Int).never_null()),
                [_, ..] if arguments.distinct => Ok(Typed::new(format!("count(DISTINCT {})", row(&values)), Int).never_null()),
                _ => Err(wrong_count(name)),
            };
        }
        let [value] = <[Typed; 1]>::try_from(self.values_of(name, arguments.list)?).map_err(|_| wrong_count(name))?;
        let signature = signatures::signature(name).ok_or_else(|| SqlError::no_function(name))?;
        let value = if matches!(name, "MIN" | "MAX") { value } else { value.wanted(Want::Number, self.zone()) };
        let ty = returns(signature, std::slice::from_ref(&value));
        // A column of the catalog, and what is calculated for each row, is far from the ends of BIGINT; that of a derived table need not be.
        let derived = value.column.as_ref().is_some_and(|column| column.origin.is_none());
        let exact = matches!(value.ty, Decimal(_)) || value.may_be_big() || derived && value.ty != Double;
        let sum = if exact { "my_sum" } else { "sum" };
        let of = |function: &str| format!("{function}({distinct}{}){over}", value.sql);
        let sql = match (name, ty) {
            // SQLite's own sum of integers is faster than one of DECIMALs.
            ("SUM", Decimal(_)) if !exact => format!("z4_dec_of({})", of(sum)),
            ("SUM", Decimal(_)) => of(sum),
            ("AVG", Decimal(_)) => {
                let scale = scale_of(value.ty).unwrap_or(0);
                format!("z4_avg({}, {}, {scale})", of(sum), of("count"))
            }
            (_, Json) => format!("z4_json_sorted({}(z4_json_sort({})){over})", signature.sqlite, value.sql),
            _ => of(signature.sqlite),
        };
        // A sum has room for as many rows as a BIGINT counts.
        let whole = match (name, value.whole_digits()) {
            ("SUM", 1..) => value.whole_digits().saturating_add(22),
            (_, whole) => whole,
        };
        Ok(Typed { ci: value.ci, ..Typed::new(sql, ty) }.with_whole(whole))
    }

    fn group_concat(&mut self, arguments: &Arguments<'_>) -> Result<Typed, SqlError> {
        let values = self.values_of("GROUP_CONCAT", arguments.list)?;
        let value = match values.len() {
            0 => return Err(wrong_count("GROUP_CONCAT")),
            1 => values.into_iter().next().map(|value| value.into_text()).unwrap_or_else(Typed::null),
            _ => self.call("CONCAT", values)?,
        };
        let ty = if value.ty == Blob { Blob } else { Text };
        let order = self.order_terms(arguments.order, false)?;
        let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
        let separator = arguments.separator.unwrap_or(",");
        let sql = match (arguments.distinct, separator) {
            (false, _) => format!("group_concat({}, {}{order})", value.sql, literal::quoted(separator)),
            (true, ",") => format!("group_concat(DISTINCT {}{order})", value.sql),
            // SQLite takes no separator beside DISTINCT: commas in values are hidden while it puts its own.
            (true, _) => format!(
                "replace(replace(group_concat(DISTINCT replace({}, ',', char(1)){order}), ',', {}), char(1), ',')",
                value.sql,
                literal::quoted(separator)
            ),
        };
        Ok(Typed::new(sql, ty))
    }

    /// `f(…) OVER …`.
    pub(super) fn windowed(&mut self, name: &str, arguments: &Arguments<'_>, over: &WindowType) -> Result<Typed, SqlError> {
        let aggregates = self.scope().is_some_and(|scope| scope.aggregates);
        if self.scope().is_some_and(|scope| scope.rollup.is_some()) {
            return Err(SqlError::unsupported(format!(
                "{name} OVER beside WITH ROLLUP is not done by z4; in a query around it, it is"
            )));
        }
        let over = match over {
            WindowType::NamedWindow(name) => quoted(&name.value),
            WindowType::WindowSpec(spec) => self.window(spec)?,
        };
        let function = self.window_function(name, arguments, &format!(" OVER {over}"))?;
        // An aggregate over a window groups nothing.
        if let Some(scope) = self.scope() {
            scope.aggregates = aggregates;
            scope.windows = true;
        }
        Ok(function)
    }

    fn window_function(&mut self, name: &str, arguments: &Arguments<'_>, over: &str) -> Result<Typed, SqlError> {
        let list: &[FunctionArg] = arguments.list;
        let (least, most) = match name {
            "ROW_NUMBER" | "RANK" | "DENSE_RANK" | "PERCENT_RANK" | "CUME_DIST" => (0, 0),
            "NTILE" | "FIRST_VALUE" | "LAST_VALUE" => (1, 1),
            "NTH_VALUE" => (2, 2),
            "LAG" | "LEAD" => (1, 3),
            "COUNT" | "SUM" | "AVG" | "MIN" | "MAX" if arguments.distinct => {
                return Err(SqlError::unsupported(format!("{name}(DISTINCT …) OVER is not done by z4")));
            }
            "COUNT" | "SUM" | "AVG" | "MIN" | "MAX" => return self.aggregate(name, arguments, over),
            _ => match signatures::signature(name) {
                Some(signature) if signature.aggregate && arguments.distinct => {
                    return Err(SqlError::unsupported(format!("{name}(DISTINCT …) OVER is not done by z4")));
                }
                Some(signature) if signature.aggregate => {
                    let args = self.values_of(name, list)?;
                    let call = self.call(name, args)?;
                    // The window belongs to the aggregate, and not to what is around it.
                    let sql = match call.sql.strip_prefix("z4_unsigned(").and_then(|sql| sql.strip_suffix(')')) {
                        Some(inner) => format!("z4_unsigned({inner}{over})"),
                        None => format!("{}{over}", call.sql),
                    };
                    return Ok(Typed { sql, ..call });
                }
                Some(_) => return Err(SqlError::syntax(format!("{name} is no window function"))),
                None => return Err(SqlError::no_function(name)),
            },
        };
        if !(least..=most).contains(&list.len()) {
            return Err(wrong_count(name));
        }
        let mut args = self.values_of(name, list)?;
        let sqlite = name.to_ascii_lowercase();
        let ty = match name {
            "PERCENT_RANK" | "CUME_DIST" => Double,
            "ROW_NUMBER" | "RANK" | "DENSE_RANK" | "NTILE" => UInt,
            _ => {
                let types = args.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, arg)| arg.ty);
                let ty = types.reduce(common).unwrap_or(Int);
                let zone = self.zone();
                args = args
                    .into_iter()
                    .enumerate()
                    .map(|(at, arg)| if at == 1 { arg.into_int() } else { arg.fitted(ty, zone) })
                    .collect();
                ty
            }
        };
        let whole = widest(args.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, arg)| arg));
        let list: Vec<String> = args.into_iter().map(|arg| arg.sql).collect();
        Ok(Typed::new(format!("{sqlite}({}){over}", list.join(", ")), ty).null_if(most != 0).with_whole(whole))
    }
}

/// Several values as one, NULL when one of them is: COUNT(DISTINCT a, b).
fn row(values: &[Typed]) -> String {
    let nulls: Vec<String> = values.iter().map(|value| format!("{} IS NULL", value.sql)).collect();
    // 0, 0.0 and -0.0 are one number.
    let quoted = |value: &Typed| match value.ty {
        Double => format!("quote(CAST({} AS REAL) + 0.0)", value.sql),
        _ => format!("quote({})", value.sql),
    };
    let texts: Vec<String> = values.iter().map(quoted).collect();
    format!("CASE WHEN {} THEN NULL ELSE {} END", nulls.join(" OR "), texts.join(" || ',' || "))
}
