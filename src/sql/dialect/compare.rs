//! Comparisons: both sides become what MySQL compares them as. A column stays bare wherever it can, so that SQLite can push it down.

use sqlparser::ast::{BinaryOperator, Expr, Query};

use super::compiler::Compiler;
use super::errors::{incorrect, one_column};
use super::expression::truth;
use super::lift::LIST_LIFTED_MAX;
use super::literal::{self, name as quoted};
use super::operate::operand;
use super::typed::{Kind, Typed, is_number};
use crate::sql::datetime;
use crate::sql::error::SqlError;
use crate::sql::types::SqlType::{Blob, Date, DateTime, Decimal, Double, Int, Json, Null, Text, Time, Timestamp, UInt};
use crate::sql::zones::Zone;

impl Compiler<'_> {
    /// `left sign right`.
    pub(super) fn compare(&mut self, left: Typed, sign: &str, right: Typed) -> Result<Typed, SqlError> {
        let (left, right) = self.pair(left, right)?;
        Ok(compared(&left, sign, &right))
    }

    /// The same, where nothing else is made of the two sides: a literal may become a parameter.
    pub(super) fn compare_lifting(&mut self, left: Typed, sign: &str, right: Typed) -> Result<Typed, SqlError> {
        if self.is_liftable(&right, &left) {
            let (right, left) = self.pair_lifting(right, left)?;
            return Ok(compared(&left, sign, &right));
        }
        let (left, right) = self.pair_lifting(left, right)?;
        Ok(compared(&left, sign, &right))
    }

    /// Both sides, ready to be compared by SQLite.
    pub(super) fn pair(&mut self, left: Typed, right: Typed) -> Result<(Typed, Typed), SqlError> {
        if rank(&right) > rank(&left) {
            let (right, left) = self.pair(right, left)?;
            return Ok((left, right));
        }
        Ok(match (left.ty, right.ty) {
            (Null, _) | (_, Null) => (left, right),
            (Timestamp(_) | DateTime(_) | Date, ty) if is_number(ty) && !is_date(&left, &right, self.zone()) => {
                numbers(left, right)
            }
            // A parameter becomes what the column is.
            (Text, _) if right.is_param() && left.column.is_some() => (left, right.into_text()),
            (_, Text) if left.is_param() && right.column.is_some() => (left.into_text(), right),
            (Timestamp(_), _) => {
                let right = self.timestamp(right)?;
                (left, right)
            }
            (DateTime(_), _) => {
                let right = self.moment(right)?;
                (left, right)
            }
            (Time(_), Time(_)) => (left, right),
            (Time(_), ty) if is_number(ty) && !is_time(&right) => numbers(left, right),
            (ty, Time(_)) if is_number(ty) && !is_time(&left) => numbers(left, right),
            (Time(_), Int | UInt | Decimal(_) | Text | Blob | Json) => (left, time(right)?),
            (Int | UInt | Decimal(_) | Text | Blob | Json, Time(_)) => (time(left)?, right),
            (Date, Date) if !right.is_param() => (left, right),
            (Date, _) => self.pair_with_date(left, right)?,
            (Json, Blob) => (left.scalar().into_blob(), right),
            (Blob, Json) => (left, right.scalar().into_blob()),
            // As documents: true is no 1, and '1' no number.
            (Json, _) | (_, Json) => (left.into_json_key(self.zone()), right.into_json_key(self.zone())),
            (Blob, Blob) => (left, right),
            (Blob, ty) | (ty, Blob) if is_number(ty) => numbers(left, right),
            (Blob, _) | (_, Blob) => (left.into_blob(), right.into_blob()),
            (a, b) if is_number(a) || is_number(b) => numbers(left, right),
            _ => (left.into_text(), right.into_text()),
        })
    }

    /// What is compared with a TIMESTAMP.
    fn timestamp(&mut self, typed: Typed) -> Result<Typed, SqlError> {
        let zone = self.zone();
        Ok(match dated(&typed, |typed| literal::timestamp(typed, zone), "z4_dt_strict")? {
            Some((sql, digits, nullable)) => Typed::new(sql, Timestamp(digits)).null_if(nullable),
            None => typed.into_timestamp(zone),
        })
    }

    /// What is compared with a DATETIME.
    fn moment(&mut self, typed: Typed) -> Result<Typed, SqlError> {
        let zone = self.zone();
        Ok(match dated(&typed, |typed| literal::moment(typed, zone), "z4_wall_strict")? {
            Some((sql, digits, nullable)) => Typed::new(sql, DateTime(digits)).null_if(nullable),
            None => typed.into_datetime(zone),
        })
    }

    /// A DATE and something else: days as text where the other is a day, moments otherwise.
    fn pair_with_date(&mut self, left: Typed, right: Typed) -> Result<(Typed, Typed), SqlError> {
        let zone = self.zone();
        let right = self.moment(right)?;
        if let (DateTime(_), Ok(us)) = (right.ty, right.sql.parse::<i64>())
            && us.rem_euclid(datetime::DAY) == 0
        {
            return Ok((left, Typed { ty: Date, ..Typed::text(datetime::format_date(us, 0)) }));
        }
        Ok((left.into_datetime(zone), right))
    }

    pub(super) fn between(&mut self, expr: &Expr, low: &Expr, high: &Expr, negated: bool) -> Result<Typed, SqlError> {
        let not = if negated { "NOT " } else { "" };
        let value = self.expression(expr)?;
        let low = self.expression(low)?;
        let high = self.expression(high)?;
        let ci = value.ci || low.ci || high.ci;
        // All three are compared as one type: a text between a text and a number is a number.
        let numbers = |other: &Typed, number: &Typed| other.ty == Text && is_number(number.ty);
        let value = if value.ty == Text && (numbers(&low, &high) || numbers(&high, &low)) { operand(value) } else { value };
        let (above, low) = self.pair_lifting(value.clone(), low)?;
        let (below, high) = self.pair_lifting(value, high)?;
        let collation = if ci { " COLLATE z4_ci" } else { "" };
        if above.sql == below.sql {
            let between = format!("{}{collation} {not}BETWEEN {} AND {}", above.sql, low.sql, high.sql);
            // SQLite plans the arms of an OR without a BETWEEN beside it, and an INNER JOIN for an outer one only by it: both are said.
            if !negated && matches!(above.ty, Timestamp(_)) && above.column.is_some() && self.source.has_alternatives() {
                let (column, low, high) = (above.sql, low.sql, high.sql);
                return Ok(truth(format!("({between} AND {column} >= {low} AND {column} <= {high})")));
            }
            return Ok(truth(format!("({between})")));
        }
        let both = format!("({}{collation} >= {} AND {}{collation} <= {})", above.sql, low.sql, below.sql, high.sql);
        Ok(truth(if negated { format!("(NOT {both})") } else { both }))
    }

    pub(super) fn in_list(&mut self, expr: &Expr, list: &[Expr], negated: bool) -> Result<Typed, SqlError> {
        let not = if negated { "NOT " } else { "" };
        if matches!(expr, Expr::Tuple(_)) {
            let mut rows = Vec::new();
            for row in list {
                rows.push(self.compare_rows(expr, &BinaryOperator::Eq, row)?.sql);
            }
            return Ok(truth(format!("({not}({}))", rows.join(" OR "))));
        }
        let value = self.expression(expr)?;
        let mut pairs = Vec::with_capacity(list.len());
        let short = list.len() <= LIST_LIFTED_MAX;
        for element in list {
            let element = self.expression(element)?;
            let pair = if short { self.pair_lifting(value.clone(), element) } else { self.pair(value.clone(), element) };
            pairs.push(pair?);
        }
        let collation = if pairs.iter().any(|(left, right)| left.ci || right.ci) { " COLLATE z4_ci" } else { "" };
        let mut lefts = pairs.iter().map(|(left, _)| left.sql.as_str());
        let first = lefts.next().unwrap_or_default();
        if lefts.all(|left| left == first) {
            let elements: Vec<&str> = pairs.iter().map(|(_, element)| element.sql.as_str()).collect();
            return Ok(truth(format!("({first}{collation} {not}IN ({}))", elements.join(", "))));
        }
        let equal: Vec<String> = pairs.iter().map(|(left, right)| format!("{}{collation} = {}", left.sql, right.sql)).collect();
        Ok(truth(format!("({not}({}))", equal.join(" OR "))))
    }

    pub(super) fn in_subquery(&mut self, expr: &Expr, query: &Query, negated: bool) -> Result<Typed, SqlError> {
        let not = if negated { "NOT " } else { "" };
        let left = match expr {
            Expr::Tuple(values) => values.iter().map(|value| self.expression(value)).collect::<Result<Vec<_>, _>>()?,
            value => vec![self.expression(value)?],
        };
        let compiled = self.query(query, false)?;
        if compiled.columns.len() != left.len() {
            return Err(one_column(left.len()));
        }
        let alias = self.fresh("in");
        let (mut lefts, mut rights, mut bare) = (Vec::new(), Vec::new(), true);
        for (left, column) in left.into_iter().zip(&compiled.columns) {
            let plain = format!("{}.{}", quoted(&alias), quoted(&column.name));
            let (left, right) = self.pair(left, Typed::new(plain.clone(), column.ty))?;
            bare &= right.sql == plain;
            lefts.push(super::select::collated(&left.sql, left.ci));
            rights.push(right.sql);
        }
        let inner = if bare {
            compiled.sql
        } else {
            format!("SELECT {} FROM ({}) AS {}", rights.join(", "), compiled.sql, quoted(&alias))
        };
        let left = if lefts.len() == 1 { lefts.join("") } else { format!("({})", lefts.join(", ")) };
        Ok(truth(format!("({left} {not}IN ({inner}))")))
    }

    pub(super) fn like(&mut self, expr: &Expr, pattern: &Expr, escape: Option<&Expr>, negated: bool) -> Result<Typed, SqlError> {
        let (text, pattern) = (self.expression(expr)?.into_text(), self.expression(pattern)?.into_text());
        let escape = match escape {
            Some(escape) => self.expression(escape)?.into_text().sql,
            None => "'\\'".to_owned(),
        };
        let ci = u8::from(text.ci || pattern.ci);
        let like = format!("z4_like({}, {}, {escape}, {ci})", text.sql, pattern.sql);
        Ok(truth(if negated { format!("(NOT {like})") } else { like }))
    }

    pub(super) fn regexp(&mut self, expr: &Expr, pattern: &Expr, negated: bool) -> Result<Typed, SqlError> {
        let (text, pattern) = (self.expression(expr)?.into_text(), self.expression(pattern)?.into_text());
        let kind = if text.ci || pattern.ci { ", 'i'" } else { "" };
        let found = format!("z4_regexp({}, {}{kind})", text.sql, pattern.sql);
        Ok(truth(if negated { format!("(NOT {found})") } else { found }))
    }
}

/// `left sign right` of what is ready to be compared.
fn compared(left: &Typed, sign: &str, right: &Typed) -> Typed {
    let collation = if left.ci || right.ci { " COLLATE z4_ci" } else { "" };
    let nullable = sign != "IS" && (left.nullable || right.nullable);
    truth(format!("({}{collation} {sign} {})", left.sql, right.sql)).null_if(nullable)
}

/// Two numbers: exact ones exactly, with a DOUBLE as DOUBLEs.
fn numbers(left: Typed, right: Typed) -> (Typed, Typed) {
    let (left, right) = (left.into_number(), right.into_number());
    match (left.ty, right.ty) {
        (Decimal(_), Decimal(_)) => (left.kept(), right.kept()),
        (Decimal(_), Int | UInt) => {
            let (right, left) = whole_and_decimal(right, left);
            (left, right)
        }
        (Int | UInt, Decimal(_)) => whole_and_decimal(left, right),
        (Double, _) | (_, Double) => (left.into_real(), right.into_real()),
        _ => (left, right),
    }
}

/// A whole number stays as it is beside a short literal: SQLite compares INTEGER and REAL exactly, and can push it down.
fn whole_and_decimal(whole: Typed, decimal: Typed) -> (Typed, Typed) {
    let short = matches!(&decimal.kind, Kind::Number(text) if text.len() <= 16);
    if short && !whole.may_be_big() { (whole, decimal.into_real()) } else { (whole.into_decimal(), decimal.kept()) }
}

/// What is compared with a TIME.
fn time(typed: Typed) -> Result<Typed, SqlError> {
    if let Some(text) = typed.literal_text()
        && datetime::span::parse(text.trim()).is_none()
        && datetime::parse_civil(text).is_none()
    {
        return Err(incorrect("TIME", text));
    }
    let is_text = matches!(typed.ty, Text | Blob) && typed.literal_text().is_none();
    if is_text {
        let text = typed.into_characters();
        return Ok(Typed::new(format!("z4_tm_strict({})", text.sql), Time(6)).null_if(text.nullable));
    }
    Ok(typed.into_time())
}

/// Microseconds before every date that is read or written.
const BEFORE_ALL: i64 = -62_300_000_000_000_000;

/// 0 and '0000-00-00', which MySQL takes for a date before all others.
fn is_zero_date(literal: &Typed) -> bool {
    match literal::written(literal) {
        Some(text) if matches!(literal.kind, Kind::Number(_)) => text.parse::<f64>() == Ok(0.0),
        Some(text) => {
            text.starts_with("0000-00-00") && text.chars().all(|letter| matches!(letter, '0' | '-' | ':' | '.' | ' ' | 'T'))
        }
        None => false,
    }
}

/// Of two sides the one with the greater rank says as what they are compared.
fn rank(typed: &Typed) -> u8 {
    match typed.ty {
        Timestamp(_) => 3,
        DateTime(_) => 2,
        Date => 1,
        _ => 0,
    }
}

/// A literal that reads as a TIME: beside one, any other number is compared with the TIME's.
fn is_time(number: &Typed) -> bool {
    let Kind::Number(text) = &number.kind else { return false };
    text.parse::<f64>().is_ok_and(|value| value.abs() < 1e15 && datetime::span::of_number(value.trunc() as i64, 0).is_some())
}

/// A number beside a date is a date where it is written as one, and beside a column of the catalog, which bounds what is read;
/// any other is compared with the date's number.
fn is_date(date: &Typed, number: &Typed, zone: &Zone) -> bool {
    let bounds = date.column.as_ref().is_some_and(|column| column.origin.is_some());
    bounds || is_zero_date(number) || literal::moment(number, zone).is_some()
}

/// A literal or a text that is compared with a date: its SQL, the digits of its fraction, whether it may be NULL; `None`: it is neither.
fn dated(
    typed: &Typed,
    read: impl Fn(&Typed) -> Option<(i64, u8)>,
    function: &str,
) -> Result<Option<(String, u8, bool)>, SqlError> {
    if rank(typed) > 1 {
        return Ok(None);
    }
    if matches!(typed.kind, Kind::Text(_) | Kind::Number(_)) {
        return match read(typed) {
            Some((us, digits)) => Ok(Some((us.to_string(), digits, false))),
            None if is_zero_date(typed) => Ok(Some((BEFORE_ALL.to_string(), 0, false))),
            None => Err(incorrect("DATETIME", literal::written(typed).unwrap_or_default())),
        };
    }
    Ok(match typed.ty {
        _ if typed.is_param() => Some((format!("{function}({})", typed.sql), 6, true)),
        Text | Blob => Some((format!("{function}({})", typed.clone().into_characters().sql), 6, true)),
        Json => Some((format!("{function}({})", typed.clone().scalar().sql), 6, true)),
        _ => None,
    })
}
