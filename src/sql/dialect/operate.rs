//! Operators on two values that are no comparison, and what their results are.

use sqlparser::ast::BinaryOperator as Op;

use super::compiler::Compiler;
use super::expression::truth;
use super::grammar::SOUNDS_LIKE;
use super::typed::{Kind, Typed};
use crate::sql::error::SqlError;
use crate::sql::types::SqlType::{self, Decimal, Double, Int, UInt};

/// What the digits behind a point grow by in a division (`div_precision_increment`).
const DIVISION_DIGITS: u8 = 4;
const DIGITS_MAX: u8 = 30;

impl Compiler<'_> {
    pub(super) fn operator(&mut self, left: Typed, op: &Op, right: Typed) -> Result<Typed, SqlError> {
        let sign = match op {
            Op::Eq => return self.compare(left, "=", right),
            Op::NotEq => return self.compare(left, "<>", right),
            Op::Lt => return self.compare(left, "<", right),
            Op::LtEq => return self.compare(left, "<=", right),
            Op::Gt => return self.compare(left, ">", right),
            Op::GtEq => return self.compare(left, ">=", right),
            Op::Spaceship => return self.compare(left, "IS", right),
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
            Op::Divide => return Ok(call("z4_div", left, right, quotient)),
            Op::MyIntegerDivide => return Ok(call("z4_intdiv", left, right, |_, _| Int)),
            Op::Modulo => return Ok(call("z4_mod", left, right, sum)),
            Op::BitwiseAnd => return Ok(bits(left, "&", right)),
            Op::BitwiseOr => return Ok(bits(left, "|", right)),
            Op::PGBitwiseShiftLeft => return Ok(bits(left, "<<", right)),
            Op::PGBitwiseShiftRight => return Ok(bits(left, ">>", right)),
            Op::BitwiseXor => {
                let (left, right) = (left.into_int().sql, right.into_int().sql);
                return Ok(Typed::new(format!("(({left} | {right}) - ({left} & {right}))"), Int));
            }
            Op::Assignment => return Err(SqlError::unsupported("user variables (:=) are not done by z4")),
            Op::Custom(word) if word == SOUNDS_LIKE => {
                let (left, right) = (self.call("SOUNDEX", vec![left])?, self.call("SOUNDEX", vec![right])?);
                return self.compare(left, "=", right);
            }
            other => return Err(SqlError::syntax(format!("{other} is no operator of MySQL's"))),
        };
        let (left, right) = (operand(left), operand(right));
        let never_negative = *op != Op::Minus && counts_up(&left) && counts_up(&right) && (left.ty == UInt || right.ty == UInt);
        let ty = match (*op == Op::Multiply, left.ty, right.ty) {
            _ if never_negative => UInt,
            (true, Decimal(a), Decimal(b)) => Decimal((a.saturating_add(b)).min(DIGITS_MAX)),
            _ => sum(left.ty, right.ty),
        };
        Ok(Typed::new(format!("({} {sign} {})", left.sql, right.sql), ty).null_if(left.nullable || right.nullable))
    }
}

fn call(function: &str, left: Typed, right: Typed, ty: fn(SqlType, SqlType) -> SqlType) -> Typed {
    let (left, right) = (operand(left), operand(right));
    Typed::new(format!("{function}({}, {})", left.sql, right.sql), ty(left.ty, right.ty))
}

/// A number to calculate with: a string is a DOUBLE, even where it looks like a whole number.
pub(super) fn operand(typed: Typed) -> Typed {
    match typed.ty {
        SqlType::Text => Typed { ty: Double, ..typed.into_number() },
        _ => typed.into_number(),
    }
}

fn bits(left: Typed, sign: &str, right: Typed) -> Typed {
    let (left, right) = (left.into_int(), right.into_int());
    Typed::new(format!("({} {sign} {})", left.sql, right.sql), Int).null_if(left.nullable || right.nullable)
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
