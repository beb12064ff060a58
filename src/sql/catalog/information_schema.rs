//! information_schema: its tables and columns, with the names that MySQL 8 has, as metadata queries of drivers and tools expect them.

use super::{Column, INFORMATION_SCHEMA, Table};
use crate::sql::types::SqlType::{DateTime, Double, Int, Text, UInt};

pub(super) const fn t(name: &'static str) -> Column {
    Column { name, ty: Text, nullable: true, comment: "" }
}

pub(super) const fn n(name: &'static str) -> Column {
    Column { name, ty: UInt, nullable: true, comment: "" }
}

pub(super) const fn i(name: &'static str) -> Column {
    Column { name, ty: Int, nullable: true, comment: "" }
}

pub(super) const fn d(name: &'static str) -> Column {
    Column { name, ty: DateTime(0), nullable: true, comment: "" }
}

const fn table(name: &'static str, columns: &'static [Column]) -> Table {
    Table { schema: INFORMATION_SCHEMA, name, columns, comment: "" }
}

/// Databases.
pub const SCHEMATA: Table = table(
    "SCHEMATA",
    &[
        t("CATALOG_NAME"),
        t("SCHEMA_NAME"),
        t("DEFAULT_CHARACTER_SET_NAME"),
        t("DEFAULT_COLLATION_NAME"),
        t("SQL_PATH"),
        t("DEFAULT_ENCRYPTION"),
    ],
);

/// Tables.
pub const TABLES: Table = table(
    "TABLES",
    &[
        t("TABLE_CATALOG"),
        t("TABLE_SCHEMA"),
        t("TABLE_NAME"),
        t("TABLE_TYPE"),
        t("ENGINE"),
        i("VERSION"),
        t("ROW_FORMAT"),
        n("TABLE_ROWS"),
        n("AVG_ROW_LENGTH"),
        n("DATA_LENGTH"),
        n("MAX_DATA_LENGTH"),
        n("INDEX_LENGTH"),
        n("DATA_FREE"),
        n("AUTO_INCREMENT"),
        d("CREATE_TIME"),
        d("UPDATE_TIME"),
        d("CHECK_TIME"),
        t("TABLE_COLLATION"),
        i("CHECKSUM"),
        t("CREATE_OPTIONS"),
        t("TABLE_COMMENT"),
    ],
);

/// Columns.
pub const COLUMNS: Table = table(
    "COLUMNS",
    &[
        t("TABLE_CATALOG"),
        t("TABLE_SCHEMA"),
        t("TABLE_NAME"),
        t("COLUMN_NAME"),
        n("ORDINAL_POSITION"),
        t("COLUMN_DEFAULT"),
        t("IS_NULLABLE"),
        t("DATA_TYPE"),
        i("CHARACTER_MAXIMUM_LENGTH"),
        i("CHARACTER_OCTET_LENGTH"),
        n("NUMERIC_PRECISION"),
        n("NUMERIC_SCALE"),
        n("DATETIME_PRECISION"),
        t("CHARACTER_SET_NAME"),
        t("COLLATION_NAME"),
        t("COLUMN_TYPE"),
        t("COLUMN_KEY"),
        t("EXTRA"),
        t("PRIVILEGES"),
        t("COLUMN_COMMENT"),
        t("GENERATION_EXPRESSION"),
        n("SRS_ID"),
    ],
);

/// Columns of indexes.
pub const STATISTICS: Table = table(
    "STATISTICS",
    &[
        t("TABLE_CATALOG"),
        t("TABLE_SCHEMA"),
        t("TABLE_NAME"),
        i("NON_UNIQUE"),
        t("INDEX_SCHEMA"),
        t("INDEX_NAME"),
        n("SEQ_IN_INDEX"),
        t("COLUMN_NAME"),
        t("COLLATION"),
        i("CARDINALITY"),
        i("SUB_PART"),
        t("PACKED"),
        t("NULLABLE"),
        t("INDEX_TYPE"),
        t("COMMENT"),
        t("INDEX_COMMENT"),
        t("IS_VISIBLE"),
        t("EXPRESSION"),
    ],
);

/// Columns of keys.
pub const KEY_COLUMN_USAGE: Table = table(
    "KEY_COLUMN_USAGE",
    &[
        t("CONSTRAINT_CATALOG"),
        t("CONSTRAINT_SCHEMA"),
        t("CONSTRAINT_NAME"),
        t("TABLE_CATALOG"),
        t("TABLE_SCHEMA"),
        t("TABLE_NAME"),
        t("COLUMN_NAME"),
        n("ORDINAL_POSITION"),
        n("POSITION_IN_UNIQUE_CONSTRAINT"),
        t("REFERENCED_TABLE_SCHEMA"),
        t("REFERENCED_TABLE_NAME"),
        t("REFERENCED_COLUMN_NAME"),
    ],
);

/// Keys.
pub const TABLE_CONSTRAINTS: Table = table(
    "TABLE_CONSTRAINTS",
    &[
        t("CONSTRAINT_CATALOG"),
        t("CONSTRAINT_SCHEMA"),
        t("CONSTRAINT_NAME"),
        t("TABLE_SCHEMA"),
        t("TABLE_NAME"),
        t("CONSTRAINT_TYPE"),
        t("ENFORCED"),
    ],
);

/// Foreign keys: none.
pub const REFERENTIAL_CONSTRAINTS: Table = table(
    "REFERENTIAL_CONSTRAINTS",
    &[
        t("CONSTRAINT_CATALOG"),
        t("CONSTRAINT_SCHEMA"),
        t("CONSTRAINT_NAME"),
        t("UNIQUE_CONSTRAINT_CATALOG"),
        t("UNIQUE_CONSTRAINT_SCHEMA"),
        t("UNIQUE_CONSTRAINT_NAME"),
        t("MATCH_OPTION"),
        t("UPDATE_RULE"),
        t("DELETE_RULE"),
        t("TABLE_NAME"),
        t("REFERENCED_TABLE_NAME"),
    ],
);

/// Check constraints: none.
pub const CHECK_CONSTRAINTS: Table =
    table("CHECK_CONSTRAINTS", &[t("CONSTRAINT_CATALOG"), t("CONSTRAINT_SCHEMA"), t("CONSTRAINT_NAME"), t("CHECK_CLAUSE")]);

/// Stored functions and procedures: none.
pub const ROUTINES: Table = table(
    "ROUTINES",
    &[
        t("SPECIFIC_NAME"),
        t("ROUTINE_CATALOG"),
        t("ROUTINE_SCHEMA"),
        t("ROUTINE_NAME"),
        t("ROUTINE_TYPE"),
        t("DATA_TYPE"),
        i("CHARACTER_MAXIMUM_LENGTH"),
        i("CHARACTER_OCTET_LENGTH"),
        n("NUMERIC_PRECISION"),
        n("NUMERIC_SCALE"),
        n("DATETIME_PRECISION"),
        t("CHARACTER_SET_NAME"),
        t("COLLATION_NAME"),
        t("DTD_IDENTIFIER"),
        t("ROUTINE_BODY"),
        t("ROUTINE_DEFINITION"),
        t("EXTERNAL_NAME"),
        t("EXTERNAL_LANGUAGE"),
        t("PARAMETER_STYLE"),
        t("IS_DETERMINISTIC"),
        t("SQL_DATA_ACCESS"),
        t("SQL_PATH"),
        t("SECURITY_TYPE"),
        d("CREATED"),
        d("LAST_ALTERED"),
        t("SQL_MODE"),
        t("ROUTINE_COMMENT"),
        t("DEFINER"),
        t("CHARACTER_SET_CLIENT"),
        t("COLLATION_CONNECTION"),
        t("DATABASE_COLLATION"),
    ],
);

/// Their parameters: none.
pub const PARAMETERS: Table = table(
    "PARAMETERS",
    &[
        t("SPECIFIC_CATALOG"),
        t("SPECIFIC_SCHEMA"),
        t("SPECIFIC_NAME"),
        n("ORDINAL_POSITION"),
        t("PARAMETER_MODE"),
        t("PARAMETER_NAME"),
        t("DATA_TYPE"),
        i("CHARACTER_MAXIMUM_LENGTH"),
        i("CHARACTER_OCTET_LENGTH"),
        n("NUMERIC_PRECISION"),
        i("NUMERIC_SCALE"),
        n("DATETIME_PRECISION"),
        t("CHARACTER_SET_NAME"),
        t("COLLATION_NAME"),
        t("DTD_IDENTIFIER"),
        t("ROUTINE_TYPE"),
    ],
);

/// Views: none.
pub const VIEWS: Table = table(
    "VIEWS",
    &[
        t("TABLE_CATALOG"),
        t("TABLE_SCHEMA"),
        t("TABLE_NAME"),
        t("VIEW_DEFINITION"),
        t("CHECK_OPTION"),
        t("IS_UPDATABLE"),
        t("DEFINER"),
        t("SECURITY_TYPE"),
        t("CHARACTER_SET_CLIENT"),
        t("COLLATION_CONNECTION"),
    ],
);

/// Triggers: none.
pub const TRIGGERS: Table = table(
    "TRIGGERS",
    &[
        t("TRIGGER_CATALOG"),
        t("TRIGGER_SCHEMA"),
        t("TRIGGER_NAME"),
        t("EVENT_MANIPULATION"),
        t("EVENT_OBJECT_CATALOG"),
        t("EVENT_OBJECT_SCHEMA"),
        t("EVENT_OBJECT_TABLE"),
        n("ACTION_ORDER"),
        t("ACTION_CONDITION"),
        t("ACTION_STATEMENT"),
        t("ACTION_ORIENTATION"),
        t("ACTION_TIMING"),
        t("ACTION_REFERENCE_OLD_TABLE"),
        t("ACTION_REFERENCE_NEW_TABLE"),
        t("ACTION_REFERENCE_OLD_ROW"),
        t("ACTION_REFERENCE_NEW_ROW"),
        d("CREATED"),
        t("SQL_MODE"),
        t("DEFINER"),
        t("CHARACTER_SET_CLIENT"),
        t("COLLATION_CONNECTION"),
        t("DATABASE_COLLATION"),
    ],
);

/// Scheduled events: none.
pub const EVENTS: Table = table(
    "EVENTS",
    &[
        t("EVENT_CATALOG"),
        t("EVENT_SCHEMA"),
        t("EVENT_NAME"),
        t("DEFINER"),
        t("TIME_ZONE"),
        t("EVENT_BODY"),
        t("EVENT_DEFINITION"),
        t("EVENT_TYPE"),
        d("EXECUTE_AT"),
        t("INTERVAL_VALUE"),
        t("INTERVAL_FIELD"),
        t("SQL_MODE"),
        d("STARTS"),
        d("ENDS"),
        t("STATUS"),
        t("ON_COMPLETION"),
        d("CREATED"),
        d("LAST_ALTERED"),
        d("LAST_EXECUTED"),
        t("EVENT_COMMENT"),
        n("ORIGINATOR"),
        t("CHARACTER_SET_CLIENT"),
        t("COLLATION_CONNECTION"),
        t("DATABASE_COLLATION"),
    ],
);

/// Partitions: none that SQL knows.
pub const PARTITIONS: Table = table(
    "PARTITIONS",
    &[
        t("TABLE_CATALOG"),
        t("TABLE_SCHEMA"),
        t("TABLE_NAME"),
        t("PARTITION_NAME"),
        t("SUBPARTITION_NAME"),
        n("PARTITION_ORDINAL_POSITION"),
        n("SUBPARTITION_ORDINAL_POSITION"),
        t("PARTITION_METHOD"),
        t("SUBPARTITION_METHOD"),
        t("PARTITION_EXPRESSION"),
        t("SUBPARTITION_EXPRESSION"),
        t("PARTITION_DESCRIPTION"),
        n("TABLE_ROWS"),
        n("AVG_ROW_LENGTH"),
        n("DATA_LENGTH"),
        n("MAX_DATA_LENGTH"),
        n("INDEX_LENGTH"),
        n("DATA_FREE"),
        d("CREATE_TIME"),
        d("UPDATE_TIME"),
        d("CHECK_TIME"),
        i("CHECKSUM"),
        t("PARTITION_COMMENT"),
        t("NODEGROUP"),
        t("TABLESPACE_NAME"),
    ],
);

/// Storage engines.
pub const ENGINES: Table =
    table("ENGINES", &[t("ENGINE"), t("SUPPORT"), t("COMMENT"), t("TRANSACTIONS"), t("XA"), t("SAVEPOINTS")]);

/// Plugins: none.
pub const PLUGINS: Table = table(
    "PLUGINS",
    &[
        t("PLUGIN_NAME"),
        t("PLUGIN_VERSION"),
        t("PLUGIN_STATUS"),
        t("PLUGIN_TYPE"),
        t("PLUGIN_TYPE_VERSION"),
        t("PLUGIN_LIBRARY"),
        t("PLUGIN_LIBRARY_VERSION"),
        t("PLUGIN_AUTHOR"),
        t("PLUGIN_DESCRIPTION"),
        t("PLUGIN_LICENSE"),
        t("LOAD_OPTION"),
    ],
);

/// Character sets.
pub const CHARACTER_SETS: Table =
    table("CHARACTER_SETS", &[t("CHARACTER_SET_NAME"), t("DEFAULT_COLLATE_NAME"), t("DESCRIPTION"), n("MAXLEN")]);

/// Collations.
pub const COLLATIONS: Table = table(
    "COLLATIONS",
    &[t("COLLATION_NAME"), t("CHARACTER_SET_NAME"), n("ID"), t("IS_DEFAULT"), t("IS_COMPILED"), n("SORTLEN"), t("PAD_ATTRIBUTE")],
);

/// Which collation is of which character set.
pub const COLLATION_CHARACTER_SET_APPLICABILITY: Table =
    table("COLLATION_CHARACTER_SET_APPLICABILITY", &[t("COLLATION_NAME"), t("CHARACTER_SET_NAME")]);

/// Privileges of users.
pub const USER_PRIVILEGES: Table =
    table("USER_PRIVILEGES", &[t("GRANTEE"), t("TABLE_CATALOG"), t("PRIVILEGE_TYPE"), t("IS_GRANTABLE")]);

/// Privileges on databases: none.
pub const SCHEMA_PRIVILEGES: Table =
    table("SCHEMA_PRIVILEGES", &[t("GRANTEE"), t("TABLE_CATALOG"), t("TABLE_SCHEMA"), t("PRIVILEGE_TYPE"), t("IS_GRANTABLE")]);

/// Privileges on tables: none.
pub const TABLE_PRIVILEGES: Table = table(
    "TABLE_PRIVILEGES",
    &[t("GRANTEE"), t("TABLE_CATALOG"), t("TABLE_SCHEMA"), t("TABLE_NAME"), t("PRIVILEGE_TYPE"), t("IS_GRANTABLE")],
);

/// Keywords.
pub const KEYWORDS: Table = table("KEYWORDS", &[t("WORD"), i("RESERVED")]);

/// The session's variables: from the statement's context.
pub const SESSION_VARIABLES: Table = table("SESSION_VARIABLES", &[t("VARIABLE_NAME"), t("VARIABLE_VALUE")]);

/// Status variables: from the server, when it is asked.
pub const SESSION_STATUS: Table = table("SESSION_STATUS", &[t("VARIABLE_NAME"), t("VARIABLE_VALUE")]);

/// Connections: from the server, when it is asked.
pub const PROCESSLIST: Table =
    table("PROCESSLIST", &[n("ID"), t("USER"), t("HOST"), t("DB"), t("COMMAND"), i("TIME"), t("STATE"), t("INFO")]);

/// What the statement before warned of: from the statement's context.
pub const WARNINGS: Table = table("WARNINGS", &[t("LEVEL"), n("CODE"), t("MESSAGE")]);

/// Rights on columns: none are given one by one.
pub const COLUMN_PRIVILEGES: Table = table(
    "COLUMN_PRIVILEGES",
    &[
        t("GRANTEE"),
        t("TABLE_CATALOG"),
        t("TABLE_SCHEMA"),
        t("TABLE_NAME"),
        t("COLUMN_NAME"),
        t("PRIVILEGE_TYPE"),
        t("IS_GRANTABLE"),
    ],
);

/// Profiles of statements: none are kept.
pub const PROFILING: Table = table(
    "PROFILING",
    &[
        i("QUERY_ID"),
        i("SEQ"),
        t("STATE"),
        Column { name: "DURATION", ty: Double, nullable: true, comment: "" },
        Column { name: "CPU_USER", ty: Double, nullable: true, comment: "" },
        Column { name: "CPU_SYSTEM", ty: Double, nullable: true, comment: "" },
        i("CONTEXT_VOLUNTARY"),
        i("CONTEXT_INVOLUNTARY"),
        i("BLOCK_OPS_IN"),
        i("BLOCK_OPS_OUT"),
        i("MESSAGES_SENT"),
        i("MESSAGES_RECEIVED"),
        i("PAGE_FAULTS_MAJOR"),
        i("PAGE_FAULTS_MINOR"),
        i("SWAPS"),
        t("SOURCE_FUNCTION"),
        t("SOURCE_FILE"),
        i("SOURCE_LINE"),
    ],
);

/// Files of tablespaces: there are none.
pub const FILES: Table = table(
    "FILES",
    &[
        i("FILE_ID"),
        t("FILE_NAME"),
        t("FILE_TYPE"),
        t("TABLESPACE_NAME"),
        t("TABLE_CATALOG"),
        t("TABLE_SCHEMA"),
        t("TABLE_NAME"),
        t("LOGFILE_GROUP_NAME"),
        i("LOGFILE_GROUP_NUMBER"),
        t("ENGINE"),
        t("FULLTEXT_KEYS"),
        i("DELETED_ROWS"),
        i("UPDATE_COUNT"),
        i("FREE_EXTENTS"),
        i("TOTAL_EXTENTS"),
        i("EXTENT_SIZE"),
        i("INITIAL_SIZE"),
        i("MAXIMUM_SIZE"),
        i("AUTOEXTEND_SIZE"),
        d("CREATION_TIME"),
        d("LAST_UPDATE_TIME"),
        d("LAST_ACCESS_TIME"),
        i("RECOVER_TIME"),
        i("TRANSACTION_COUNTER"),
        n("VERSION"),
        t("ROW_FORMAT"),
        n("TABLE_ROWS"),
        n("AVG_ROW_LENGTH"),
        n("DATA_LENGTH"),
        n("MAX_DATA_LENGTH"),
        n("INDEX_LENGTH"),
        n("DATA_FREE"),
        d("CREATE_TIME"),
        d("UPDATE_TIME"),
        d("CHECK_TIME"),
        n("CHECKSUM"),
        t("STATUS"),
        t("EXTRA"),
    ],
);

/// Transactions of InnoDB: there are none.
pub const INNODB_TRX: Table = table(
    "INNODB_TRX",
    &[
        n("trx_id"),
        t("trx_state"),
        d("trx_started"),
        t("trx_requested_lock_id"),
        d("trx_wait_started"),
        n("trx_weight"),
        n("trx_mysql_thread_id"),
        t("trx_query"),
        t("trx_operation_state"),
        n("trx_tables_in_use"),
        n("trx_tables_locked"),
        n("trx_lock_structs"),
        n("trx_lock_memory_bytes"),
        n("trx_rows_locked"),
        n("trx_rows_modified"),
        n("trx_concurrency_tickets"),
        t("trx_isolation_level"),
        i("trx_unique_checks"),
        i("trx_foreign_key_checks"),
        t("trx_last_foreign_key_error"),
        i("trx_adaptive_hash_latched"),
        n("trx_adaptive_hash_timeout"),
        i("trx_is_read_only"),
        i("trx_autocommit_non_locking"),
    ],
);
