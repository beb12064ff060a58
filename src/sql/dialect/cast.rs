//! CAST and CONVERT.

use sqlparser::ast::{BinaryLength, CharacterLength, DataType, ExactNumberInfo, Expr};

use super::compiler::Compiler;
use super::typed::{Kind, Typed};
use crate::sql::error::SqlError;
use crate::sql::types::SqlType::{self, Blob, Date, DateTime, Decimal, Double, Int, Json, Text, Time, UInt};

impl Compiler<'_> {
    pub(super) fn cast(&mut self, expr: &Expr, ty: &DataType) -> Result<Typed, SqlError> {
        let value = self.expression(expr)?;
        let zone = self.zone();
        // NULL of the type that is asked for.
        let value = if value.ty == SqlType::Null { Typed { ty: Text, column: None, ..value } } else { value };
        Ok(match ty {
            DataType::Signed | DataType::SignedInteger | DataType::Integer(_) | DataType::Int(_) | DataType::BigInt(_) => {
                whole(value)
            }
            DataType::Unsigned | DataType::UnsignedInteger => match value.ty {
                Int if literal_int(&value).is_some() => {
                    let bits = literal_int(&value).unwrap_or_default() as u64;
                    Typed { ty: UInt, ..super::literal::number(&bits.to_string()) }
                }
                UInt => Typed { column: value.column.filter(|column| column.origin.is_some()), ..value },
                Text | Blob if !matches!(value.kind, Kind::Bytes(_)) => {
                    Typed::new(format!("z4_to_unsigned({})", value.into_characters().sql), UInt)
                }
                _ => {
                    let number = value.into_whole_seconds().into_number();
                    let number = if number.ty == Double { number.into_int() } else { number };
                    Typed::new(format!("z4_to_unsigned({})", number.sql), UInt).null_if(number.nullable)
                }
            },
            DataType::Char(length) | DataType::Varchar(length) | DataType::Character(length) | DataType::Nvarchar(length) => {
                characters(value, length.as_ref())
            }
            DataType::Text => value.into_text(),
            DataType::Custom(name, _) if name.to_string().eq_ignore_ascii_case("NCHAR") => value.into_text(),
            // BINARY(n) is filled with zeros, VARBINARY(n) is not.
            DataType::Binary(Some(length)) => {
                let bytes = value.into_blob();
                Typed::new(format!("z4_binary({}, {})", bytes.sql, (*length).min(u64::from(u32::MAX))), Blob)
            }
            DataType::Binary(None) => bytes(value, None),
            DataType::Varbinary(length) => bytes(
                value,
                length.as_ref().and_then(|length| match length {
                    BinaryLength::IntegerLength { length } => Some(*length),
                    BinaryLength::Max => None,
                }),
            ),
            DataType::Decimal(info) | DataType::Dec(info) | DataType::Numeric(info) => {
                let (precision, scale) = match info {
                    ExactNumberInfo::PrecisionAndScale(precision, scale) => {
                        (*precision, u8::try_from(*scale).unwrap_or(30).min(30))
                    }
                    ExactNumberInfo::Precision(precision) => (*precision, 0),
                    ExactNumberInfo::None => (10, 0),
                };
                // 0 stands for 10 digits.
                let precision = if precision == 0 { 10 } else { precision.clamp(u64::from(scale), 65) };
                // Text is read digit by digit.
                let number = if matches!(value.ty, Text | Blob) { value.into_characters() } else { value.into_number() };
                let cast = Typed::new(format!("z4_dec({}, {precision}, {scale})", number.sql), Decimal(scale));
                cast.null_if(number.nullable).with_whole((precision as u8).saturating_sub(scale))
            }
            DataType::Double(_) | DataType::DoublePrecision | DataType::Real | DataType::Float(_) => {
                let number = value.into_number();
                Typed::new(format!("CAST({} AS REAL)", number.clone().into_real().sql), Double).null_if(number.nullable)
            }
            DataType::Datetime(digits) | DataType::Timestamp(digits, _) => {
                let digits = digits.unwrap_or(0).min(6) as u8;
                let moment = value.into_datetime(zone);
                let finer = matches!(moment.ty, DateTime(own) if own > digits);
                let sql = if finer { format!("z4_dt_round({}, {digits})", moment.sql) } else { moment.sql };
                Typed::new(sql, DateTime(digits)).null_if(moment.nullable || finer)
            }
            DataType::Date => match value.ty {
                Date => value,
                _ => Typed::new(format!("z4_date({})", value.into_datetime(zone).sql), Date),
            },
            DataType::Time(digits, _) => {
                let digits = digits.unwrap_or(0).min(6) as u8;
                let time = value.into_time();
                match time.ty {
                    Time(own) if own <= digits => Typed { ty: Time(digits), column: None, ..time },
                    _ => Typed::new(format!("z4_tm_round({}, {digits})", time.sql), Time(digits)).null_if(time.nullable),
                }
            }
            DataType::JSON => match value.ty {
                Json => value,
                // Text is read as a document, anything else becomes one.
                Text => Typed::new(value.sql, Json),
                _ => value.wanted(crate::sql::signatures::Want::JsonValue, zone),
            },
            DataType::Custom(name, _) if name.to_string().eq_ignore_ascii_case("YEAR") => self.year(value)?,
            other => return Err(SqlError::syntax(format!("{other} is no type that MySQL casts to"))),
        })
    }
}

impl Compiler<'_> {
    /// CAST(x AS YEAR): of a date its year, of a time this year, of anything else a number that is one.
    fn year(&mut self, value: Typed) -> Result<Typed, SqlError> {
        let sql = match value.ty {
            Date | DateTime(_) | SqlType::Timestamp(_) => return self.call("YEAR", vec![value]),
            Time(_) => {
                let now = self.call("NOW", Vec::new())?;
                return self.call("YEAR", vec![now]).map(|year| year.null_if(value.nullable));
            }
            Text | Blob if !matches!(value.kind, Kind::Bytes(_)) => {
                format!("z4_year_of_text({})", value.into_characters().sql)
            }
            Json => format!("z4_year_of_text({})", value.scalar().sql),
            _ => format!("z4_year({})", value.into_number().sql),
        };
        Ok(Typed::new(sql, Int))
    }
}

/// Of text the digits that it begins with; any other number is rounded.
fn whole(value: Typed) -> Typed {
    match value.ty {
        Text => Typed::new(format!("CAST({} AS INTEGER)", value.sql), Int).null_if(value.nullable),
        UInt if value.may_be_big() => Typed::new(format!("z4_bits({})", value.sql), Int).null_if(value.nullable),
        UInt => Typed { ty: Int, column: value.column.filter(|column| column.origin.is_some()), ..value },
        _ => value.into_int(),
    }
}

/// The value of a literal that is a BIGINT.
fn literal_int(value: &Typed) -> Option<i64> {
    match &value.kind {
        Kind::Number(text) => text.parse().ok(),
        _ => None,
    }
}

fn characters(value: Typed, length: Option<&CharacterLength>) -> Typed {
    let text = value.into_characters();
    match length {
        Some(CharacterLength::IntegerLength { length, .. }) => {
            // SQLite's own ends at a NUL.
            Typed::new(format!("my_left({}, {})", text.sql, (*length).min(u64::from(u32::MAX))), Text).null_if(text.nullable)
        }
        None => Typed { column: None, ..text },
        Some(_) => Typed { column: None, ..text },
    }
}

fn bytes(value: Typed, length: Option<u64>) -> Typed {
    let bytes = value.into_blob();
    match length {
        Some(length) => {
            Typed::new(format!("substr({}, 1, {})", bytes.sql, length.min(u64::from(u32::MAX))), Blob).null_if(bytes.nullable)
        }
        None => Typed { column: None, ..bytes },
    }
}
