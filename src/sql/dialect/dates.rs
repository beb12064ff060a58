//! DATE_ADD and its kin: dates and intervals.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, Interval};

use super::compiler::Compiler;
use super::literal;
use super::typed::{Kind, Typed, is_number};
use crate::sql::error::SqlError;
use crate::sql::signatures::Want;
use crate::sql::types::SqlType::{Blob, Date, DateTime, Decimal, Int, Json, Null, Text, Time, Timestamp};

impl Compiler<'_> {
    /// `base + INTERVAL …`, or `base - INTERVAL …`.
    pub(super) fn shifted(&mut self, base: Typed, interval: &Interval, back: bool) -> Result<Typed, SqlError> {
        let unit = unit(interval)?;
        let amount = self.expression(&interval.value)?;
        self.moved(base, amount, &unit, back)
    }

    /// `base`, so many units later or earlier.
    pub(super) fn moved(&mut self, base: Typed, amount: Typed, unit: &str, back: bool) -> Result<Typed, SqlError> {
        let zone = self.zone();
        // The digits of the fraction that the amount brings.
        let brought = match (unit, amount.ty) {
            (unit, _) if unit.ends_with("MICROSECOND") => 6,
            ("SECOND", Int | Null) => 0,
            ("SECOND", Decimal(digits)) if !amount.is_param() => digits.min(6),
            ("SECOND", _) => 6,
            _ => 0,
        };
        let amount = amount.into_real();
        let amount = if back { negative(amount) } else { amount };
        if !matches!(base.ty, Date | DateTime(_) | Timestamp(_)) || base.is_param() {
            // Text gives text, and so does a number: whether of a day or of a moment, they say themselves.
            if let Time(digits) = base.ty {
                let sql = format!("z4_tm_interval({}, {}, {})", base.sql, amount.sql, literal::quoted(unit));
                return Ok(Typed::new(sql, Time(digits.max(brought))));
            }
            let base = if is_number(base.ty) { base } else { base.scalar().into_text() };
            let unit = literal::quoted(unit);
            return Ok(Typed::new(format!("z4_date_add_text({}, {}, {unit})", base.sql, amount.sql), Text));
        }
        let of_days = matches!(unit, "DAY" | "WEEK" | "MONTH" | "QUARTER" | "YEAR" | "YEAR_MONTH");
        let day = base.ty == Date;
        let moment = base.into_datetime(zone);
        let digits = match moment.ty {
            DateTime(digits) => digits.max(brought),
            _ => 6,
        };
        let sql = format!("z4_date_add({}, {}, {})", moment.sql, amount.sql, literal::quoted(unit));
        Ok(if day && of_days { Typed::new(format!("z4_date({sql})"), Date) } else { Typed::new(sql, DateTime(digits)) })
    }

    /// DATE_ADD(x, INTERVAL …), ADDDATE(x, days) and the same with SUB.
    pub(super) fn date_add(&mut self, name: &str, args: &[FunctionArg], back: bool) -> Result<Typed, SqlError> {
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(base)), FunctionArg::Unnamed(FunctionArgExpr::Expr(amount))] = args
        else {
            return Err(super::errors::wrong_count(name));
        };
        let base = self.expression(base)?;
        match amount {
            Expr::Interval(interval) => self.shifted(base, interval, back),
            amount if matches!(name, "ADDDATE" | "SUBDATE") => {
                let amount = self.expression(amount)?;
                self.moved(base, amount, "DAY", back)
            }
            _ => Err(SqlError::syntax(format!("{name} takes an INTERVAL"))),
        }
    }

    /// EXTRACT: a number is a date where parts of one are asked for.
    pub(super) fn extract(&mut self, args: Vec<Typed>) -> Result<Typed, SqlError> {
        let zone = self.zone();
        let of_dates = |unit: &str| matches!(unit, "DAY" | "WEEK" | "MONTH" | "QUARTER" | "YEAR" | "YEAR_MONTH");
        let args = match <[Typed; 2]>::try_from(args) {
            Ok([unit, base]) if is_number(base.ty) && !base.is_param() && unit.literal_text().is_some_and(of_dates) => {
                vec![unit, base.into_datetime(zone)]
            }
            Ok(args) => Vec::from(args),
            Err(args) => args,
        };
        self.call("EXTRACT", args)
    }

    /// ADDTIME and SUBTIME: of a DATETIME a DATETIME, of a TIME a TIME, of text text.
    pub(super) fn add_time(&mut self, name: &str, args: &[FunctionArg]) -> Result<Typed, SqlError> {
        let [base, span] = <[Typed; 2]>::try_from(self.values_of(name, args)?).map_err(|_| super::errors::wrong_count(name))?;
        let digits = if span.ty == Null { 6 } else { base.time_digits().max(span.time_digits()) };
        let base = if matches!(base.ty, Timestamp(_) | Date) { base.into_datetime(self.zone()) } else { base };
        let (function, ty) = match base.ty {
            DateTime(_) => ("z4_dt_add", DateTime(digits)),
            Time(_) => ("z4_tm_add", Time(digits)),
            _ => return self.call(name, vec![base, span]),
        };
        let span =
            if matches!(span.ty, Time(_)) { span.sql } else { format!("z4_span({})", span.wanted(Want::Clock, self.zone()).sql) };
        let span = if name == "SUBTIME" { format!("(-({span}))") } else { span };
        Ok(Typed::new(format!("{function}({}, {span})", base.sql), ty))
    }

    /// TIMEDIFF: a DATE has a difference from a DATE alone.
    pub(super) fn time_diff(&mut self, args: &[FunctionArg]) -> Result<Typed, SqlError> {
        let args = self.values_of("TIMEDIFF", args)?;
        match args.as_slice() {
            [a, b] if (a.ty == Date) != (b.ty == Date) => {
                Ok(Typed { ty: Time(a.time_digits().max(b.time_digits())), ..Typed::null() })
            }
            _ => self.call("TIMEDIFF", args),
        }
    }

    /// TIMESTAMP(x), TIMESTAMP(x, time): a moment counts as its time of day, a text with a date in it as none.
    pub(super) fn timestamp_of(&mut self, args: &[FunctionArg]) -> Result<Typed, SqlError> {
        let (base, span) = match <[Typed; 2]>::try_from(self.values_of("TIMESTAMP", args)?) {
            Ok([base, span]) => (base.into_datetime(self.zone()), span),
            Err(other) => return self.call("TIMESTAMP", other),
        };
        let digits = if span.ty == Null { 6 } else { base.time_digits().max(span.time_digits()) };
        let is_text = matches!(span.ty, Text | Blob | Json) || span.is_param();
        let span = if is_text { format!("z4_span({})", span.scalar().into_characters().sql) } else { span.into_time().sql };
        Ok(Typed::new(format!("z4_dt_add({}, {span})", base.sql), DateTime(digits)))
    }

    /// TIMESTAMPADD(unit, amount, x), TIMESTAMPDIFF(unit, a, b), GET_FORMAT(type, …): the first argument is a word.
    pub(super) fn with_unit(&mut self, name: &str, args: &[FunctionArg]) -> Result<Typed, SqlError> {
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(unit))), rest @ ..] = args else {
            return Err(SqlError::syntax(format!("{name} takes a unit, such as DAY, first")));
        };
        let unit = unit.value.to_ascii_uppercase();
        let unit = unit.strip_prefix("SQL_TSI_").unwrap_or(&unit);
        let mut values = vec![];
        for arg in rest {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg else { return Err(super::errors::wrong_count(name)) };
            values.push(self.expression(arg)?);
        }
        if name == "TIMESTAMPADD" {
            let mut values = values.into_iter();
            return match (values.next(), values.next(), values.next()) {
                (Some(amount), Some(base), None) => self.moved(base, amount, unit, false),
                _ => Err(super::errors::wrong_count(name)),
            };
        }
        values.insert(0, Typed::text(unit));
        self.call(name, values)
    }
}

/// `DAY`, `DAY_HOUR`.
fn unit(interval: &Interval) -> Result<String, SqlError> {
    let Some(leading) = &interval.leading_field else { return Err(SqlError::syntax("INTERVAL takes a unit, such as DAY")) };
    let unit = match &interval.last_field {
        Some(last) => format!("{leading}_{last}"),
        None => leading.to_string(),
    };
    Ok(unit.to_ascii_uppercase())
}

/// The amount, the other way.
fn negative(amount: Typed) -> Typed {
    let ty = amount.ty;
    let sql = match (&amount.kind, amount.ty) {
        (Kind::Number(text), _) => text.strip_prefix('-').map_or_else(|| format!("-{text}"), str::to_owned),
        (Kind::Text(text), _) => {
            let text = text.trim();
            literal::quoted(&text.strip_prefix('-').map_or_else(|| format!("-{text}"), str::to_owned))
        }
        (_, Text) if !amount.is_param() => format!("('-' || {})", amount.sql),
        _ => format!("(-{})", amount.into_number().sql),
    };
    Typed::new(sql, ty)
}
