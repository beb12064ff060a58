//! The types of JSON_VALUE and of JSON_TABLE's columns.

use sqlparser::ast::{BinaryLength, CharacterLength, DataType, ExactNumberInfo};

use crate::sql::error::SqlError;
use crate::sql::extraction::Shape;

/// What a value of a document becomes in a type of MySQL's.
pub(super) fn shape(ty: &DataType) -> Result<Shape, SqlError> {
    Ok(match ty {
        DataType::TinyInt(_) | DataType::Bool | DataType::Boolean => Shape::Int(8),
        DataType::SmallInt(_) => Shape::Int(16),
        DataType::MediumInt(_) => Shape::Int(24),
        DataType::Int(_) | DataType::Integer(_) => Shape::Int(32),
        DataType::BigInt(_) | DataType::Signed | DataType::SignedInteger => Shape::Int(64),
        DataType::TinyIntUnsigned(_) => Shape::UInt(8),
        DataType::SmallIntUnsigned(_) => Shape::UInt(16),
        DataType::MediumIntUnsigned(_) => Shape::UInt(24),
        DataType::IntUnsigned(_) | DataType::IntegerUnsigned(_) => Shape::UInt(32),
        DataType::BigIntUnsigned(_) | DataType::Unsigned | DataType::UnsignedInteger => Shape::UInt(64),
        DataType::Float(_) => Shape::Float,
        DataType::Double(_) | DataType::DoublePrecision | DataType::Real => Shape::Double,
        DataType::Decimal(info) | DataType::Dec(info) | DataType::Numeric(info) => decimal(*info)?,
        DataType::Char(length) | DataType::Varchar(length) | DataType::Character(length) | DataType::Nvarchar(length) => {
            Shape::Text(match length {
                Some(CharacterLength::IntegerLength { length, .. }) => Some(*length),
                _ => None,
            })
        }
        DataType::Text | DataType::TinyText | DataType::MediumText | DataType::LongText => Shape::Text(None),
        DataType::Binary(length) => Shape::Bytes(*length),
        DataType::Varbinary(length) => Shape::Bytes(match length {
            Some(BinaryLength::IntegerLength { length }) => Some(*length),
            _ => None,
        }),
        DataType::Blob(_) | DataType::TinyBlob | DataType::MediumBlob | DataType::LongBlob => Shape::Bytes(None),
        DataType::Date => Shape::Date,
        DataType::Time(digits, _) => Shape::Time(fraction(*digits)?),
        DataType::Datetime(digits) | DataType::Timestamp(digits, _) => Shape::DateTime(fraction(*digits)?),
        DataType::JSON => Shape::Json,
        DataType::Custom(name, _) if name.to_string().eq_ignore_ascii_case("YEAR") => Shape::Year,
        DataType::Custom(name, _) if name.to_string().eq_ignore_ascii_case("NCHAR") => Shape::Text(None),
        other => return Err(SqlError::syntax(format!("{other} is no type that a value of a document becomes"))),
    })
}

fn decimal(info: ExactNumberInfo) -> Result<Shape, SqlError> {
    let (precision, scale) = match info {
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, u64::try_from(scale).unwrap_or(u64::MAX)),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::None => (10, 0),
    };
    // 0 stands for 10 digits.
    let precision = if precision == 0 { 10 } else { precision };
    if precision > 65 {
        return Err(SqlError::new(1426, "42000", format!("Too-big precision {precision} specified. Maximum is 65.")));
    }
    if scale > 30 || scale > precision {
        return Err(SqlError::new(1427, "42000", "For DECIMAL(M,D), M must be at least D, and D at most 30"));
    }
    Ok(Shape::Decimal(precision as u8, scale as u8))
}

fn fraction(digits: Option<u64>) -> Result<u8, SqlError> {
    match digits.unwrap_or(0) {
        digits @ 0..=6 => Ok(digits as u8),
        digits => Err(SqlError::new(1426, "42000", format!("Too-big precision {digits} specified. Maximum is 6."))),
    }
}
