//! MySQL's own databases beside information_schema, as far as tools ask for them: `mysql`, `performance_schema` and `sys`. Most have no
//! rows, since z4 has nothing of the kind; what does is the same as in information_schema.

use super::information_schema::{d, i, n, t};
use super::{Column, Table};

/// Accounts and rights.
pub const MYSQL: &str = "mysql";
/// Variables, status and measurements.
pub const PERFORMANCE_SCHEMA: &str = "performance_schema";
/// Views of them.
pub const SYS: &str = "sys";

const fn table(schema: &'static str, name: &'static str, columns: &'static [Column]) -> Table {
    Table { schema, name, columns, comment: "" }
}

/// Accounts. Those of z4 stand in a file that SQL never shows: there are no rows, and so no hashes.
pub const USER: Table = table(
    MYSQL,
    "user",
    &[
        t("Host"),
        t("User"),
        t("Select_priv"),
        t("Insert_priv"),
        t("Update_priv"),
        t("Delete_priv"),
        t("Create_priv"),
        t("Drop_priv"),
        t("Reload_priv"),
        t("Shutdown_priv"),
        t("Process_priv"),
        t("File_priv"),
        t("Grant_priv"),
        t("References_priv"),
        t("Index_priv"),
        t("Alter_priv"),
        t("Show_db_priv"),
        t("Super_priv"),
        t("Create_tmp_table_priv"),
        t("Lock_tables_priv"),
        t("Execute_priv"),
        t("Repl_slave_priv"),
        t("Repl_client_priv"),
        t("Create_view_priv"),
        t("Show_view_priv"),
        t("Create_routine_priv"),
        t("Alter_routine_priv"),
        t("Create_user_priv"),
        t("Event_priv"),
        t("Trigger_priv"),
        t("Create_tablespace_priv"),
        t("ssl_type"),
        t("ssl_cipher"),
        t("x509_issuer"),
        t("x509_subject"),
        n("max_questions"),
        n("max_updates"),
        n("max_connections"),
        n("max_user_connections"),
        t("plugin"),
        t("authentication_string"),
        t("password_expired"),
        d("password_last_changed"),
        n("password_lifetime"),
        t("account_locked"),
        t("Create_role_priv"),
        t("Drop_role_priv"),
        n("Password_reuse_history"),
        n("Password_reuse_time"),
        t("Password_require_current"),
        t("User_attributes"),
    ],
);

/// Rights on databases: none are given one by one.
pub const DB: Table = table(
    MYSQL,
    "db",
    &[
        t("Host"),
        t("Db"),
        t("User"),
        t("Select_priv"),
        t("Insert_priv"),
        t("Update_priv"),
        t("Delete_priv"),
        t("Create_priv"),
        t("Drop_priv"),
        t("Grant_priv"),
        t("References_priv"),
        t("Index_priv"),
        t("Alter_priv"),
        t("Create_tmp_table_priv"),
        t("Lock_tables_priv"),
        t("Create_view_priv"),
        t("Show_view_priv"),
        t("Create_routine_priv"),
        t("Alter_routine_priv"),
        t("Execute_priv"),
        t("Event_priv"),
        t("Trigger_priv"),
    ],
);

/// Rights on tables: none are given one by one.
pub const TABLES_PRIV: Table = table(
    MYSQL,
    "tables_priv",
    &[t("Host"), t("Db"), t("User"), t("Table_name"), t("Grantor"), d("Timestamp"), t("Table_priv"), t("Column_priv")],
);

/// Rights on columns: none are given one by one.
pub const COLUMNS_PRIV: Table = table(
    MYSQL,
    "columns_priv",
    &[t("Host"), t("Db"), t("User"), t("Table_name"), t("Column_name"), d("Timestamp"), t("Column_priv")],
);

/// Rights on stored routines: there are none.
pub const PROCS_PRIV: Table = table(
    MYSQL,
    "procs_priv",
    &[t("Host"), t("Db"), t("User"), t("Routine_name"), t("Routine_type"), t("Grantor"), t("Proc_priv"), d("Timestamp")],
);

/// Roles: there are none.
pub const ROLE_EDGES: Table =
    table(MYSQL, "role_edges", &[t("FROM_HOST"), t("FROM_USER"), t("TO_HOST"), t("TO_USER"), t("WITH_ADMIN_OPTION")]);

/// Roles: there are none.
pub const DEFAULT_ROLES: Table =
    table(MYSQL, "default_roles", &[t("HOST"), t("USER"), t("DEFAULT_ROLE_HOST"), t("DEFAULT_ROLE_USER")]);

/// Dynamic rights: none are given.
pub const GLOBAL_GRANTS: Table = table(MYSQL, "global_grants", &[t("USER"), t("HOST"), t("PRIV"), t("WITH_GRANT_OPTION")]);

/// Names that `time_zone` takes.
pub const TIME_ZONE_NAME: Table = table(MYSQL, "time_zone_name", &[t("Name"), n("Time_zone_id")]);

/// Variables: the session's, as SHOW GLOBAL VARIABLES shows them.
pub const GLOBAL_VARIABLES: Table = table(PERFORMANCE_SCHEMA, "global_variables", &[t("VARIABLE_NAME"), t("VARIABLE_VALUE")]);

/// The session's variables.
pub const SESSION_VARIABLES: Table = table(PERFORMANCE_SCHEMA, "session_variables", &[t("VARIABLE_NAME"), t("VARIABLE_VALUE")]);

/// Status variables.
pub const GLOBAL_STATUS: Table = table(PERFORMANCE_SCHEMA, "global_status", &[t("VARIABLE_NAME"), t("VARIABLE_VALUE")]);

/// The same: a session has none of its own.
pub const SESSION_STATUS: Table = table(PERFORMANCE_SCHEMA, "session_status", &[t("VARIABLE_NAME"), t("VARIABLE_VALUE")]);

/// Connections.
pub const PROCESSLIST: Table = table(
    PERFORMANCE_SCHEMA,
    "processlist",
    &[n("ID"), t("USER"), t("HOST"), t("DB"), t("COMMAND"), i("TIME"), t("STATE"), t("INFO")],
);

/// What clients tell of themselves: it is not kept.
pub const SESSION_CONNECT_ATTRS: Table = table(
    PERFORMANCE_SCHEMA,
    "session_connect_attrs",
    &[n("PROCESSLIST_ID"), t("ATTR_NAME"), t("ATTR_VALUE"), i("ORDINAL_POSITION")],
);

/// What is collected: nothing.
pub const SETUP_CONSUMERS: Table = table(PERFORMANCE_SCHEMA, "setup_consumers", &[t("NAME"), t("ENABLED")]);

/// What is measured: nothing.
pub const SETUP_INSTRUMENTS: Table = table(
    PERFORMANCE_SCHEMA,
    "setup_instruments",
    &[t("NAME"), t("ENABLED"), t("TIMED"), t("PROPERTIES"), t("FLAGS"), i("VOLATILITY"), t("DOCUMENTATION")],
);

/// Statements by their form: they are not counted.
pub const STATEMENTS_BY_DIGEST: Table = table(
    PERFORMANCE_SCHEMA,
    "events_statements_summary_by_digest",
    &[
        t("SCHEMA_NAME"),
        t("DIGEST"),
        t("DIGEST_TEXT"),
        n("COUNT_STAR"),
        n("SUM_TIMER_WAIT"),
        n("MIN_TIMER_WAIT"),
        n("AVG_TIMER_WAIT"),
        n("MAX_TIMER_WAIT"),
        n("SUM_LOCK_TIME"),
        n("SUM_ERRORS"),
        n("SUM_WARNINGS"),
        n("SUM_ROWS_AFFECTED"),
        n("SUM_ROWS_SENT"),
        n("SUM_ROWS_EXAMINED"),
        n("SUM_CREATED_TMP_DISK_TABLES"),
        n("SUM_CREATED_TMP_TABLES"),
        n("SUM_SELECT_FULL_JOIN"),
        n("SUM_SELECT_FULL_RANGE_JOIN"),
        n("SUM_SELECT_RANGE"),
        n("SUM_SELECT_RANGE_CHECK"),
        n("SUM_SELECT_SCAN"),
        n("SUM_SORT_MERGE_PASSES"),
        n("SUM_SORT_RANGE"),
        n("SUM_SORT_ROWS"),
        n("SUM_SORT_SCAN"),
        n("SUM_NO_INDEX_USED"),
        n("SUM_NO_GOOD_INDEX_USED"),
        d("FIRST_SEEN"),
        d("LAST_SEEN"),
    ],
);

/// Members of a replication group of MySQL's: none. The peers stand in `z4.peers`.
pub const REPLICATION_GROUP_MEMBERS: Table = table(
    PERFORMANCE_SCHEMA,
    "replication_group_members",
    &[
        t("CHANNEL_NAME"),
        t("MEMBER_ID"),
        t("MEMBER_HOST"),
        i("MEMBER_PORT"),
        t("MEMBER_STATE"),
        t("MEMBER_ROLE"),
        t("MEMBER_VERSION"),
        t("MEMBER_COMMUNICATION_STACK"),
    ],
);

/// Who waits for whose lock: nobody.
pub const DATA_LOCK_WAITS: Table = table(
    PERFORMANCE_SCHEMA,
    "data_lock_waits",
    &[
        t("ENGINE"),
        t("REQUESTING_ENGINE_LOCK_ID"),
        n("REQUESTING_ENGINE_TRANSACTION_ID"),
        n("REQUESTING_THREAD_ID"),
        n("REQUESTING_EVENT_ID"),
        n("REQUESTING_OBJECT_INSTANCE_BEGIN"),
        t("BLOCKING_ENGINE_LOCK_ID"),
        n("BLOCKING_ENGINE_TRANSACTION_ID"),
        n("BLOCKING_THREAD_ID"),
        n("BLOCKING_EVENT_ID"),
        n("BLOCKING_OBJECT_INSTANCE_BEGIN"),
    ],
);

/// Locks on tables: there are none.
pub const METADATA_LOCKS: Table = table(
    PERFORMANCE_SCHEMA,
    "metadata_locks",
    &[
        t("OBJECT_TYPE"),
        t("OBJECT_SCHEMA"),
        t("OBJECT_NAME"),
        t("COLUMN_NAME"),
        n("OBJECT_INSTANCE_BEGIN"),
        t("LOCK_TYPE"),
        t("LOCK_DURATION"),
        t("LOCK_STATUS"),
        t("SOURCE"),
        n("OWNER_THREAD_ID"),
        n("OWNER_EVENT_ID"),
    ],
);

/// The version of MySQL that clients are told.
pub const VERSION: Table = table(SYS, "version", &[t("sys_version"), t("mysql_version")]);

/// Settings of the views of `sys`: none.
pub const SYS_CONFIG: Table = table(SYS, "sys_config", &[t("variable"), t("value"), d("set_time"), t("set_by")]);

/// Statements as they came: they are not kept.
pub const GENERAL_LOG: Table = table(
    MYSQL,
    "general_log",
    &[d("event_time"), t("user_host"), n("thread_id"), n("server_id"), t("command_type"), t("argument")],
);

/// Slow statements: they are not kept.
pub const SLOW_LOG: Table = table(
    MYSQL,
    "slow_log",
    &[
        d("start_time"),
        t("user_host"),
        t("query_time"),
        t("lock_time"),
        i("rows_sent"),
        i("rows_examined"),
        t("db"),
        i("last_insert_id"),
        i("insert_id"),
        n("server_id"),
        t("sql_text"),
        n("thread_id"),
    ],
);

/// Connections: a thread for each, with its number.
pub const THREADS: Table = table(
    PERFORMANCE_SCHEMA,
    "threads",
    &[
        n("THREAD_ID"),
        t("NAME"),
        t("TYPE"),
        n("PROCESSLIST_ID"),
        t("PROCESSLIST_USER"),
        t("PROCESSLIST_HOST"),
        t("PROCESSLIST_DB"),
        t("PROCESSLIST_COMMAND"),
        i("PROCESSLIST_TIME"),
        t("PROCESSLIST_STATE"),
        t("PROCESSLIST_INFO"),
        n("PARENT_THREAD_ID"),
        t("ROLE"),
        t("INSTRUMENTED"),
        t("HISTORY"),
        t("CONNECTION_TYPE"),
        n("THREAD_OS_ID"),
        t("RESOURCE_GROUP"),
    ],
);

/// Measurements of the statements that run: there are none.
pub const STATEMENTS_CURRENT: Table = table(
    PERFORMANCE_SCHEMA,
    "events_statements_current",
    &[
        n("THREAD_ID"),
        n("EVENT_ID"),
        n("END_EVENT_ID"),
        t("EVENT_NAME"),
        t("SOURCE"),
        n("TIMER_START"),
        n("TIMER_END"),
        n("TIMER_WAIT"),
        n("LOCK_TIME"),
        t("SQL_TEXT"),
        t("DIGEST"),
        t("DIGEST_TEXT"),
        t("CURRENT_SCHEMA"),
        t("OBJECT_TYPE"),
        t("OBJECT_SCHEMA"),
        t("OBJECT_NAME"),
        n("OBJECT_INSTANCE_BEGIN"),
        i("MYSQL_ERRNO"),
        t("RETURNED_SQLSTATE"),
        t("MESSAGE_TEXT"),
        n("ERRORS"),
        n("WARNINGS"),
        n("ROWS_AFFECTED"),
        n("ROWS_SENT"),
        n("ROWS_EXAMINED"),
        n("CREATED_TMP_DISK_TABLES"),
        n("CREATED_TMP_TABLES"),
        n("SELECT_FULL_JOIN"),
        n("SELECT_FULL_RANGE_JOIN"),
        n("SELECT_RANGE"),
        n("SELECT_RANGE_CHECK"),
        n("SELECT_SCAN"),
        n("SORT_MERGE_PASSES"),
        n("SORT_RANGE"),
        n("SORT_ROWS"),
        n("SORT_SCAN"),
        n("NO_INDEX_USED"),
        n("NO_GOOD_INDEX_USED"),
        n("NESTING_EVENT_ID"),
        t("NESTING_EVENT_TYPE"),
        i("NESTING_EVENT_LEVEL"),
        n("STATEMENT_ID"),
    ],
);

/// Locks on rows: there are none.
pub const DATA_LOCKS: Table = table(
    PERFORMANCE_SCHEMA,
    "data_locks",
    &[
        t("ENGINE"),
        t("ENGINE_LOCK_ID"),
        n("ENGINE_TRANSACTION_ID"),
        n("THREAD_ID"),
        n("EVENT_ID"),
        t("OBJECT_SCHEMA"),
        t("OBJECT_NAME"),
        t("PARTITION_NAME"),
        t("SUBPARTITION_NAME"),
        t("INDEX_NAME"),
        n("OBJECT_INSTANCE_BEGIN"),
        t("LOCK_TYPE"),
        t("LOCK_MODE"),
        t("LOCK_STATUS"),
        t("LOCK_DATA"),
    ],
);

/// Who waits for whose lock: nobody.
pub const INNODB_LOCK_WAITS: Table = table(
    SYS,
    "innodb_lock_waits",
    &[
        d("wait_started"),
        t("wait_age"),
        i("wait_age_secs"),
        t("locked_table"),
        t("locked_table_schema"),
        t("locked_table_name"),
        t("locked_index"),
        t("locked_type"),
        n("waiting_trx_id"),
        d("waiting_trx_started"),
        n("waiting_pid"),
        t("waiting_query"),
        t("waiting_lock_id"),
        t("waiting_lock_mode"),
        n("blocking_trx_id"),
        n("blocking_pid"),
        t("blocking_query"),
        t("blocking_lock_id"),
        t("blocking_lock_mode"),
        d("blocking_trx_started"),
        t("blocking_trx_age"),
        t("sql_kill_blocking_query"),
        t("sql_kill_blocking_connection"),
    ],
);
