//! An expression in SQLite's SQL with MySQL's type, and how it becomes one of another type.

use crate::sql::signatures::Want;
use crate::sql::types::SqlType::{self, Blob, Date, DateTime, Decimal, Double, Int, Json, Null, Text, Time, Timestamp, UInt};
use crate::sql::zones::Zone;

use super::literal;
use crate::sql::datetime::{self, SECOND, span};
use crate::sql::decimal::{DIGITS_MAX, Dec};

/// What an expression is besides its type: a literal can be folded.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Anything.
    Expression,
    /// A string, or a DATE or TIME literal: its text.
    Text(String),
    /// A number as it was written.
    Number(String),
    /// Bytes: X'…', 0x…, b'…'.
    Bytes(Vec<u8>),
    /// `?`: any type, known when it is run.
    Param,
    /// 0 or 1 that says whether something holds: a boolean where it goes into a JSON document.
    Truth,
}

/// What of a statement an expression is as it was written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The literal that is this token.
    Literal(usize),
    /// The parameter of this number, from 1.
    Param(usize),
}

/// Where a column of a result comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    /// The alias of its table.
    pub(super) table: String,
    /// Its name there.
    pub(super) name: String,
    /// Schema, table and column in the catalog.
    pub(super) origin: Option<(&'static str, &'static str, &'static str)>,
}

/// Digits of a BIGINT.
const BIGINT_DIGITS: u8 = 19;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Typed {
    /// SQLite's SQL: binds at least as strong as a function call does.
    pub(super) sql: String,
    pub(super) ty: SqlType,
    pub(super) nullable: bool,
    pub(super) kind: Kind,
    /// It is nothing but this column.
    pub(super) column: Option<Column>,
    /// Compared without regard to case.
    pub(super) ci: bool,
    /// It is nothing but this.
    pub(super) written: Option<Written>,
    /// Digits before the point, where it is not the literal or the catalog that says so (see [`Typed::whole_digits`]); 0: not known.
    pub(super) whole: u8,
}

impl Typed {
    /// An expression that may be NULL.
    pub(super) fn new(sql: impl Into<String>, ty: SqlType) -> Typed {
        Typed { sql: sql.into(), ty, nullable: true, kind: Kind::Expression, column: None, ci: false, written: None, whole: 0 }
    }

    /// NULL.
    pub(super) fn null() -> Typed {
        Typed::new("NULL", Null)
    }

    /// A string literal.
    pub(super) fn text(text: impl Into<String>) -> Typed {
        let text = text.into();
        Typed { kind: Kind::Text(text.clone()), ..Typed::new(literal::quoted(&text), Text) }.never_null()
    }

    /// An integer literal.
    pub(super) fn int(value: i64) -> Typed {
        Typed { kind: Kind::Number(value.to_string()), ..Typed::new(value.to_string(), Int) }.never_null()
    }

    pub(super) fn never_null(self) -> Typed {
        self.null_if(false)
    }

    pub(super) fn null_if(self, nullable: bool) -> Typed {
        Typed { nullable, ..self }
    }

    pub(super) fn is_param(&self) -> bool {
        self.kind == Kind::Param
    }

    /// The text of a string literal.
    pub(super) fn literal_text(&self) -> Option<&str> {
        match (&self.kind, self.ty) {
            (Kind::Text(text), Text) => Some(text),
            _ => None,
        }
    }

    /// The value of a literal that is a small whole number.
    pub(super) fn literal_digits(&self) -> Option<u8> {
        match &self.kind {
            Kind::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The whole number that a literal is: rounded, of a text the digits that it begins with.
    fn literal_whole(&self) -> Option<i64> {
        match (&self.kind, self.ty) {
            (Kind::Number(text), Double) => text.parse::<f64>().ok().map(|value| value.round_ties_even() as i64),
            (Kind::Number(text), Decimal(_)) => Dec::parse(text).map(|exact| exact.to_int()),
            (Kind::Text(text), Text) => {
                let text = text.trim_ascii_start();
                let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
                let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
                let signed = text.get(..text.len() - unsigned.len() + digits)?;
                if digits == 0 { Some(0) } else { Dec::parse(signed).map(|exact| exact.to_int()) }
            }
            _ => None,
        }
    }

    /// A literal below zero.
    pub(super) fn is_negative(&self) -> bool {
        matches!(&self.kind, Kind::Number(text) if text.starts_with('-'))
    }

    /// Digits that a number's type has before the point, as MySQL counts them; 0: not known.
    pub(super) fn whole_digits(&self) -> u8 {
        match (&self.kind, &self.column, self.ty) {
            _ if self.whole > 0 => self.whole,
            (Kind::Number(text), _, Int | UInt | Decimal(_)) => {
                let whole = text.trim_start_matches(['-', '0']).split('.').next().unwrap_or_default();
                whole.len().clamp(1, DIGITS_MAX) as u8
            }
            (_, Some(column), Int | UInt) if column.origin.is_some() => BIGINT_DIGITS,
            _ => 0,
        }
    }

    /// With so many digits before the point.
    pub(super) fn with_whole(self, whole: u8) -> Typed {
        Typed { whole: whole.min(DIGITS_MAX as u8), ..self }
    }

    /// The same with another text and type.
    fn into(self, sql: String, ty: SqlType) -> Typed {
        let whole = if scale_of(ty).is_some() { self.whole_digits() } else { 0 };
        Typed { nullable: self.nullable, ci: self.ci, whole, ..Typed::new(sql, ty) }
    }

    /// Wrapped in a function that may give NULL for what it cannot read.
    fn read_by(self, function: &str, ty: SqlType) -> Typed {
        let sql = format!("{function}({})", self.sql);
        Typed { nullable: true, ..self.into(sql, ty) }
    }

    /// As text.
    pub(super) fn into_text(self) -> Typed {
        if let Kind::Number(text) = &self.kind {
            // Not as it was written: `007.50` shows as 7.50, and no zero has a sign.
            return match scale_of(self.ty).and_then(|scale| Some(Dec::parse(text)?.to_text(scale))) {
                Some(shown) => Typed::text(shown),
                None => self.read_by("z4_text", Text),
            };
        }
        let sql = &self.sql;
        match self.ty {
            Text | Blob | Null | Int | Double if self.is_param() => self.read_by("z4_text", Text),
            Text | Blob | Null => self,
            Date | Json => {
                let sql = sql.clone();
                self.into(sql, Text)
            }
            Time(digits) => {
                let sql = format!("z4_tm_text({sql}, {digits})");
                self.into(sql, Text)
            }
            Timestamp(digits) => {
                let sql = format!("z4_dt_text({sql}, {digits})");
                self.into(sql, Text)
            }
            DateTime(digits) => {
                let sql = format!("z4_wall_text({sql}, {digits})");
                self.into(sql, Text)
            }
            Decimal(scale) => {
                let sql = format!("z4_dec_text({sql}, {scale})");
                self.into(sql, Text)
            }
            UInt if self.may_be_big() => {
                let sql = format!("z4_dec_text({sql}, 0)");
                self.into(sql, Text)
            }
            Int | UInt | Double => {
                let sql = format!("z4_text({sql})");
                self.into(sql, Text)
            }
        }
    }

    /// As text, whatever it is: bytes are read as utf8mb4.
    pub(super) fn into_characters(self) -> Typed {
        let text = self.into_text();
        if text.ty == Blob { text.read_by("z4_characters", Text) } else { text }
    }

    /// As a number: a date as MySQL counts it.
    pub(super) fn into_number(self) -> Typed {
        let sql = &self.sql;
        match self.ty {
            _ if self.is_param() && !is_number(self.ty) => self.read_by("z4_num", Double),
            Int | UInt | Double | Decimal(_) | Null => self,
            Text => match self.literal_text().map(literal::numeric_prefix) {
                Some(number) => number,
                None => self.read_by("z4_num", Double),
            },
            Blob => match &self.kind {
                Kind::Bytes(bytes) => literal::number_of_bytes(bytes),
                // As text: bytes may look like a DECIMAL's.
                _ => self.read_by("z4_text", Text).read_by("z4_num", Double),
            },
            Json => {
                let sql = format!("z4_num(z4_json_scalar({sql}))");
                self.into(sql, Double)
            }
            Timestamp(0) => self.read_by("z4_dt_num", Int),
            Timestamp(digits) => self.read_by("z4_dt_dec", Decimal(digits)),
            DateTime(0) => self.read_by("z4_wall_num", Int),
            DateTime(digits) => self.read_by("z4_wall_dec", Decimal(digits)),
            Date => {
                let sql = format!("z4_intdiv(z4_wall_num(z4_dt({sql})), 1000000)");
                self.into(sql, Int)
            }
            Time(digits) => {
                let (function, ty) = if digits == 0 { ("z4_tm_num", Int) } else { ("z4_tm_dec", Decimal(digits)) };
                let sql = format!("{function}({sql})");
                self.into(sql, ty)
            }
        }
    }

    /// A date or a time without its fraction, which is rounded as on a clock; anything else as it is.
    pub(super) fn into_whole_seconds(self) -> Typed {
        let (function, ty) = match self.ty {
            Time(1..) => ("z4_tm_round", Time(0)),
            DateTime(1..) => ("z4_dt_round", DateTime(0)),
            Timestamp(1..) => ("z4_dt_round", Timestamp(0)),
            _ => return self,
        };
        let sql = format!("{function}({}, 0)", self.sql);
        self.into(sql, ty)
    }

    /// A BIGINT UNSIGNED that may be 2^63 or more, and a BLOB then: no column of the catalog is.
    pub(super) fn may_be_big(&self) -> bool {
        self.is_unbounded() && !matches!(&self.kind, Kind::Number(text) if text.parse::<i64>().is_ok())
    }

    /// A BIGINT UNSIGNED that is no column of the catalog: what is made of it has a type with room for all of them.
    pub(super) fn is_unbounded(&self) -> bool {
        self.ty == UInt && self.column.as_ref().is_none_or(|column| column.origin.is_none())
    }

    /// As it is kept in a table: a DECIMAL that was divided has more digits while it is calculated with.
    pub(super) fn kept(self) -> Typed {
        match (self.ty, &self.kind) {
            (Decimal(scale), Kind::Expression) if self.column.is_none() => {
                let sql = format!("z4_dec_round({}, {scale})", self.sql);
                self.into(sql, Decimal(scale))
            }
            _ => self,
        }
    }

    /// A number as a DECIMAL.
    pub(super) fn into_decimal(self) -> Typed {
        let Some(scale) = scale_of(self.ty) else { return self };
        match (&self.kind, self.ty) {
            (_, Decimal(_)) => self,
            (Kind::Number(text), _) => match Dec::parse(text) {
                Some(exact) => Typed { kind: self.kind.clone(), ..self.into(literal::bytes(exact.encode()).sql, Decimal(scale)) },
                None => self,
            },
            _ => {
                let sql = format!("z4_dec_of({})", self.sql);
                self.into(sql, Decimal(scale))
            }
        }
    }

    /// A number as a DOUBLE.
    pub(super) fn into_real(self) -> Typed {
        let exact = matches!(self.ty, Decimal(_)) || self.may_be_big();
        match &self.kind {
            _ if !exact => self,
            Kind::Number(text) => {
                let sql = literal::real(text);
                Typed { kind: self.kind.clone(), ..self.into(sql, Double) }
            }
            _ => {
                let sql = format!("CAST(z4_num({}) AS REAL)", self.sql);
                self.into(sql, Double)
            }
        }
    }

    /// As a whole number.
    pub(super) fn into_int(self) -> Typed {
        let self_is_double = self.ty == Double;
        let is_read = matches!(self.ty, Text) && self.kind == Kind::Expression || self.is_param();
        let number = if is_read { self } else { self.into_whole_seconds().into_number() };
        match number.ty {
            Int | UInt | Null if !number.is_param() => number,
            // A DOUBLE that stands between two integers is rounded to the even one, a DECIMAL away from zero.
            Double if matches!(number.kind, Kind::Number(_)) || self_is_double => number.read_by("z4_rint", Int),
            _ => number.read_by("z4_int", Int),
        }
    }

    /// As a TIMESTAMP; what is no date is NULL.
    pub(super) fn into_timestamp(self, zone: &Zone) -> Typed {
        if matches!(self.ty, Timestamp(_) | Null) && !self.is_param() {
            return self;
        }
        if let Some((us, digits)) = literal::timestamp(&self, zone) {
            return Typed::new(us.to_string(), Timestamp(digits)).never_null();
        }
        let wall = self.into_datetime(zone);
        let DateTime(digits) = wall.ty else { return wall };
        let sql = match (wall.sql.parse(), zone.fixed()) {
            (Ok(us), _) => zone.timestamp(us).to_string(),
            (_, Some(0)) => return Typed { ty: Timestamp(digits), ..wall },
            (_, Some(seconds)) => format!("({} - {})", wall.sql, i64::from(seconds) * SECOND),
            (_, None) => format!("z4_ts({})", wall.sql),
        };
        wall.into(sql, Timestamp(digits))
    }

    /// As a DATETIME; what is no date is NULL.
    pub(super) fn into_datetime(self, zone: &Zone) -> Typed {
        match self.ty {
            DateTime(_) | Null if !self.is_param() => return self,
            Timestamp(digits) if !self.is_param() => {
                let sql = match zone.fixed() {
                    Some(0) => return Typed { ty: DateTime(digits), ..self },
                    Some(seconds) => format!("({} + {})", self.sql, i64::from(seconds) * SECOND),
                    None => format!("z4_wall({})", self.sql),
                };
                return self.into(sql, DateTime(digits));
            }
            _ => {}
        }
        if let Some((us, digits)) = literal::moment(&self, zone) {
            return Typed::new(us.to_string(), DateTime(digits)).never_null();
        }
        match self.ty {
            Json => {
                let sql = format!("z4_dt(z4_json_scalar({}))", self.sql);
                Typed::new(sql, DateTime(6))
            }
            Date => self.read_by("z4_dt", DateTime(0)),
            Time(digits) => self.read_by("z4_tm_dt", DateTime(digits)),
            Decimal(digits) => self.read_by("z4_dt_of_dec", DateTime(digits.min(6))),
            Int | UInt => self.read_by("z4_dt", DateTime(0)),
            _ => self.read_by("z4_dt", DateTime(6)),
        }
    }

    /// As a TIME; what is none is NULL.
    pub(super) fn into_time(self) -> Typed {
        let digits = self.time_digits();
        if !self.is_param()
            && let Some(text) = self.literal_text()
            && let Some((us, _)) = span::read(text)
            && text.trim().len() < 12
        {
            return Typed::new(us.clamp(-span::SPAN_MAX, span::SPAN_MAX).to_string(), Time(digits)).never_null();
        }
        match self.ty {
            Time(_) | Null if !self.is_param() => self,
            Timestamp(_) => self.read_by("z4_time", Time(digits)),
            DateTime(_) => self.read_by("z4_wall_time", Time(digits)),
            Date => self.read_by("z4_dt", DateTime(0)).read_by("z4_wall_time", Time(0)),
            Json => self.scalar().read_by("z4_tm", Time(6)),
            Decimal(_) => self.read_by("z4_tm_of_dec", Time(digits)),
            _ => self.read_by("z4_tm", Time(digits)),
        }
    }

    /// The digits of the fraction that a TIME made of it has.
    pub(super) fn time_digits(&self) -> u8 {
        match (self.ty, self.literal_text()) {
            (Text, Some(text)) => match span::read(text) {
                // What is no time shows all digits.
                None if datetime::cast_civil(text).is_none() => 6,
                Some((_, rest)) if text.trim().len() < 12 => {
                    let time = text.trim_end().strip_suffix(rest).unwrap_or_default();
                    time.split_once('.').map_or(0, |(_, fraction)| fraction.len().min(6) as u8)
                }
                _ => literal::fraction_digits(text),
            },
            (Timestamp(digits) | DateTime(digits) | Time(digits) | Decimal(digits), _) => digits.min(6),
            (Int | UInt | Date | Null, _) => 0,
            _ => 6,
        }
    }

    /// As a function wants it.
    pub(super) fn wanted(self, want: Want, zone: &Zone) -> Typed {
        match want {
            Want::Raw => self,
            Want::Any => match self.ty {
                Timestamp(_) | DateTime(_) | Time(_) => self.into_text(),
                Decimal(_) | UInt => self.into_real(),
                _ => self,
            },
            Want::Clock if is_number(self.ty) && !self.is_param() => self.into_time().into_text(),
            Want::Clock if self.ty == Date => self.into_datetime(zone).into_text(),
            Want::Text | Want::Clock => self.into_text(),
            // A text is a DOUBLE, also where it shows a whole number.
            Want::Number => super::operate::operand(self),
            // A text gives the digits that it begins with.
            Want::Int if self.ty == Text && !self.is_param() && self.literal_text().is_none() => {
                let sql = format!("CAST({} AS INTEGER)", self.sql);
                self.into(sql, Int)
            }
            Want::Int => match self.literal_whole() {
                Some(value) => Typed::int(value),
                None => self.into_int(),
            },
            Want::Bits => super::operate::into_bits(self),
            Want::WholeBits => match self.ty {
                UInt => super::operate::into_bits(self),
                Text | Blob if !self.is_param() && !matches!(self.kind, Kind::Bytes(_)) => {
                    self.into_characters().read_by("z4_int", Int)
                }
                _ => super::operate::into_bits(self.into_int()),
            },
            Want::NumberOrText if is_number(self.ty) => self,
            Want::NumberOrText => self.into_text(),
            Want::DateTime => self.into_datetime(zone),
            Want::Timestamp => self.into_timestamp(zone),
            Want::Json => match self.ty {
                Timestamp(_) | DateTime(_) | Date | Time(_) | Decimal(_) | UInt => self.into_text(),
                _ => self,
            },
            Want::JsonValue => {
                let sql = match self.ty {
                    Json => return self,
                    Timestamp(_) => format!("z4_json(z4_dt_text({}, 6))", self.sql),
                    DateTime(_) => format!("z4_json(z4_wall_text({}, 6))", self.sql),
                    Time(_) => format!("z4_json(z4_tm_text({}, 6))", self.sql),
                    Decimal(scale) => format!("z4_dec_text({}, {scale})", self.sql),
                    UInt if self.may_be_big() => format!("z4_dec_text({}, 0)", self.sql),
                    _ if self.kind == Kind::Truth => format!("z4_json_truth({})", self.sql),
                    _ => format!("z4_json({})", self.sql),
                };
                Typed::new(sql, Json)
            }
        }
    }

    /// As a value of a type that [`common`] gave.
    pub(super) fn fitted(self, ty: SqlType, zone: &Zone) -> Typed {
        let (nullable, column, whole) = (self.nullable, self.column.clone(), self.whole_digits());
        let fitted = match ty {
            _ if self.ty == ty || self.ty == Null => self,
            Text => self.into_text(),
            Timestamp(_) => self.into_timestamp(zone),
            DateTime(_) => self.into_datetime(zone),
            Blob => self.into_blob(),
            Json => self.wanted(Want::JsonValue, zone),
            Decimal(_) => self.into_decimal(),
            // SQLite tells a BIGINT from the DOUBLE nearest to it.
            Double if matches!(self.ty, Int | UInt) && !self.may_be_big() && !super::operate::is_small(&self) => {
                let sql = format!("CAST({} AS REAL)", self.sql);
                self.into(sql, Double)
            }
            Double => self.into_real(),
            _ => self,
        };
        Typed { ty, nullable: nullable || fitted.nullable, column, whole, ..fitted }
    }

    /// As bytes.
    pub(super) fn into_blob(self) -> Typed {
        if let Some(text) = self.literal_text() {
            // Beside a number it is a text still, which X'…' is not.
            return Typed { kind: Kind::Expression, ..literal::bytes(text.as_bytes().to_vec()) };
        }
        match self.ty {
            Blob | Null => self,
            _ => {
                let text = self.into_text();
                let sql = format!("CAST({} AS BLOB)", text.sql);
                text.into(sql, Blob)
            }
        }
    }

    /// What documents are compared, sorted and grouped by; a value that is none becomes one.
    pub(super) fn into_json_key(self, zone: &Zone) -> Typed {
        let nullable = self.nullable;
        let json = self.wanted(Want::JsonValue, zone);
        Typed::new(format!("z4_json_key({})", json.sql), Json).null_if(nullable)
    }

    /// What equal values of a type have in common: of a document its key, of anything else itself.
    pub(super) fn compared(self, zone: &Zone) -> Typed {
        if self.ty == Json { self.into_json_key(zone) } else { self }
    }

    /// The scalar inside a JSON document; anything else as it is.
    pub(super) fn scalar(self) -> Typed {
        match self.ty {
            Json => self.read_by("z4_json_scalar", Text),
            _ => self,
        }
    }
}

/// The type that values of both types fit into.
pub(super) fn common(a: SqlType, b: SqlType) -> SqlType {
    match (a, b) {
        _ if a == b => a,
        (Null, other) | (other, Null) => other,
        (Int, UInt) | (UInt, Int) => Int,
        (Double, Int | UInt | Decimal(_)) | (Int | UInt | Decimal(_), Double) => Double,
        (Decimal(digits), Int | UInt) | (Int | UInt, Decimal(digits)) => Decimal(digits),
        (Decimal(a), Decimal(b)) => Decimal(a.max(b)),
        (Timestamp(a), Timestamp(b)) => Timestamp(a.max(b)),
        (DateTime(a), DateTime(b)) | (DateTime(a), Timestamp(b)) | (Timestamp(a), DateTime(b)) => DateTime(a.max(b)),
        (Timestamp(digits), Date) | (Date, Timestamp(digits)) => DateTime(digits),
        (Time(a), Time(b)) => Time(a.max(b)),
        (DateTime(digits), Date) | (Date, DateTime(digits)) => DateTime(digits),
        (Time(digits), Date) | (Date, Time(digits)) => DateTime(digits),
        (Time(a), DateTime(b) | Timestamp(b)) | (DateTime(b) | Timestamp(b), Time(a)) => DateTime(a.max(b)),
        (Blob, _) | (_, Blob) => Blob,
        _ => Text,
    }
}

/// The type that all of these values fit into.
pub(super) fn common_of<'a>(values: impl Iterator<Item = &'a Typed> + Clone) -> SqlType {
    let ty = values.clone().map(|value| value.ty).reduce(common).unwrap_or(Null);
    let mut values = values;
    // BIGINT has no room for the greater half of BIGINT UNSIGNED.
    if ty == Int && values.any(Typed::is_unbounded) { Decimal(0) } else { ty }
}

/// The digits before the point that all of these values have room in; 0: not known.
pub(super) fn widest<'a>(values: impl Iterator<Item = &'a Typed>) -> u8 {
    let mut widest = 0;
    for digits in values.filter(|value| value.ty != Null).map(Typed::whole_digits) {
        if digits == 0 {
            return 0;
        }
        widest = digits.max(widest);
    }
    widest
}

/// The digits behind the point of an exact number.
pub(super) fn scale_of(ty: SqlType) -> Option<u8> {
    match ty {
        Int | UInt => Some(0),
        Decimal(scale) => Some(scale),
        _ => None,
    }
}

/// It is a number.
pub(super) fn is_number(ty: SqlType) -> bool {
    matches!(ty, Int | UInt | Double | Decimal(_))
}
