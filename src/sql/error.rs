//! Errors as MySQL clients know them.

/// An error for the client: MySQL's code, its SQLSTATE and a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ERROR {code} ({state}): {message}")]
pub struct SqlError {
    /// MySQL's error code.
    pub code: u16,
    /// Five characters.
    pub state: &'static str,
    /// What is wrong: which name, value and limit.
    pub message: String,
}

impl SqlError {
    /// An error with a code of MySQL's.
    pub fn new(code: u16, state: &'static str, message: impl Into<String>) -> Self {
        SqlError { code, state, message: message.into() }
    }

    /// What kind of error it is, for metrics: one of a handful of words.
    pub fn kind(&self) -> &'static str {
        match self.code {
            1064 | 1235 | 1305 | 1582 | 1054 | 1146 | 1149 | 1436 => "syntax",
            1175 => "unbounded",
            1290 | 1142 | 1227 => "denied",
            1038 | 1041 | 1301 => "memory",
            3024 => "timeout",
            1317 => "interrupted",
            1040 | 1053 => "busy",
            _ => "other",
        }
    }

    /// 1064: not SQL, or a kind of SQL that z4 does not know.
    pub fn syntax(message: impl Into<String>) -> Self {
        SqlError::new(1064, "42000", message)
    }

    /// 1235: SQL that MySQL knows and z4 does not do.
    pub fn unsupported(what: impl Into<String>) -> Self {
        SqlError::new(1235, "42000", what)
    }

    /// 1290: a statement that would change something.
    pub fn read_only(statement: &str) -> Self {
        SqlError::new(
            1290,
            "HY000",
            format!(
                "z4's SQL is read-only, so it cannot execute {statement}; tasks are written over gRPC (z4t, or a client library)"
            ),
        )
    }

    /// 1305: a function that is not there.
    pub fn no_function(name: &str) -> Self {
        SqlError::new(1305, "42000", format!("FUNCTION {name} does not exist in z4"))
    }

    /// 1105: anything else.
    pub fn other(message: impl Into<String>) -> Self {
        SqlError::new(1105, "HY000", message)
    }
}
