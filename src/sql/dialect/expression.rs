//! Expressions: names, literals, operators, subqueries.

use sqlparser::ast::{BinaryOperator, CaseWhen, Expr, Function, Ident, TypedString, UnaryOperator, Value};

use super::compiler::{Compiled, Compiler};
use super::errors::{one_column, unknown_variable};
use super::literal;
use super::operate::{is_small, operand};
use super::rows;
use super::scope::resolve;
use super::typed::{Kind, Typed, Written, common_of, widest};
use crate::sql::error::SqlError;
use crate::sql::types::SqlType::{self, Date, DateTime, Decimal, Int, Json, Text, Time, UInt};

impl Compiler<'_> {
    /// An expression.
    pub(super) fn expression(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        if let Some(rolled) = self.rolled(expr)? {
            return Ok(rolled);
        }
        self.deeper(|compiler| compiler.any(expr))
    }

    fn any(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        match expr {
            Expr::Nested(inner) => self.expression(inner),
            Expr::CompoundIdentifier(names) => self.name(names),
            Expr::Value(value) => self.value(&value.value, value.span.start),
            Expr::Prefixed { value, .. } => self.expression(value),
            Expr::TypedString(literal) => self.typed_literal(literal),
            Expr::BinaryOp { .. } => self.binary(expr),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("CURRENT_USER") => {
                Ok(self.current_user())
            }
            Expr::Identifier(name) if name.quote_style.is_none() && is_bare_call(&name.value) => {
                self.call(&name.value, Vec::new())
            }
            Expr::Identifier(name) => self.name(std::slice::from_ref(name)),
            Expr::IsNull(_) | Expr::IsUnknown(_) | Expr::IsNotNull(_) | Expr::IsNotUnknown(_) => self.is_test(expr),
            Expr::IsTrue(_) | Expr::IsNotTrue(_) | Expr::IsFalse(_) | Expr::IsNotFalse(_) => self.is_test(expr),
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            Expr::InSubquery { expr, subquery, negated } => self.in_subquery(expr, subquery, *negated),
            Expr::Between { expr, negated, low, high } => self.between(expr, low, high, *negated),
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_deref(), *negated)
            }
            Expr::RLike { negated, expr, pattern, .. } => self.regexp(expr, pattern, *negated),
            Expr::AnyOp { left, compare_op, right, .. } => self.quantified(left, compare_op, right, true),
            Expr::AllOp { left, compare_op, right } => self.quantified(left, compare_op, right, false),
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Exists { .. } | Expr::Subquery(_) => self.of_query(expr),
            Expr::Collate { expr, collation } => self.collate(expr, &collation.to_string()),
            Expr::Function(function) => self.function(function),
            Expr::Cast { expr, data_type, .. } => self.cast(expr, data_type),
            Expr::Convert { expr, data_type: Some(data_type), charset: None, .. } => self.cast(expr, data_type),
            Expr::Convert { expr, charset: Some(charset), .. } => {
                let value = self.expression(expr)?;
                let binary = charset.to_string().eq_ignore_ascii_case("binary");
                Ok(if binary { value.into_blob() } else { Typed { column: None, ..value.into_characters() } })
            }
            Expr::Interval(_) => Err(SqlError::syntax("INTERVAL stands beside + or -, or in DATE_ADD and its kin")),
            Expr::Tuple(_) => Err(one_column(1)),
            Expr::MatchAgainst { .. } => Err(SqlError::unsupported("MATCH … AGAINST is not done by z4; LIKE and REGEXP are")),
            other => self.spelled(other),
        }
    }

    fn is_test(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        let (inner, words) = match expr {
            Expr::IsNull(inner) | Expr::IsUnknown(inner) => (inner, "IS NULL"),
            Expr::IsNotNull(inner) | Expr::IsNotUnknown(inner) => (inner, "IS NOT NULL"),
            Expr::IsTrue(inner) => (inner, "IS TRUE"),
            Expr::IsNotTrue(inner) => (inner, "IS NOT TRUE"),
            Expr::IsFalse(inner) => (inner, "IS FALSE"),
            Expr::IsNotFalse(inner) => (inner, "IS NOT FALSE"),
            other => return self.spelled(other),
        };
        let inner = self.expression(inner)?;
        let sql = if words.ends_with("NULL") { inner.sql } else { as_condition(inner) };
        Ok(truth(format!("({sql} {words})")).never_null())
    }

    fn of_query(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        match expr {
            Expr::Exists { subquery, negated } => {
                let not = if *negated { "NOT " } else { "" };
                Ok(truth(format!("({not}EXISTS ({}))", self.query(subquery, false)?.sql)).never_null())
            }
            Expr::Subquery(query) => {
                let compiled = self.query(query, false)?;
                let (ty, whole) = only_column(&compiled)?;
                let sql = if rows::at_most_one(query) { compiled.sql } else { self.only_row(compiled) };
                Ok(Typed::new(format!("({sql})"), ty).with_whole(whole))
            }
            other => self.spelled(other),
        }
    }

    fn collate(&mut self, expr: &Expr, collation: &str) -> Result<Typed, SqlError> {
        let ci = collation.to_ascii_lowercase().trim_matches('`').ends_with("_ci");
        Ok(Typed { ci, column: None, ..self.expression(expr)? })
    }

    fn typed_literal(&mut self, literal: &TypedString) -> Result<Typed, SqlError> {
        let TypedString { data_type, value, .. } = literal;
        let (Value::SingleQuotedString(text) | Value::DoubleQuotedString(text)) = &value.value else {
            return Err(SqlError::syntax(format!("{value} is no date in quotes")));
        };
        literal::typed(self.literal_type(data_type)?, text, self.zone())
    }

    fn name(&mut self, names: &[Ident]) -> Result<Typed, SqlError> {
        let parts: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
        match parts.as_slice() {
            [first, rest @ ..] if first.starts_with("@@") => self.variable(first, rest),
            [first, ..] if first.starts_with('@') => self.user_variable(&parts),
            _ => resolve(&self.scopes, &parts),
        }
    }

    pub(super) fn current_user(&self) -> Typed {
        Typed::text(format!("{}@{}", self.context.user, self.context.host))
    }

    fn variable(&mut self, first: &str, rest: &[&str]) -> Result<Typed, SqlError> {
        let first = first.get(2..).unwrap_or_default().to_ascii_lowercase();
        let name = match rest {
            [] => first,
            [name] if matches!(first.as_str(), "session" | "local" | "global") => name.to_ascii_lowercase(),
            _ => return Err(unknown_variable(&format!("{first}.{}", rest.join(".")))),
        };
        match self.context.variable(&name) {
            Some(value) => Ok(literal::datum(&value)),
            None => Err(unknown_variable(&name)),
        }
    }

    /// `?`. A DATETIME, a TIME and an exact number are bound as SQLite carries them, so that nothing has to be read; what else comes
    /// becomes what its place wants.
    fn param(&self, number: usize) -> Typed {
        let sql = format!("?{number}");
        let written = Some(Written::Param(number));
        match self.context.params.get(self.source.params_before() + number - 1) {
            Some(ty @ (Decimal(_) | DateTime(_) | Date | Time(_))) => Typed { written, ..Typed::new(sql, *ty) },
            ty => Typed { kind: Kind::Param, written, ..Typed::new(sql, ty.copied().unwrap_or(Text)) },
        }
    }

    fn value(&mut self, value: &Value, at: sqlparser::tokenizer::Location) -> Result<Typed, SqlError> {
        if let Value::Placeholder(written) = value {
            return match self.source.param(at) {
                Some(number) if written == "?" => Ok(self.param(number)),
                _ => Err(SqlError::syntax(format!("{written} is no parameter of MySQL's; ? is"))),
            };
        }
        let typed = literal::value(value).ok_or_else(|| SqlError::syntax(format!("{value} is no literal of MySQL's")))?;
        Ok(self.lifts.met(typed, || self.source.token_at(at)))
    }

    /// Operators, from left to right without recursion: chains of AND and OR may be long.
    fn binary(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        if let Expr::BinaryOp { left, op: BinaryOperator::Assignment, right } = expr {
            return self.assign(left, right);
        }
        let mut chain = Vec::new();
        let mut first = expr;
        while let Expr::BinaryOp { left, op, right } = first {
            chain.push((op, right.as_ref(), left.as_ref()));
            first = left;
        }
        // A row on a side of the first comparison.
        if let Some((op, right, _)) = chain.last()
            && (rows::is_row(first) || rows::is_row(right))
        {
            let done = self.compare_rows(first, op, right)?;
            chain.pop();
            return self.fold(done, chain);
        }
        if let (Expr::Interval(interval), Some((BinaryOperator::Plus, right, _))) = (first, chain.last()) {
            let base = self.expression(right)?;
            let done = self.shifted(base, interval, false)?;
            chain.pop();
            return self.fold(done, chain);
        }
        let left = self.expression(first)?;
        self.fold(left, chain)
    }

    fn fold(&mut self, left: Typed, chain: Vec<(&BinaryOperator, &Expr, &Expr)>) -> Result<Typed, SqlError> {
        let mut left = left;
        let mut logic: Option<&str> = None;
        for (op, right, _) in chain.into_iter().rev() {
            let word = match op {
                BinaryOperator::And => Some("AND"),
                BinaryOperator::Or | BinaryOperator::StringConcat => Some("OR"),
                _ => None,
            };
            left = match (op, right) {
                (BinaryOperator::Plus | BinaryOperator::Minus, Expr::Interval(interval)) => {
                    self.shifted(left, interval, *op == BinaryOperator::Minus)?
                }
                _ => {
                    let right = self.expression(right)?;
                    match (word, logic) {
                        // a AND b AND c: without a pair of parentheses for each.
                        (Some(word), Some(before)) if word == before => {
                            let inner = left.sql.get(1..left.sql.len().saturating_sub(1)).unwrap_or_default();
                            truth(format!("({inner} {word} {})", as_condition(right)))
                        }
                        (Some(word), _) => truth(format!("({} {word} {})", as_condition(left), as_condition(right))),
                        _ => self.operator(left, op, right)?,
                    }
                }
            };
            logic = word;
        }
        Ok(left)
    }

    fn unary(&mut self, op: UnaryOperator, expr: &Expr) -> Result<Typed, SqlError> {
        match op {
            UnaryOperator::Not | UnaryOperator::BangNot => Ok(truth(format!("(NOT {})", self.condition(expr)?))),
            UnaryOperator::Plus => self.expression(expr),
            UnaryOperator::Minus => {
                let number = operand(self.expression(expr)?);
                if let Kind::Number(text) = &number.kind {
                    let zero = number.ty != SqlType::Double && !text.contains(|letter: char| matches!(letter, '1'..='9'));
                    let text = match text.strip_prefix('-') {
                        Some(positive) => positive.to_owned(),
                        // An exact number has one zero.
                        None if zero => text.clone(),
                        None => format!("-{text}"),
                    };
                    let negative = literal::number(&text);
                    return Ok(match (number.ty, negative.ty) {
                        (SqlType::Double, _) => Typed { ty: number.ty, sql: literal::real(&text), ..negative },
                        // What a minus stands before is no BIGINT UNSIGNED.
                        (_, UInt) => Typed { ty: Decimal(0), ..negative },
                        _ => negative,
                    });
                }
                Ok(match number.ty {
                    Decimal(_) => Typed::new(format!("z4_dec_neg({})", number.sql), number.ty).with_whole(number.whole_digits()),
                    UInt if number.may_be_big() => Typed::new(format!("z4_isub(0, {}, 0)", number.sql), Int),
                    UInt => Typed::new(format!("(-{})", number.sql), Int),
                    Int if !is_small(&number) => Typed::new(format!("z4_isub(0, {}, 0)", number.sql), Int),
                    ty => Typed::new(format!("(-{})", number.sql), ty),
                }
                .null_if(number.nullable))
            }
            UnaryOperator::BitwiseNot => {
                let bits = super::operate::into_bits(self.expression(expr)?);
                Ok(Typed::new(format!("z4_unsigned(~{})", bits.sql), UInt).null_if(bits.nullable))
            }
            other => Err(SqlError::syntax(format!("{other} is no operator of MySQL's"))),
        }
    }

    /// An expression whose truth counts.
    pub(super) fn condition(&mut self, expr: &Expr) -> Result<String, SqlError> {
        Ok(as_condition(self.expression(expr)?))
    }

    fn case(&mut self, operand: Option<&Expr>, conditions: &[CaseWhen], otherwise: Option<&Expr>) -> Result<Typed, SqlError> {
        let operand = operand.map(|operand| self.expression(operand)).transpose()?;
        let (mut whens, mut results) = (Vec::new(), Vec::new());
        for CaseWhen { condition, result } in conditions {
            whens.push(match &operand {
                Some(operand) => {
                    let value = self.expression(condition)?;
                    self.compare(operand.clone(), "=", value)?.sql
                }
                None => self.condition(condition)?,
            });
            results.push(self.expression(result)?);
        }
        results.push(otherwise.map(|otherwise| self.expression(otherwise)).transpose()?.unwrap_or_else(Typed::null));
        let ty = common_of(results.iter());
        let nullable = results.iter().any(|result| result.nullable);
        let whole = widest(results.iter());
        let zone = self.zone();
        let mut results = results.into_iter().map(|result| result.fitted(ty, zone).sql);
        let branches: Vec<String> =
            whens.iter().zip(results.by_ref()).map(|(when, then)| format!("WHEN {when} THEN {then}")).collect();
        let otherwise = results.next().unwrap_or_default();
        let case = Typed::new(format!("CASE {} ELSE {otherwise} END", branches.join(" ")), ty);
        Ok(case.null_if(nullable).with_whole(whole))
    }

    /// What the parser reads by keywords and MySQL has as functions.
    fn spelled(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        use sqlparser::ast::{CeilFloorKind, DateTimeField, TrimWhereField};
        match expr {
            Expr::Position { expr, r#in } => {
                let args = vec![self.expression(expr)?, self.expression(r#in)?];
                self.call("LOCATE", args)
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut args = vec![self.expression(expr)?];
                for arg in [substring_from, substring_for].into_iter().flatten() {
                    args.push(self.expression(arg)?);
                }
                self.call("SUBSTRING", args)
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                let mut args = vec![self.expression(expr)?];
                if trim_where.is_some() || trim_what.is_some() {
                    args.push(trim_what.as_ref().map_or_else(|| Ok(Typed::text(" ")), |what| self.expression(what))?);
                }
                match trim_where {
                    Some(TrimWhereField::Leading) => args.push(Typed::text("LEADING")),
                    Some(TrimWhereField::Trailing) => args.push(Typed::text("TRAILING")),
                    _ => {}
                }
                self.call("TRIM", args)
            }
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                let args = vec![self.expression(expr)?];
                self.call("CEIL", args)
            }
            Expr::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                let args = vec![self.expression(expr)?];
                self.call("FLOOR", args)
            }
            Expr::Extract { field, expr, .. } => {
                let args = vec![Typed::text(field.to_string().to_ascii_uppercase()), self.expression(expr)?];
                self.extract(args)
            }
            Expr::MemberOf(member) => {
                let args = vec![self.expression(&member.value)?, self.expression(&member.array)?];
                self.call("MEMBER OF", args)
            }
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => Err(SqlError::syntax("* stands where an expression should")),
            other => {
                let text: String = other.to_string().chars().take(80).collect();
                Err(SqlError::syntax(format!("{text} is no expression of MySQL's")))
            }
        }
    }

    fn literal_type(&self, ty: &sqlparser::ast::DataType) -> Result<SqlType, SqlError> {
        use sqlparser::ast::DataType;
        match ty {
            DataType::Date => Ok(Date),
            DataType::Time(..) => Ok(Time(0)),
            DataType::Timestamp(..) | DataType::Datetime(_) => Ok(DateTime(0)),
            other => Err(SqlError::syntax(format!("{other} '…' is no literal of MySQL's"))),
        }
    }

    /// The name of a function, in upper case.
    pub(super) fn function_name(function: &Function) -> String {
        let names = super::compiler::parts(&function.name).unwrap_or_default();
        match names.as_slice() {
            [name] => name.value.to_ascii_uppercase(),
            _ => function.name.to_string(),
        }
    }
}

/// The type of the only column, and its digits before the point.
fn only_column(compiled: &Compiled) -> Result<(SqlType, u8), SqlError> {
    match compiled.columns.as_slice() {
        [column] => Ok((column.ty, column.whole)),
        _ => Err(one_column(1)),
    }
}

/// 0, 1 or NULL.
pub(super) fn truth(sql: String) -> Typed {
    Typed { kind: Kind::Truth, ..Typed::new(sql, Int) }
}

/// SQL whose truth is MySQL's: text and JSON by the number in them.
pub(super) fn as_condition(typed: Typed) -> String {
    match typed.ty {
        Json | DateTime(_) | SqlType::Timestamp(_) => typed.into_number().into_real().sql,
        Decimal(_) | UInt => typed.into_real().sql,
        _ if typed.is_param() || matches!(typed.kind, Kind::Bytes(_)) => typed.into_number().into_real().sql,
        _ => typed.sql,
    }
}

/// Functions that MySQL takes without parentheses and the parser takes for names.
fn is_bare_call(name: &str) -> bool {
    ["UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP"].iter().any(|known| known.eq_ignore_ascii_case(name))
}
