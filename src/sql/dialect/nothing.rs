//! SELECTs that give no rows whatever they read: `WHERE 1 = 0`, `LIMIT 0`. Tools ask them for the types of the columns.
//!
//! SQLite sees that a constant is false before it looks for bounds of `tasks`, and the rule would refuse the SELECT; so bounds that no
//! task is in are written instead of the predicate.

use std::cmp::Ordering;

use sqlparser::ast::{BinaryOperator, Expr, LimitClause, UnaryOperator, Value};

use super::scope::Scope;

/// What the WHERE of a SELECT without rows is; `None`: it is not one.
pub(super) fn filter(scope: &Scope) -> Option<String> {
    scope.never.then(|| {
        let bounds = |alias: &String| {
            format!("{alias}.\"namespace\" = '' AND {alias}.\"deliver_at\" >= 1 AND {alias}.\"deliver_at\" < 0 AND ")
        };
        // SQLite would drop the bounds beside a plain 0.
        scope.tasks.iter().map(bounds).collect::<String>() + "1 = 0"
    })
}

/// `LIMIT 0`, with or without OFFSET.
pub(super) fn is_limit_0(limit: Option<&LimitClause>) -> bool {
    let limit = match limit {
        Some(LimitClause::LimitOffset { limit: Some(limit), .. } | LimitClause::OffsetCommaLimit { limit, .. }) => limit,
        _ => return false,
    };
    matches!(limit, Expr::Value(value) if matches!(&value.value, Value::Number(text, _) if text == "0"))
}

/// A predicate that literals alone make false or NULL for every row.
pub(super) fn is_never_true(expr: &Expr) -> bool {
    let mut rest = expr;
    loop {
        match rest {
            Expr::Nested(inner) => rest = inner,
            // One conjunct is enough.
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                if is_never_true(right) {
                    return true;
                }
                rest = left;
            }
            other => return matches!(truth(other), Truth::False | Truth::Null),
        }
    }
}

/// What is known of a predicate from its literals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    False,
    Null,
    True,
    Unknown,
}

fn truth(expr: &Expr) -> Truth {
    match expr {
        Expr::Nested(inner) => truth(inner),
        Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::BangNot, expr } => match truth(expr) {
            Truth::False => Truth::True,
            Truth::True => Truth::False,
            other => other,
        },
        Expr::BinaryOp { .. } => chain(expr),
        Expr::Value(value) => match &value.value {
            Value::Boolean(value) => known(*value),
            Value::Null => Truth::Null,
            Value::Number(text, _) => text.parse::<f64>().map_or(Truth::Unknown, |number| known(number != 0.0)),
            _ => Truth::Unknown,
        },
        _ => Truth::Unknown,
    }
}

fn known(holds: bool) -> Truth {
    if holds { Truth::True } else { Truth::False }
}

/// Operators, from left to right without recursion: chains of AND and OR may be long.
fn chain(expr: &Expr) -> Truth {
    let mut operators = Vec::new();
    let mut first = expr;
    while let Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } = first {
        operators.push((op, right.as_ref()));
        first = left;
    }
    let mut sum = match first {
        Expr::BinaryOp { left, op, right } => comparison(left, op, right),
        other => truth(other),
    };
    for (op, right) in operators.into_iter().rev() {
        let right = truth(right);
        let decides = if *op == BinaryOperator::And { Truth::False } else { Truth::True };
        sum = match (sum, right) {
            (a, b) if a == decides || b == decides => decides,
            (Truth::Unknown, _) | (_, Truth::Unknown) => Truth::Unknown,
            (Truth::Null, _) | (_, Truth::Null) => Truth::Null,
            (other, _) => other,
        };
    }
    sum
}

/// Two literals of one kind.
fn comparison(left: &Expr, op: &BinaryOperator, right: &Expr) -> Truth {
    let (Expr::Value(left), Expr::Value(right)) = (left, right) else { return Truth::Unknown };
    let order = match (&left.value, &right.value) {
        (Value::Number(a, _), Value::Number(b, _)) => match (a.parse::<i64>(), b.parse::<i64>()) {
            (Ok(a), Ok(b)) => Some(a.cmp(&b)),
            _ => None,
        },
        // Text that differs in its bytes differs in utf8mb4_bin.
        (Value::SingleQuotedString(a), Value::SingleQuotedString(b)) => Some(a.cmp(b)),
        _ => None,
    };
    let Some(order) = order else { return Truth::Unknown };
    match op {
        BinaryOperator::Eq => known(order == Ordering::Equal),
        BinaryOperator::NotEq => known(order != Ordering::Equal),
        BinaryOperator::Lt => known(order == Ordering::Less),
        BinaryOperator::LtEq => known(order != Ordering::Greater),
        BinaryOperator::Gt => known(order == Ordering::Greater),
        BinaryOperator::GtEq => known(order != Ordering::Less),
        _ => Truth::Unknown,
    }
}
