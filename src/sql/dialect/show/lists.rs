//! SHOW of lists that belong to no table.

use super::super::cursor::Cursor;
use super::Shown;
use crate::sql::error::SqlError;

/// SHOW TABLE STATUS; the name of the database follows.
pub(super) const TABLE_STATUS: &str = "SELECT TABLE_NAME AS Name, ENGINE AS Engine, VERSION AS Version, ROW_FORMAT AS Row_format, \
    TABLE_ROWS AS `Rows`, AVG_ROW_LENGTH AS Avg_row_length, DATA_LENGTH AS Data_length, MAX_DATA_LENGTH AS Max_data_length, \
    INDEX_LENGTH AS Index_length, DATA_FREE AS Data_free, AUTO_INCREMENT AS Auto_increment, CREATE_TIME AS Create_time, \
    UPDATE_TIME AS Update_time, CHECK_TIME AS Check_time, TABLE_COLLATION AS Collation, CHECKSUM AS Checksum, \
    CREATE_OPTIONS AS Create_options, TABLE_COMMENT AS Comment FROM information_schema.TABLES WHERE TABLE_SCHEMA = ";

/// SHOW KEYS; a condition follows.
pub(super) const KEYS: &str = "SELECT TABLE_NAME AS `Table`, NON_UNIQUE AS Non_unique, INDEX_NAME AS Key_name, \
    SEQ_IN_INDEX AS Seq_in_index, COLUMN_NAME AS Column_name, COLLATION AS Collation, CARDINALITY AS Cardinality, SUB_PART AS Sub_part, \
    PACKED AS Packed, NULLABLE AS `Null`, INDEX_TYPE AS Index_type, COMMENT AS Comment, INDEX_COMMENT AS Index_comment, \
    IS_VISIBLE AS Visible, EXPRESSION AS Expression FROM information_schema.STATISTICS WHERE ";

const DATABASES: &str = "SELECT SCHEMA_NAME AS `Database` FROM information_schema.SCHEMATA";
const VARIABLES: &str =
    "SELECT VARIABLE_NAME AS Variable_name, VARIABLE_VALUE AS Value FROM information_schema.SESSION_VARIABLES";
const STATUS: &str = "SELECT VARIABLE_NAME AS Variable_name, VARIABLE_VALUE AS Value FROM information_schema.SESSION_STATUS";
const WARNINGS: &str = "SELECT LEVEL AS Level, CODE AS Code, MESSAGE AS Message FROM information_schema.WARNINGS";
const ENGINES: &str = "SELECT ENGINE AS Engine, SUPPORT AS Support, COMMENT AS Comment, TRANSACTIONS AS Transactions, XA AS XA, \
    SAVEPOINTS AS Savepoints FROM information_schema.ENGINES";
const CHARSETS: &str = "SELECT CHARACTER_SET_NAME AS Charset, DESCRIPTION AS Description, DEFAULT_COLLATE_NAME AS `Default collation`, \
    MAXLEN AS Maxlen FROM information_schema.CHARACTER_SETS";
const COLLATIONS: &str = "SELECT COLLATION_NAME AS Collation, CHARACTER_SET_NAME AS Charset, ID AS Id, IS_DEFAULT AS `Default`, \
    IS_COMPILED AS Compiled, SORTLEN AS Sortlen, PAD_ATTRIBUTE AS Pad_attribute FROM information_schema.COLLATIONS";
const GRANTS: &str = "SELECT CONCAT('GRANT SELECT, PROCESS ON *.* TO `', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), '`@`%`') AS \
    `Grants for user`";
const PRIVILEGES: &str = "SELECT 'Select' AS Privilege, 'Tables' AS Context, 'To retrieve rows from table' AS Comment";
const PLUGINS: &str = "SELECT PLUGIN_NAME AS Name, PLUGIN_STATUS AS Status, PLUGIN_TYPE AS Type, PLUGIN_LIBRARY AS Library, \
    PLUGIN_LICENSE AS License FROM information_schema.PLUGINS";
const TRIGGERS: &str = "SELECT TRIGGER_NAME AS `Trigger`, EVENT_MANIPULATION AS Event, EVENT_OBJECT_TABLE AS `Table`, \
    ACTION_STATEMENT AS Statement, ACTION_TIMING AS Timing, CREATED AS Created, SQL_MODE AS sql_mode, DEFINER AS Definer, \
    CHARACTER_SET_CLIENT AS character_set_client, COLLATION_CONNECTION AS collation_connection, \
    DATABASE_COLLATION AS `Database Collation` FROM information_schema.TRIGGERS";
const EVENTS: &str = "SELECT EVENT_SCHEMA AS Db, EVENT_NAME AS Name, DEFINER AS Definer, TIME_ZONE AS `Time zone`, EVENT_TYPE AS Type, \
    EXECUTE_AT AS `Execute at`, INTERVAL_VALUE AS `Interval value`, INTERVAL_FIELD AS `Interval field`, STARTS AS Starts, ENDS AS Ends, \
    STATUS AS Status, ORIGINATOR AS Originator, CHARACTER_SET_CLIENT AS character_set_client, \
    COLLATION_CONNECTION AS collation_connection, DATABASE_COLLATION AS `Database Collation` FROM information_schema.EVENTS";
const ROUTINES: &str = "SELECT ROUTINE_SCHEMA AS Db, ROUTINE_NAME AS Name, ROUTINE_TYPE AS Type, DEFINER AS Definer, \
    LAST_ALTERED AS Modified, CREATED AS Created, SECURITY_TYPE AS Security_type, ROUTINE_COMMENT AS Comment, \
    CHARACTER_SET_CLIENT AS character_set_client, COLLATION_CONNECTION AS collation_connection, \
    DATABASE_COLLATION AS `Database Collation` FROM information_schema.ROUTINES";
const OPEN_TABLES: &str = "SELECT '' AS `Database`, '' AS `Table`, 0 AS In_use, 0 AS Name_locked FROM DUAL WHERE 1 = 0";
const SOURCE_STATUS: &str = "SELECT '' AS File, 0 AS Position, '' AS Binlog_Do_DB, '' AS Binlog_Ignore_DB, '' AS Executed_Gtid_Set \
    FROM DUAL WHERE 1 = 0";
const REPLICA_STATUS: &str = "SELECT '' AS Replica_IO_State, '' AS Source_Host FROM DUAL WHERE 1 = 0";
const LOGS: &str = "SELECT '' AS Log_name, 0 AS File_size FROM DUAL WHERE 1 = 0";
const ENGINE_STATUS: &str = "SELECT '' AS Type, '' AS Name, '' AS Status FROM DUAL WHERE 1 = 0";
const PROFILES: &str = "SELECT 0 AS Query_ID, 0.0 AS Duration, '' AS Query FROM DUAL WHERE 1 = 0";

/// A list; `None`: it is about a table.
pub(super) fn list(cursor: &mut Cursor<'_>, full: bool) -> Option<Result<Shown, SqlError>> {
    let word = cursor.peek();
    if matches!(word.as_str(), "WARNINGS" | "ERRORS" | "COUNT") {
        return Some(warnings(cursor));
    }
    if word == "PROCESSLIST" {
        cursor.at += 1;
        let info = if full { "INFO" } else { "LEFT(INFO, 100)" };
        let select = format!(
            "SELECT ID AS Id, USER AS User, HOST AS Host, DB AS db, COMMAND AS Command, TIME AS Time, STATE AS State, {info} AS Info \
             FROM information_schema.PROCESSLIST"
        );
        return Some(Ok(Shown { order: " ORDER BY 1", ..Shown::new(select, "") }));
    }
    let found: &[(&[&str], &str, &str, &'static str)] = &[
        (&["DATABASES"], DATABASES, "Database", " ORDER BY 1"),
        (&["SCHEMAS"], DATABASES, "Database", " ORDER BY 1"),
        (&["VARIABLES"], VARIABLES, "Variable_name", " ORDER BY 1"),
        (&["STATUS"], STATUS, "Variable_name", " ORDER BY 1"),
        (&["ENGINES"], ENGINES, "", ""),
        (&["CHARACTER", "SET"], CHARSETS, "Charset", " ORDER BY 1"),
        (&["CHARSET"], CHARSETS, "Charset", " ORDER BY 1"),
        (&["COLLATION"], COLLATIONS, "Collation", " ORDER BY 1"),
        (&["PLUGINS"], PLUGINS, "", ""),
        (&["PRIVILEGES"], PRIVILEGES, "", ""),
        (&["OPEN", "TABLES"], OPEN_TABLES, "Table", ""),
        (&["PROCEDURE", "STATUS"], ROUTINES, "Name", ""),
        (&["FUNCTION", "STATUS"], ROUTINES, "Name", ""),
        (&["MASTER", "STATUS"], SOURCE_STATUS, "", ""),
        (&["BINARY", "LOG", "STATUS"], SOURCE_STATUS, "", ""),
        (&["SLAVE", "STATUS"], REPLICA_STATUS, "", ""),
        (&["REPLICA", "STATUS"], REPLICA_STATUS, "", ""),
        (&["BINARY", "LOGS"], LOGS, "", ""),
        (&["MASTER", "LOGS"], LOGS, "", ""),
        (&["ENGINE", "INNODB", "STATUS"], ENGINE_STATUS, "", ""),
        (&["ENGINE", "INNODB", "MUTEX"], ENGINE_STATUS, "", ""),
        (&["ENGINE", "PERFORMANCE_SCHEMA", "STATUS"], ENGINE_STATUS, "", ""),
        (&["PROFILES"], PROFILES, "", ""),
    ];
    if let Some((_, select, like, order)) = found.iter().find(|(words, ..)| cursor.take_all(words)) {
        return Some(Ok(Shown { order, ..Shown::new(*select, like) }));
    }
    if cursor.take(&["GRANTS"]).is_some() {
        // FOR someone: what everybody may do.
        cursor.at = cursor.source.tokens.len();
        return Some(Ok(Shown::new(GRANTS, "")));
    }
    let of_database = if cursor.take(&["TRIGGERS"]).is_some() {
        (TRIGGERS, "Table")
    } else if cursor.take(&["EVENTS"]).is_some() {
        (EVENTS, "Name")
    } else {
        return None;
    };
    if cursor.take(&["FROM", "IN"]).is_some()
        && let Err(wrong) = cursor.name()
    {
        return Some(Err(wrong));
    }
    Some(Ok(Shown::new(of_database.0, of_database.1)))
}

/// SHOW WARNINGS, SHOW ERRORS, SHOW COUNT(*) WARNINGS.
fn warnings(cursor: &mut Cursor<'_>) -> Result<Shown, SqlError> {
    let count = cursor.take_all(&["COUNT", "(", "*", ")"]);
    let errors = match cursor.take(&["WARNINGS", "ERRORS"]) {
        Some(word) => word == "ERRORS",
        None => return Err(cursor.wrong("WARNINGS or ERRORS is expected")),
    };
    let only = if errors { " WHERE LEVEL = 'Error'" } else { "" };
    if count {
        let name = if errors { "@@session.error_count" } else { "@@session.warning_count" };
        return Ok(Shown::new(format!("SELECT COUNT(*) AS `{name}` FROM information_schema.WARNINGS{only}"), ""));
    }
    let mut select = format!("{WARNINGS}{only}");
    if cursor.take(&["LIMIT"]).is_some() {
        let first = cursor.number()?;
        select.push_str(&format!(" LIMIT {first}"));
        if cursor.take(&[","]).is_some() {
            select.push_str(&format!(", {}", cursor.number()?));
        }
    }
    Ok(Shown::new(select, ""))
}
