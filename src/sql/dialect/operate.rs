//! Operators on two values that are no comparison, and what their results are.

use sqlparser::ast::BinaryOperator as Op;

use super::compiler::Compiler;
use super::expression::truth;
use super::grammar::SOUNDS_LIKE;
use super::typed::{Kind, Typed, scale_of};
use crate::sql::decimal::{DIVISION_DIGITS, SCALE_MAX as DIGITS_MAX, quotient_digits};
use crate::sql::error::SqlError;
use crate::sql::types::SqlType::{self, Decimal, Double, Int, UInt};

impl Compiler<'_> {
    pub(super) fn operator(&mut self, left: Typed, op: &Op, right: Typed) -> Result<Typed, SqlError> {
        let sign = match op {
            Op::Eq => return self.compare_lifting(left, "=", right),
            Op::NotEq => return self.compare_lifting(left, "<>", right),
            Op::Lt => return self.compare_lifting(left, "<", right),
            Op::LtEq => return self.compare_lifting(left, "<=", right),
            Op::Gt => return self.compare_lifting(left, ">", right),
            Op::GtEq => return self.compare_lifting(left, ">=", right),
            Op::Spaceship => return self.compare_lifting(left, "IS", right),
            Op::Arrow => return self.call("JSON_EXTRACT", vec![left, right]),
            Op::LongArrow => {
                let found = self.call("JSON_EXTRACT", vec![left, right])?;
                return self.call("JSON_UNQUOTE", vec![found]);
            }
            Op::Xor => {
                let (left, right) = (left.into_number().sql, right.into_number().sql);
                return Ok(truth(format!("z4_xor({left}, {right})")));
            }
            Op::Plus => "+",
            Op::Minus => "-",
            Op::Multiply => "*",
            Op::Divide => return Ok(divided(left, right)),
            Op::MyIntegerDivide => return Ok(divided_whole(left, right)),
            Op::Modulo => return Ok(modulo(left, right)),
            Op::BitwiseAnd => return Ok(bits(left, "&", right)),
            Op::BitwiseOr => return Ok(bits(left, "|", right)),
            Op::PGBitwiseShiftLeft => return Ok(bits(left, "<<", right)),
            Op::PGBitwiseShiftRight => {
                let (left, right) = (into_bits(left), into_bits(right));
                return Ok(Typed::new(format!("z4_unsigned(z4_shift_right({}, {}))", left.sql, right.sql), UInt));
            }
            Op::BitwiseXor => {
                let (left, right) = (into_bits(left).sql, into_bits(right).sql);
                return Ok(Typed::new(format!("z4_unsigned(({left} | {right}) - ({left} & {right}))"), UInt));
            }
            Op::Custom(word) if word == SOUNDS_LIKE => {
                let (left, right) = (self.call("SOUNDEX", vec![left])?, self.call("SOUNDEX", vec![right])?);
                return self.compare(left, "=", right);
            }
            other => return Err(SqlError::syntax(format!("{other} is no operator of MySQL's"))),
        };
        let moment = is_moment(&left) || is_moment(&right);
        let (left, right) = (operand(left), operand(right));
        let never_negative = *op != Op::Minus && counts_up(&left) && counts_up(&right) && (left.ty == UInt || right.ty == UInt);
        let ty = match (*op == Op::Multiply, left.ty, right.ty) {
            // What is calculated with a date is a BIGINT.
            (_, Int | UInt, Int | UInt) if moment => Int,
            // Unsigned where what is subtracted from is, and then never below zero; a column of the catalog is a BIGINT.
            _ if *op == Op::Minus && is_whole(&left) && is_whole(&right) => {
                if left.is_unbounded() {
                    UInt
                } else {
                    Int
                }
            }
            _ if never_negative || is_whole(&left) && is_whole(&right) && left.is_unbounded() => UInt,
            _ if is_whole(&left) && right.is_unbounded() => UInt,
            (true, Decimal(a), Decimal(b)) => Decimal((a.saturating_add(b)).min(DIGITS_MAX)),
            _ => sum(left.ty, right.ty),
        };
        let nullable = left.nullable || right.nullable;
        let name = match op {
            Op::Plus => "add",
            Op::Minus => "sub",
            _ => "mul",
        };
        let sql = match ty {
            Double => format!("z4_double({} {sign} {})", left.clone().into_real().sql, right.clone().into_real().sql),
            Decimal(_) => format!("z4_{name}({}, {})", left.sql, right.sql),
            // What cannot leave BIGINT needs no look; a difference that is unsigned may be below zero.
            _ if is_small(&left) && is_small(&right) && (*op != Op::Minus || ty != UInt) => {
                format!("({} {sign} {})", left.sql, right.sql)
            }
            _ => format!("z4_i{name}({}, {}, {})", left.sql, right.sql, u8::from(ty == UInt)),
        };
        let whole = wider(&left, &right, |a, b| if *op == Op::Multiply { a.saturating_add(b) } else { a.max(b) + 1 });
        Ok(Typed::new(sql, ty).null_if(nullable).with_whole(whole))
    }
}

/// Far from the ends of BIGINT: a column of the catalog, a literal of a few digits.
pub(super) fn is_small(typed: &Typed) -> bool {
    match (&typed.kind, &typed.column) {
        (Kind::Number(text), _) => text.len() <= 9,
        (_, Some(column)) => column.origin.is_some() && typed.ty != Decimal(0),
        _ => typed.ty == SqlType::Null,
    }
}

fn divided(left: Typed, right: Typed) -> Typed {
    let (left, right) = (operand(left), operand(right));
    let ty = quotient(left.ty, right.ty);
    match (scale_of(left.ty), scale_of(right.ty)) {
        (Some(a), Some(b)) => {
            let whole = wider(&left, &right, |whole, _| whole.saturating_add(b));
            Typed::new(format!("z4_dec_div({}, {}, {})", left.sql, right.sql, quotient_digits(a, b)), ty).with_whole(whole)
        }
        _ => Typed::new(format!("z4_div({}, {})", left.sql, right.sql), ty),
    }
}

/// `a MOD b`, which has the sign of `a`.
pub(super) fn modulo(left: Typed, right: Typed) -> Typed {
    let (left, right) = (operand(left), operand(right));
    let big = left.may_be_big() || right.may_be_big();
    match sum(left.ty, right.ty) {
        Int if big => {
            let (function, ty) = if left.ty == UInt { ("z4_to_unsigned", UInt) } else { ("z4_int", Int) };
            Typed::new(format!("{function}(z4_dec_mod({}, {}))", left.sql, right.sql), ty)
        }
        Int if left.ty == UInt => Typed::new(format!("z4_mod({}, {})", left.sql, right.sql), UInt),
        ty @ Decimal(_) => {
            Typed::new(format!("z4_dec_mod({}, {})", left.sql, right.sql), ty).with_whole(wider(&left, &right, u8::max))
        }
        ty => Typed::new(format!("z4_mod({}, {})", left.sql, right.sql), ty),
    }
}

/// `a DIV b`: unsigned where one of them is.
fn divided_whole(left: Typed, right: Typed) -> Typed {
    let (left, right) = (operand(left), operand(right));
    let unsigned = left.ty == UInt || right.ty == UInt;
    let flag = if unsigned { ", 1" } else { "" };
    let sql = format!("z4_intdiv({}, {}{flag})", left.sql, right.sql);
    Typed::new(sql, if unsigned { UInt } else { Int })
}

/// Digits before the point of what is calculated of two numbers; 0: not known of one of them.
fn wider(left: &Typed, right: &Typed, of: impl Fn(u8, u8) -> u8) -> u8 {
    match (left.whole_digits(), right.whole_digits()) {
        (0, _) | (_, 0) => 0,
        (a, b) => of(a, b),
    }
}

fn is_moment(typed: &Typed) -> bool {
    matches!(typed.ty, SqlType::Date | SqlType::Time(_) | SqlType::DateTime(_) | SqlType::Timestamp(_))
}

fn is_whole(typed: &Typed) -> bool {
    matches!(typed.ty, Int | UInt)
}

/// A number to calculate with: a string is a DOUBLE, even where it looks like a whole number, and so is NULL.
pub(super) fn operand(typed: Typed) -> Typed {
    match typed.ty {
        SqlType::Null => Typed { ty: Double, ..typed },
        SqlType::Text => Typed { ty: Double, ..typed.into_number().into_real() },
        _ => typed.into_number(),
    }
}

/// The 64 bits of a whole number, as BIGINT has them.
pub(super) fn into_bits(typed: Typed) -> Typed {
    let is_read = typed.is_param() && !matches!(typed.ty, UInt | Double);
    let number = if is_read { typed.into_int() } else { typed.into_whole_seconds().into_number() };
    if matches!(number.ty, Int | SqlType::Null) || number.ty == UInt && !number.may_be_big() {
        return number;
    }
    Typed::new(format!("z4_bits({})", number.sql), Int).null_if(number.nullable)
}

fn bits(left: Typed, sign: &str, right: Typed) -> Typed {
    let (left, right) = (into_bits(left), into_bits(right));
    let sql = match sign {
        "<<" => format!("z4_unsigned(z4_shift_left({}, {}))", left.sql, right.sql),
        _ => format!("z4_unsigned({} {sign} {})", left.sql, right.sql),
    };
    Typed::new(sql, UInt).null_if(left.nullable || right.nullable)
}

fn counts_up(typed: &Typed) -> bool {
    typed.ty == UInt || typed.ty == Int && matches!(&typed.kind, Kind::Number(text) if !text.starts_with('-'))
}

/// The type of `a + b`.
fn sum(a: SqlType, b: SqlType) -> SqlType {
    match (a, b) {
        (Double, _) | (_, Double) => Double,
        (Decimal(a), Decimal(b)) => Decimal(a.max(b)),
        (Decimal(digits), _) | (_, Decimal(digits)) => Decimal(digits),
        _ => Int,
    }
}

/// The type of `a / b`.
fn quotient(a: SqlType, b: SqlType) -> SqlType {
    match (a, b) {
        (Double, _) | (_, Double) => Double,
        (Decimal(digits), _) => Decimal(digits.saturating_add(DIVISION_DIGITS).min(DIGITS_MAX)),
        _ => Decimal(DIVISION_DIGITS),
    }
}
