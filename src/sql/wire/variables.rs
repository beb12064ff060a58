//! The session variables that z4 knows: clients ask for many of them when they connect, and set some.

use crate::sql::error::SqlError;
use crate::sql::types::Datum;

/// What the server calls itself. The first numbers are those of the MySQL whose behaviour clients should expect.
pub const VERSION: &str = concat!("8.0.36-z4-", env!("CARGO_PKG_VERSION"));

/// What may be set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// Nothing.
    Fixed,
    /// 0 or 1, ON or OFF.
    Switch,
    /// A whole number.
    Number(u64, u64),
    /// One of these.
    One(&'static [&'static str]),
    /// A character set that is a part of UTF-8.
    Charset,
    /// A collation of one.
    Collation,
    /// An offset.
    Zone,
    /// Names of MySQL's modes.
    Modes,
    /// Any text.
    Any,
}

/// A default.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Int(i64),
    UInt(u64),
    Text(&'static str),
}

/// A variable.
pub(super) struct Variable(pub(super) &'static str, pub(super) Value, pub(super) Rule);

use Rule::{Any, Charset, Collation, Fixed, Modes, Number, One, Switch, Zone};
use Value::{Int, Text, UInt};

const LEVELS: Rule = One(&["REPEATABLE-READ", "READ-COMMITTED", "READ-UNCOMMITTED", "SERIALIZABLE"]);
const SET: &str = "utf8mb4";
const COLLATED: &str = "utf8mb4_bin";
const DAY: u64 = 86_400;
const YEAR: u64 = 365 * DAY;
const STRICT: &str =
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

/// Names of `sql_mode`; all are taken, and change nothing.
const MODES: &[&str] = &[
    "ALLOW_INVALID_DATES",
    "ANSI",
    "ANSI_QUOTES",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "HIGH_NOT_PRECEDENCE",
    "IGNORE_SPACE",
    "NO_AUTO_CREATE_USER",
    "NO_AUTO_VALUE_ON_ZERO",
    "NO_BACKSLASH_ESCAPES",
    "NO_DIR_IN_CREATE",
    "NO_ENGINE_SUBSTITUTION",
    "NO_UNSIGNED_SUBTRACTION",
    "NO_ZERO_DATE",
    "NO_ZERO_IN_DATE",
    "ONLY_FULL_GROUP_BY",
    "PAD_CHAR_TO_FULL_LENGTH",
    "PIPES_AS_CONCAT",
    "REAL_AS_FLOAT",
    "STRICT_ALL_TABLES",
    "STRICT_TRANS_TABLES",
    "TIME_TRUNCATE_FRACTIONAL",
    "TRADITIONAL",
];

/// All of them, in order; `connection_id`-like ones are added by the session.
pub(super) const VARIABLES: &[Variable] = &[
    Variable("auto_increment_increment", Int(1), Number(1, 65_535)),
    Variable("auto_increment_offset", Int(1), Number(1, 65_535)),
    Variable("autocommit", Int(1), Switch),
    Variable("big_tables", Int(0), Switch),
    Variable("character_set_client", Text(SET), Charset),
    Variable("character_set_connection", Text(SET), Charset),
    Variable("character_set_database", Text(SET), Charset),
    Variable("character_set_filesystem", Text("binary"), Charset),
    Variable("character_set_results", Text(SET), Charset),
    Variable("character_set_server", Text(SET), Charset),
    Variable("character_set_system", Text("utf8mb3"), Fixed),
    Variable("collation_connection", Text(COLLATED), Collation),
    Variable("collation_database", Text(COLLATED), Collation),
    Variable("collation_server", Text(COLLATED), Collation),
    Variable("cte_max_recursion_depth", Int(1_000), Number(0, u32::MAX as u64)),
    Variable("default_storage_engine", Text("z4"), Any),
    Variable("default_week_format", Int(0), Number(0, 7)),
    Variable("div_precision_increment", Int(4), Number(0, 30)),
    Variable("event_scheduler", Text("OFF"), Fixed),
    Variable("explicit_defaults_for_timestamp", Int(1), Switch),
    Variable("foreign_key_checks", Int(1), Switch),
    Variable("group_concat_max_len", UInt(1_048_576), Number(4, u64::MAX)),
    Variable("have_openssl", Text("DISABLED"), Fixed),
    Variable("have_ssl", Text("DISABLED"), Fixed),
    Variable("hostname", Text("z4"), Fixed),
    Variable("information_schema_stats_expiry", Int(86_400), Number(0, YEAR)),
    Variable("init_connect", Text(""), Fixed),
    Variable("innodb_lock_wait_timeout", Int(50), Number(1, 1_073_741_824)),
    Variable("interactive_timeout", UInt(28_800), Number(1, YEAR)),
    Variable("lc_time_names", Text("en_US"), One(&["en_US"])),
    Variable("license", Text("Apache-2.0"), Fixed),
    Variable("local_infile", Int(0), Fixed),
    Variable("lock_wait_timeout", UInt(YEAR), Number(1, YEAR)),
    Variable("long_query_time", Int(10), Fixed),
    Variable("lower_case_file_system", Int(0), Fixed),
    Variable("lower_case_table_names", Int(0), Fixed),
    Variable("max_allowed_packet", UInt(16 << 20), Fixed),
    Variable("max_connections", Int(0), Fixed),
    Variable("max_execution_time", UInt(0), Number(0, u32::MAX as u64)),
    Variable("max_sort_length", Int(1_024), Number(4, 8 << 20)),
    Variable("net_buffer_length", UInt(16_384), Fixed),
    Variable("net_read_timeout", UInt(30), Number(1, YEAR)),
    Variable("net_write_timeout", UInt(60), Number(1, YEAR)),
    Variable("optimizer_switch", Text(""), Any),
    Variable("performance_schema", Int(0), Fixed),
    Variable("port", Int(0), Fixed),
    Variable("protocol_version", Int(10), Fixed),
    Variable("query_cache_size", Int(0), Fixed),
    Variable("query_cache_type", Text("OFF"), Fixed),
    Variable("read_only", Int(1), Fixed),
    Variable("secure_file_priv", Text(""), Fixed),
    Variable("session_track_schema", Int(0), Any),
    Variable("session_track_system_variables", Text(""), Any),
    Variable("show_old_temporals", Int(0), Switch),
    Variable("sql_auto_is_null", Int(0), Switch),
    Variable("sql_big_selects", Int(1), Switch),
    Variable("sql_buffer_result", Int(0), Switch),
    Variable("sql_log_bin", Int(0), Switch),
    Variable("sql_log_off", Int(0), Switch),
    Variable("sql_mode", Text(STRICT), Modes),
    Variable("sql_notes", Int(1), Switch),
    Variable("sql_quote_show_create", Int(1), Switch),
    Variable("sql_require_primary_key", Int(0), Switch),
    Variable("sql_safe_updates", Int(0), Switch),
    Variable("sql_select_limit", UInt(u64::MAX), Number(0, u64::MAX)),
    Variable("sql_warnings", Int(0), Switch),
    Variable("ssl_cipher", Text(""), Fixed),
    Variable("super_read_only", Int(1), Fixed),
    Variable("system_time_zone", Text("UTC"), Fixed),
    Variable("time_zone", Text("SYSTEM"), Zone),
    Variable("transaction_isolation", Text("REPEATABLE-READ"), LEVELS),
    Variable("transaction_read_only", Int(0), Switch),
    Variable("tx_isolation", Text("REPEATABLE-READ"), LEVELS),
    Variable("tx_read_only", Int(0), Switch),
    Variable("unique_checks", Int(1), Switch),
    Variable("version", Text(VERSION), Fixed),
    Variable("version_comment", Text("z4, read-only SQL over tasks"), Fixed),
    Variable("version_compile_machine", Text(std::env::consts::ARCH), Fixed),
    Variable("version_compile_os", Text("Linux"), Fixed),
    Variable("wait_timeout", UInt(28_800), Number(1, YEAR)),
    Variable("z4_consistency", Text("stale"), One(&["stale", "linearizable"])),
];

impl Value {
    /// As the session keeps it.
    pub(super) fn datum(self) -> Datum {
        match self {
            Value::Int(value) => Datum::Int(value),
            Value::UInt(value) => Datum::UInt(value),
            Value::Text(text) => Datum::Text(text.to_owned()),
        }
    }
}

/// A variable by its lower-case name.
pub(super) fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.binary_search_by(|variable| variable.0.cmp(name)).ok().and_then(|at| VARIABLES.get(at))
}

impl Variable {
    /// Makes a value that the client gave one of this variable's.
    ///
    /// # Errors
    /// 1238 it is fixed, 1231 and 1232 a value that it cannot have, 1115 and 1273 an unknown character set or collation, 1298 an
    /// unknown time zone.
    pub(super) fn check(&self, value: Datum) -> Result<Datum, SqlError> {
        let Variable(name, _, rule) = self;
        let shown = shown(&value);
        let wrong = || SqlError::new(1231, "42000", format!("Variable '{name}' can't be set to the value of '{shown}'"));
        match rule {
            Rule::Fixed => Err(SqlError::new(1238, "HY000", format!("Variable '{name}' is a read only variable"))),
            Rule::Any => Ok(value),
            Rule::Switch => match shown.to_ascii_lowercase().as_str() {
                "1" | "on" | "true" => Ok(Datum::Int(1)),
                "0" | "off" | "false" => Ok(Datum::Int(0)),
                _ => Err(wrong()),
            },
            Rule::Number(least, most) => {
                let number = match &value {
                    Datum::Int(number) => u64::try_from(*number).unwrap_or(0),
                    Datum::UInt(number) => *number,
                    Datum::Text(text) => text.trim().parse().map_err(|_| wrong_type(name))?,
                    _ => return Err(wrong_type(name)),
                };
                // MySQL moves a number that is too small or too large to the nearest, and warns.
                Ok(Datum::UInt(number.clamp(*least, *most)))
            }
            Rule::One(values) => {
                let same = values.iter().find(|one| one.eq_ignore_ascii_case(&shown));
                same.map(|one| Datum::Text((*one).to_owned())).ok_or_else(wrong)
            }
            Rule::Charset if value == Datum::Null && *name == "character_set_results" => Ok(Datum::Null),
            Rule::Charset => charset(&shown).map(|set| Datum::Text(set.to_owned())),
            Rule::Collation => collation(&shown).map(Datum::Text),
            Rule::Zone => zone(&shown).map(|_| value),
            Rule::Modes => modes(&value, &shown).ok_or_else(wrong).map(Datum::Text),
        }
    }
}

fn wrong_type(name: &str) -> SqlError {
    SqlError::new(1232, "42000", format!("Incorrect argument type to variable '{name}'"))
}

/// A value as an error shows it.
fn shown(value: &Datum) -> String {
    match value {
        Datum::Null => "NULL".to_owned(),
        Datum::Int(number) => number.to_string(),
        Datum::UInt(number) => number.to_string(),
        Datum::Double(number) => number.to_string(),
        Datum::Text(text) => text.clone(),
        Datum::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// A character set whose text z4 takes and gives as it is.
pub(super) fn charset(name: &str) -> Result<&'static str, SqlError> {
    let known = ["utf8mb4", "utf8mb3", "utf8", "binary", "ascii"];
    let found = known.into_iter().find(|known| known.eq_ignore_ascii_case(name));
    found.ok_or_else(|| SqlError::new(1115, "42000", format!("Unknown character set: '{name}' (z4 speaks utf8mb4)")))
}

fn collation(name: &str) -> Result<String, SqlError> {
    let lower = name.to_ascii_lowercase();
    let set = lower.split('_').next().unwrap_or_default();
    match charset(set) {
        Ok(_) => Ok(lower),
        Err(_) => Err(SqlError::new(1273, "HY000", format!("Unknown collation: '{name}'"))),
    }
}

fn modes(value: &Datum, shown: &str) -> Option<String> {
    if matches!(value, Datum::Int(_) | Datum::UInt(_)) {
        return Some(String::new());
    }
    let upper = shown.to_ascii_uppercase();
    let known = upper.split(',').map(str::trim).filter(|mode| !mode.is_empty()).all(|mode| MODES.contains(&mode));
    (known && *value != Datum::Null).then_some(upper)
}

/// Seconds east of UTC: `SYSTEM`, `UTC` or `±hh:mm`, from -13:59 to +14:00.
///
/// # Errors
/// 1298.
pub(super) fn zone(name: &str) -> Result<i32, SqlError> {
    let unknown = || SqlError::new(1298, "HY000", format!("Unknown or incorrect time zone: '{name}'"));
    if ["SYSTEM", "UTC"].iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(0);
    }
    let (sign, text) = match (name.strip_prefix('+'), name.strip_prefix('-')) {
        (Some(text), _) => (1, text),
        (_, Some(text)) => (-1, text),
        _ => return Err(unknown()),
    };
    let (hours, minutes) = text.split_once(':').ok_or_else(unknown)?;
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hours) || !digits(minutes) {
        return Err(unknown());
    }
    let (hours, minutes): (i32, i32) = (hours.parse().map_err(|_| unknown())?, minutes.parse().map_err(|_| unknown())?);
    let seconds = sign * (hours * 3600 + minutes * 60);
    let fits = minutes < 60 && (-14 * 3600 + 60..=14 * 3600).contains(&seconds);
    if fits { Ok(seconds) } else { Err(unknown()) }
}
