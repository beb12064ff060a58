//! How a window is sorted, and its frames.

use sqlparser::ast::{BinaryOperator, Expr, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec};

use super::compiler::Compiler;
use super::literal;
use super::query::direction;
use super::typed::{Kind, Typed, is_number, scale_of};
use crate::sql::decimal::Dec;
use crate::sql::error::SqlError;
use crate::sql::types::SqlType::{Date, DateTime, Null, Time, Timestamp};

impl Compiler<'_> {
    /// ORDER BY and frame of a window.
    pub(super) fn ordered(&mut self, spec: &WindowSpec) -> Result<Vec<String>, SqlError> {
        let mut words = Vec::new();
        let mut amounts = Vec::new();
        if let Some(frame) = &spec.window_frame {
            for amount in [Some(&frame.start_bound), frame.end_bound.as_ref()].into_iter().flatten().filter_map(amount_of) {
                amounts.push(self.amount_of_frame(amount)?);
            }
        }
        let ranges =
            spec.window_frame.as_ref().is_some_and(|frame| frame.units == WindowFrameUnits::Range) && !amounts.is_empty();
        match spec.order_by.as_slice() {
            [term] if ranges => {
                let key = self.expression(&term.expr)?;
                words.push(format!("ORDER BY {}{}", self.in_units(key, &mut amounts)?, direction(term)?));
            }
            [] if ranges && spec.window_name.is_none() => return Err(no_range("")),
            [] => {}
            [_, _, ..] if ranges => return Err(no_range("")),
            order => words.push(format!("ORDER BY {}", self.order_terms(order, false)?.join(", "))),
        }
        if let Some(frame) = &spec.window_frame {
            words.push(framed(frame, amounts.into_iter().map(|amount| amount.sql))?);
        }
        Ok(words)
    }

    fn amount_of_frame(&mut self, amount: &Expr) -> Result<Typed, SqlError> {
        if matches!(amount, Expr::Interval(_)) {
            return Err(SqlError::unsupported("INTERVAL in a window's frame is not done by z4"));
        }
        let amount = self.expression(amount)?;
        match &amount.kind {
            Kind::Number(_) if !amount.is_negative() => Ok(amount),
            // SQLite takes nothing that is calculated there.
            Kind::Param => Ok(amount),
            _ => Err(SqlError::new(3586, "HY000", "Window: frame start or end is negative, NULL or of non-integral type")),
        }
    }

    /// What a window with a RANGE is sorted by, and the amounts in the same units: whole numbers where all are exact, else DOUBLEs.
    fn in_units(&mut self, key: Typed, amounts: &mut [Typed]) -> Result<String, SqlError> {
        match key.ty {
            Null => return Ok(key.sql),
            Date | DateTime(_) | Time(_) | Timestamp(_) => {
                return Err(SqlError::new(
                    3588,
                    "HY000",
                    "Window with RANGE frame has ORDER BY expression of datetime type. Only INTERVAL bound value allowed.",
                ));
            }
            ty if is_number(ty) && !key.is_param() => {}
            ty => return Err(no_range(&format!(", not {ty:?}"))),
        }
        let key = key.kept();
        let scales: Option<Vec<u8>> = std::iter::once(&key)
            .chain(amounts.iter())
            .map(|typed| match typed.is_param() {
                true => Some(0),
                false => scale_of(typed.ty),
            })
            .collect();
        let unit = scales.map(|scales| format!("1{}", "0".repeat(scales.into_iter().max().unwrap_or(0).into())));
        for amount in amounts.iter_mut() {
            let Kind::Number(text) = &amount.kind else { continue };
            amount.sql = match unit.as_deref().and_then(|unit| Some(Dec::parse(text)?.times(&Dec::parse(unit)?))) {
                Some(units) => units.to_text(0),
                None => literal::real(text),
            };
        }
        Ok(match unit.as_deref() {
            None => key.into_real().sql,
            Some("1") => key.sql,
            Some(_) if amounts.iter().any(Typed::is_param) => {
                return Err(SqlError::unsupported(
                    "a parameter in a window's RANGE over numbers with digits behind the point is not done by z4",
                ));
            }
            Some(unit) => self.operator(key, &BinaryOperator::Multiply, literal::number(unit))?.into_int().sql,
        })
    }
}

fn no_range(what: &str) -> SqlError {
    let message = format!(
        "Window with RANGE N PRECEDING/FOLLOWING frame requires exactly one ORDER BY expression, of numeric or temporal type{what}"
    );
    SqlError::new(3587, "HY000", message)
}

fn amount_of(bound: &WindowFrameBound) -> Option<&Expr> {
    match bound {
        WindowFrameBound::CurrentRow => None,
        WindowFrameBound::Preceding(amount) | WindowFrameBound::Following(amount) => amount.as_deref(),
    }
}

/// A frame, with the amounts of its bounds.
fn framed(frame: &WindowFrame, mut amounts: impl Iterator<Item = String>) -> Result<String, SqlError> {
    let units = match frame.units {
        WindowFrameUnits::Rows => "ROWS",
        WindowFrameUnits::Range => "RANGE",
        WindowFrameUnits::Groups => return Err(SqlError::unsupported("GROUPS in a window is not done by MySQL")),
    };
    let mut bound = |bound: &WindowFrameBound| {
        let (amount, word) = match bound {
            WindowFrameBound::CurrentRow => return "CURRENT ROW".to_owned(),
            WindowFrameBound::Preceding(amount) => (amount, "PRECEDING"),
            WindowFrameBound::Following(amount) => (amount, "FOLLOWING"),
        };
        let amount = amount.as_ref().and_then(|_| amounts.next()).unwrap_or_else(|| "UNBOUNDED".to_owned());
        format!("{amount} {word}")
    };
    let start = bound(&frame.start_bound);
    Ok(match &frame.end_bound {
        Some(end) => format!("{units} BETWEEN {start} AND {}", bound(end)),
        None => format!("{units} {start}"),
    })
}
