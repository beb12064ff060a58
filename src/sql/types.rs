//! The types of columns and expressions, as MySQL names them, and how SQLite carries their values.

/// The type of a column or an expression. SQLite's values are dynamic; what is written here is what each type's values are inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SqlType {
    /// Always NULL.
    Null,
    /// BIGINT: INTEGER. Booleans, too.
    Int,
    /// BIGINT UNSIGNED: INTEGER, never negative; from 2^63 on a BLOB as of a DECIMAL, which SQLite takes for greater than every INTEGER.
    UInt,
    /// DOUBLE: REAL.
    Double,
    /// DECIMAL with so many digits behind the point: BLOB, see [`decimal`](super::decimal); rounded and padded when it is shown.
    Decimal(u8),
    /// VARCHAR, LONGTEXT; utf8mb4_bin: TEXT.
    Text,
    /// LONGBLOB: BLOB.
    Blob,
    /// JSON: TEXT that holds a JSON document.
    Json,
    /// TIMESTAMP with 0 to 6 digits of fraction, an instant: INTEGER, microseconds since 1970-01-01 UTC. The session's time zone counts
    /// when it becomes a DATETIME or text. Columns and NOW are; clients are told DATETIME.
    Timestamp(u8),
    /// DATETIME with 0 to 6 digits of fraction, what calendar and clock show: INTEGER, microseconds since 1970-01-01 00:00:00 there.
    DateTime(u8),
    /// DATE: TEXT, `YYYY-MM-DD`, in the session's time zone.
    Date,
    /// TIME with 0 to 6 digits of fraction: INTEGER, microseconds, at most 838:59:59 to either side.
    Time(u8),
}

/// A value on its own: a parameter, a setting, a folded constant. Dates are `Text` in the session's time zone.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// NULL.
    Null,
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// A number with a fraction.
    Double(f64),
    /// A string.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}
