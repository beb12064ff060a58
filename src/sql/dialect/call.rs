//! Functions: by the table of signatures.

use sqlparser::ast::{
    DuplicateTreatment, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, OrderByExpr, Value,
};

use super::compiler::Compiler;
use super::errors::wrong_count;
use super::literal;
use super::operate::modulo;
use super::source::edits;
use super::typed::{Kind, Typed, common_of, is_number, widest};
use crate::sql::decimal::SCALE_MAX;
use crate::sql::error::SqlError;
use crate::sql::signatures::{self, Returns, Signature, Want};
use crate::sql::types::SqlType::{self, Blob, DateTime, Decimal, Double, Int, Null, Text, Time, UInt};
use crate::sql::zones::Zone;

/// What stands in a function's parentheses.
#[derive(Default)]
pub(super) struct Arguments<'a> {
    pub(super) distinct: bool,
    pub(super) list: &'a [FunctionArg],
    pub(super) order: &'a [OrderByExpr],
    pub(super) separator: Option<&'a str>,
}

impl Compiler<'_> {
    /// A function as it is written.
    pub(super) fn function(&mut self, function: &Function) -> Result<Typed, SqlError> {
        let name = Self::function_name(function);
        let arguments = arguments(function)?;
        if let Some(over) = &function.over {
            return self.windowed(&name, &arguments, over);
        }
        if let Some(done) = self.special(&name, &arguments)? {
            return Ok(done);
        }
        if matches!(name.as_str(), "COUNT" | "SUM" | "AVG" | "MIN" | "MAX" | "GROUP_CONCAT") {
            return self.of_all_rows(|compiler| compiler.aggregate(&name, &arguments, ""));
        }
        let aggregates = signatures::signature(&name).is_some_and(|signature| signature.aggregate);
        let args = match aggregates {
            true => self.of_all_rows(|compiler| compiler.values_of(&name, arguments.list))?,
            false => self.values_of(&name, arguments.list)?,
        };
        if aggregates {
            self.aggregates();
        } else if arguments.distinct || !arguments.order.is_empty() || arguments.separator.is_some() {
            return Err(SqlError::syntax(format!("{name} takes no DISTINCT, ORDER BY or SEPARATOR")));
        }
        let distinct = arguments.distinct;
        let mut done = self.call(&name, args)?;
        if distinct {
            let (wrapper, inner) =
                done.sql.strip_prefix("z4_unsigned(").map_or(("", done.sql.as_str()), |inner| ("z4_unsigned(", inner));
            if let Some((head, tail)) = inner.split_once('(') {
                done.sql = format!("{wrapper}{head}(DISTINCT {tail}");
            }
        }
        Ok(done)
    }

    /// Says that the SELECT has an aggregate.
    pub(super) fn aggregates(&mut self) {
        if let Some(scope) = self.scope() {
            scope.aggregates = true;
        }
    }

    /// Arguments that are expressions.
    pub(super) fn values_of(&mut self, name: &str, list: &[FunctionArg]) -> Result<Vec<Typed>, SqlError> {
        let mut values = Vec::with_capacity(list.len());
        for arg in list {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => values.push(self.expression(expr)?),
                _ => return Err(SqlError::syntax(format!("{arg} is no argument of {name}"))),
            }
        }
        Ok(values)
    }

    /// Functions that are more than a signature.
    fn special(&mut self, name: &str, arguments: &Arguments<'_>) -> Result<Option<Typed>, SqlError> {
        let list = arguments.list;
        let done = match name {
            edits::EXTRACT => {
                let args = self.values_of("EXTRACT", list)?;
                self.extract(args)?
            }
            edits::CHAR => {
                let args = self.values_of("CHAR", list)?;
                Typed::new(format!("z4_well_formed({})", self.call("CHAR", args)?.sql), Text)
            }
            edits::INTERVAL => {
                let args = self.values_of("INTERVAL", list)?;
                self.call("INTERVAL", args)?
            }
            edits::JSON_VALUE => self.json_value(list)?,
            "DATE_ADD" | "ADDDATE" => self.date_add(name, list, false)?,
            "DATE_SUB" | "SUBDATE" => self.date_add(name, list, true)?,
            "ADDTIME" | "SUBTIME" => self.add_time(name, list)?,
            "TIMEDIFF" => self.time_diff(list)?,
            "TIMESTAMP" => self.timestamp_of(list)?,
            "TIMESTAMPADD" | "TIMESTAMPDIFF" | "GET_FORMAT" => self.with_unit(name, list)?,
            "DATABASE" | "SCHEMA" => {
                self.context.database.clone().map_or_else(|| Typed { ty: Text, ..Typed::null() }, Typed::text)
            }
            "USER" | "CURRENT_USER" | "SESSION_USER" | "SYSTEM_USER" => self.current_user(),
            "VERSION" => {
                let version = self.context.variables.get("version").map(literal::datum);
                version.unwrap_or_else(|| Typed::text("8.0.0-z4"))
            }
            "CONNECTION_ID" => Typed { ty: UInt, ..Typed::int(i64::from(self.context.connection)) },
            "CURRENT_ROLE" => Typed::text("NONE"),
            "NULLIF" => self.nullif(list)?,
            "GROUPING" => self.grouping(list)?,
            "ISNULL" => match self.values_of(name, list)?.as_slice() {
                [value] => super::expression::truth(format!("({} IS NULL)", value.sql)).never_null(),
                _ => return Err(wrong_count(name)),
            },
            "CHARSET" | "COLLATION" if list.len() == 1 => {
                let blob = self.values_of(name, list)?.first().is_some_and(|value| value.ty != Text);
                Typed::text(match (name, blob) {
                    (_, true) => "binary",
                    ("CHARSET", _) => "utf8mb4",
                    _ => "utf8mb4_bin",
                })
            }
            "SHA2" => self.digest(list)?,
            "JSON_QUOTE" => match self.values_of(name, list)? {
                // A number is no string.
                values if values.len() == 1 && values.iter().all(|value| is_number(value.ty) && !value.is_param()) => {
                    Typed { ty: Text, ..Typed::null() }
                }
                values => self.call(name, values)?,
            },
            "COERCIBILITY" => match list {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] => Typed::int(self.coercibility(expr)?),
                _ => return Err(wrong_count(name)),
            },
            "NAME_CONST" => self.name_const(list)?,
            "BENCHMARK" | "LOAD_FILE" => {
                return Err(SqlError::unsupported(format!("{name} is not done by z4")));
            }
            _ => return Ok(None),
        };
        Ok(Some(done))
    }

    /// A literal under a name, which the column is called by (see `select`).
    fn name_const(&mut self, list: &[FunctionArg]) -> Result<Typed, SqlError> {
        let mut values = self.values_of("NAME_CONST", list)?.into_iter();
        match (values.next(), values.next(), values.next()) {
            (Some(name), Some(value), None) if name.kind != Kind::Expression => match value.kind {
                Kind::Expression | Kind::Param if value.ty != Null => {
                    Err(SqlError::new(1210, "HY000", "Incorrect arguments to NAME_CONST"))
                }
                _ => Ok(value),
            },
            (Some(_), Some(_), None) => Err(SqlError::new(1210, "HY000", "Incorrect arguments to NAME_CONST")),
            _ => Err(wrong_count("NAME_CONST")),
        }
    }

    /// SHA2: of a length that no digest has it is no text.
    fn digest(&mut self, list: &[FunctionArg]) -> Result<Typed, SqlError> {
        let args = self.values_of("SHA2", list)?;
        let length = args.get(1).and_then(|length| match &length.kind {
            Kind::Number(text) | Kind::Text(text) => text.parse::<f64>().ok(),
            _ => None,
        });
        let none = length.is_some_and(|bits| ![0.0, 224.0, 256.0, 384.0, 512.0].contains(&bits.round()));
        let digest = self.call("SHA2", args)?;
        Ok(if none { Typed { ty: Blob, ..digest } } else { digest })
    }

    fn nullif(&mut self, list: &[FunctionArg]) -> Result<Typed, SqlError> {
        let mut values = self.values_of("NULLIF", list)?.into_iter();
        let (Some(value), Some(other), None) = (values.next(), values.next(), values.next()) else {
            return Err(wrong_count("NULLIF"));
        };
        let equal = self.compare(value.clone(), "=", other)?.sql;
        Ok(Typed::new(format!("CASE WHEN {equal} THEN NULL ELSE {} END", value.sql), value.ty))
    }

    /// A function of the table, with values.
    pub(super) fn call(&mut self, name: &str, args: Vec<Typed>) -> Result<Typed, SqlError> {
        let signature = signatures::signature(name).ok_or_else(|| SqlError::no_function(name))?;
        let (least, most) = (usize::from(signature.arity.0), usize::from(signature.arity.1));
        if args.len() < least || most < 127 && args.len() > most {
            return Err(wrong_count(name));
        }
        let args = match (signature.name, <[Typed; 2]>::try_from(args)) {
            ("MOD", Ok([left, right])) => return Ok(modulo(left, right)),
            (_, Ok(two)) => Vec::from(two),
            (_, Err(args)) => args,
        };
        let zone = self.zone();
        let clock = takes_digits(signature);
        let nothing = args.first().is_some_and(|arg| arg.ty == Null);
        let span = match signature.returns {
            // A text that is a number shows all digits, whatever it looks like.
            Returns::Span(from) => args
                .iter()
                .enumerate()
                .skip(from)
                .map(|(at, arg)| if arg.ty == Text && want(signature, at) == Want::Number { 6 } else { arg.time_digits() })
                .max(),
            _ => None,
        };
        let mut args: Vec<Typed> = args.into_iter().enumerate().map(|(at, arg)| wanted(signature, at, arg, zone)).collect();
        if let Returns::Common(from) = signature.returns {
            let ty = common_of(args.iter().skip(from));
            args = args.into_iter().enumerate().map(|(at, arg)| if at < from { arg } else { arg.fitted(ty, zone) }).collect();
        }
        let nullable = signature.arity.0 != 0 || !clock;
        let ty = match (clock, args.first().and_then(Typed::literal_digits)) {
            (true, digits) => clocked(returns(signature, &args), digits.unwrap_or(0).min(6)),
            _ if nothing && signature.returns == Returns::FromUnixtime => SqlType::Timestamp(0),
            _ => span.map_or_else(|| returns(signature, &args), Time),
        };
        if clock && args.is_empty() {
            args.push(Typed::int(0));
        }
        let ci = args.iter().any(|arg| arg.ci) && ty == Text;
        if name == "IF"
            && let Some(condition) = args.first_mut()
        {
            condition.sql = super::expression::as_condition(condition.clone());
        }
        // A DOUBLE is rounded otherwise than a DECIMAL.
        let is_exact = args.first().is_some_and(|arg| matches!(arg.ty, Decimal(_)));
        let is_unsigned = args.first().is_some_and(|arg| arg.ty == UInt);
        let sqlite = match signature.sqlite {
            "my_round" if is_exact => "z4_dec_round",
            "my_truncate" if is_exact => "z4_dec_truncate",
            "my_abs" if is_exact => "z4_dec_abs",
            // It is never negative, and may be more than SQLite's INTEGER holds.
            "my_abs" if args.first().is_some_and(|arg| arg.ty == UInt) => "",
            "my_ceil" if is_exact => "z4_dec_ceil",
            "my_floor" if is_exact => "z4_dec_floor",
            "my_round" if is_unsigned => "z4_dec_round",
            "my_truncate" if is_unsigned => "z4_dec_truncate",
            // It has no sign and no fraction.
            "my_abs" | "my_ceil" | "my_floor" if is_unsigned => "",
            // Else its form is a BLOB like any other.
            "my_hex" if is_exact || is_unsigned => "z4_hex_exact",
            "my_round" if args.first().is_some_and(|arg| arg.ty == Double) => "z4_round_double",
            name => name,
        };
        let args = super::regexps::collated(signature.name, args);
        let whole = match signature.returns {
            Returns::Like(at) => args.get(at).map_or(0, Typed::whole_digits),
            Returns::Common(from) => widest(args.iter().skip(from)),
            Returns::Rounded => args.first().map(Typed::whole_digits).filter(|whole| *whole > 0).map_or(0, |whole| whole + 1),
            _ => 0,
        };
        let list: Vec<String> = args.into_iter().map(|arg| arg.sql).collect();
        let sql = match (signature.returns, ty) {
            (Returns::Seconds(_), Decimal(_)) => format!("z4_dec_of({sqlite}({}))", list.join(", ")),
            (Returns::Rounded, UInt) => format!("z4_to_unsigned({sqlite}({}))", list.join(", ")),
            (Returns::Whole(_), Decimal(_)) => format!("{sqlite}({}, 1)", list.join(", ")),
            (Returns::Is(UInt), _) if sqlite.starts_with("my_bit_") => format!("z4_unsigned({sqlite}({}))", list.join(", ")),
            _ => format!("{sqlite}({})", list.join(", ")),
        };
        Ok(Typed { ci, ..Typed::new(sql, ty) }.null_if(nullable).with_whole(whole))
    }
}

/// NOW and its kin: their argument is the digits of the fraction.
fn takes_digits(signature: &Signature) -> bool {
    matches!(signature.sqlite, "z4_now" | "my_utc_timestamp" | "my_curtime" | "my_utc_time")
}

fn clocked(ty: SqlType, digits: u8) -> SqlType {
    match ty {
        SqlType::Timestamp(_) => SqlType::Timestamp(digits),
        DateTime(_) => DateTime(digits),
        Time(_) => Time(digits),
        other => other,
    }
}

fn want(signature: &Signature, at: usize) -> Want {
    signature.args.get(at).or(signature.args.last()).copied().unwrap_or(Want::Any)
}

fn wanted(signature: &Signature, at: usize, arg: Typed, zone: &Zone) -> Typed {
    arg.wanted(want(signature, at), zone)
}

/// A DECIMAL with more digits before the point than a BIGINT has for sure, one more for what it is rounded up to.
fn is_long(typed: &Typed) -> bool {
    typed.whole_digits() >= if typed.ty == Decimal(0) { 19 } else { 18 }
}

/// The type of a function's value.
pub(super) fn returns(signature: &Signature, args: &[Typed]) -> SqlType {
    let ty = |at: usize| args.get(at).map_or(Null, |arg| arg.ty);
    match signature.returns {
        Returns::Is(ty) => ty,
        Returns::Like(at) if ty(at) == Null && want(signature, at) == Want::DateTime => DateTime(0),
        Returns::Like(at) => ty(at),
        Returns::Common(from) => common_of(args.iter().skip(from)),
        Returns::Strings if args.iter().any(|arg| arg.ty == Blob) => Blob,
        Returns::Strings => Text,
        Returns::Whole(at) => match ty(at) {
            whole @ (Double | UInt) => whole,
            Decimal(_) if args.get(at).is_some_and(is_long) => Decimal(0),
            _ => Int,
        },
        Returns::Rounded => match ty(0) {
            Decimal(_) if args.len() > 1 && ty(1) == Null => Double,
            Decimal(own) => match args.get(1).map(|digits| &digits.kind) {
                None => Decimal(0),
                Some(Kind::Number(text)) if text.starts_with('-') => Decimal(0),
                Some(Kind::Number(text)) => Decimal(text.parse().unwrap_or(SCALE_MAX).min(SCALE_MAX)),
                Some(_) => Decimal(own),
            },
            other => other,
        },
        Returns::Seconds(at) => match args.get(at).map(|arg| arg.ty) {
            None | Some(SqlType::Date | DateTime(0) | SqlType::Timestamp(0)) => Int,
            Some(DateTime(digits) | SqlType::Timestamp(digits)) => Decimal(digits),
            Some(_) => Decimal(6),
        },
        Returns::FromUnixtime => match (args.len(), ty(0)) {
            (2, _) => Text,
            (_, Int | UInt) => SqlType::Timestamp(0),
            (_, Decimal(digits)) => SqlType::Timestamp(digits.min(6)),
            _ => SqlType::Timestamp(6),
        },
        Returns::Span(_) => Time(6),
        Returns::StrToDate => match args.get(1).and_then(Typed::literal_text) {
            Some(format) => signatures::str_to_date_type(format),
            None => DateTime(6),
        },
        Returns::Sum => match ty(0) {
            Int | UInt => Decimal(0),
            Decimal(digits) => Decimal(digits),
            _ => Double,
        },
        Returns::Average => match ty(0) {
            Decimal(digits) => Decimal(digits.saturating_add(4).min(30)),
            ty if is_number(ty) && ty != Double => Decimal(4),
            _ => Double,
        },
    }
}

fn arguments(function: &Function) -> Result<Arguments<'_>, SqlError> {
    if function.filter.is_some() || !function.within_group.is_empty() || function.null_treatment.is_some() {
        return Err(SqlError::syntax(format!("{}: FILTER, WITHIN GROUP and IGNORE NULLS are not MySQL's", function.name)));
    }
    let list = match &function.args {
        FunctionArguments::None => return Ok(Arguments::default()),
        FunctionArguments::Subquery(_) => return Err(SqlError::syntax(format!("{} takes values", function.name))),
        FunctionArguments::List(list) => list,
    };
    let mut found = Arguments {
        distinct: matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)),
        list: &list.args,
        ..Arguments::default()
    };
    for clause in &list.clauses {
        match clause {
            FunctionArgumentClause::OrderBy(order) => found.order = order,
            FunctionArgumentClause::Separator(value) => match &value.value {
                Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => found.separator = Some(text),
                other => return Err(SqlError::syntax(format!("SEPARATOR takes a string, not {other}"))),
            },
            other => return Err(SqlError::syntax(format!("{other} is not MySQL's"))),
        }
    }
    Ok(found)
}

/// The argument is `*`.
pub(super) fn is_star(list: &[FunctionArg]) -> bool {
    matches!(list, [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)])
}
