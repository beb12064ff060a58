//! Tables of MySQL's about who is connected and which roles there are, and a few that tools look into besides.

use super::information_schema::{i, n, t};
use super::system::{MYSQL, PERFORMANCE_SCHEMA, SYS};
use super::{Column, INFORMATION_SCHEMA, Table};

const fn table(schema: &'static str, name: &'static str, columns: &'static [Column]) -> Table {
    Table { schema, name, columns, comment: "" }
}

/// Who has which role, with whom it came from.
const ROLES: &[Column] = &[
    t("USER"),
    t("HOST"),
    t("GRANTEE"),
    t("GRANTEE_HOST"),
    t("ROLE_NAME"),
    t("ROLE_HOST"),
    t("IS_GRANTABLE"),
    t("IS_DEFAULT"),
    t("IS_MANDATORY"),
];

/// Roles that the user may take: there are none.
pub const APPLICABLE_ROLES: Table = table(INFORMATION_SCHEMA, "APPLICABLE_ROLES", ROLES);

/// Roles that the user may give: there are none.
pub const ADMINISTRABLE_ROLE_AUTHORIZATIONS: Table = table(INFORMATION_SCHEMA, "ADMINISTRABLE_ROLE_AUTHORIZATIONS", ROLES);

/// Roles that the session has: none.
pub const ENABLED_ROLES: Table =
    table(INFORMATION_SCHEMA, "ENABLED_ROLES", &[t("ROLE_NAME"), t("ROLE_HOST"), t("IS_DEFAULT"), t("IS_MANDATORY")]);

/// What InnoDB counts: there is none.
pub const INNODB_METRICS: Table = table(
    INFORMATION_SCHEMA,
    "INNODB_METRICS",
    &[
        t("NAME"),
        t("SUBSYSTEM"),
        i("COUNT"),
        i("MAX_COUNT"),
        i("MIN_COUNT"),
        n("AVG_COUNT"),
        i("COUNT_RESET"),
        i("MAX_COUNT_RESET"),
        i("MIN_COUNT_RESET"),
        n("AVG_COUNT_RESET"),
        t("TIME_ENABLED"),
        t("TIME_DISABLED"),
        i("TIME_ELAPSED"),
        t("TIME_RESET"),
        t("STATUS"),
        t("TYPE"),
        t("COMMENT"),
    ],
);

/// Connections by user and host. How many there were is not counted.
pub const ACCOUNTS: Table = table(
    PERFORMANCE_SCHEMA,
    "accounts",
    &[
        t("USER"),
        t("HOST"),
        i("CURRENT_CONNECTIONS"),
        i("TOTAL_CONNECTIONS"),
        n("MAX_SESSION_CONTROLLED_MEMORY"),
        n("MAX_SESSION_TOTAL_MEMORY"),
    ],
);

/// Connections by user.
pub const USERS: Table = table(
    PERFORMANCE_SCHEMA,
    "users",
    &[
        t("USER"),
        i("CURRENT_CONNECTIONS"),
        i("TOTAL_CONNECTIONS"),
        n("MAX_SESSION_CONTROLLED_MEMORY"),
        n("MAX_SESSION_TOTAL_MEMORY"),
    ],
);

/// Connections by host.
pub const HOSTS: Table = table(
    PERFORMANCE_SCHEMA,
    "hosts",
    &[
        t("HOST"),
        i("CURRENT_CONNECTIONS"),
        i("TOTAL_CONNECTIONS"),
        n("MAX_SESSION_CONTROLLED_MEMORY"),
        n("MAX_SESSION_TOTAL_MEMORY"),
    ],
);

/// Connections as the schema `sys` shows them: what is measured of them is NULL.
pub const SESSION: Table = table(
    SYS,
    "session",
    &[
        n("thd_id"),
        n("conn_id"),
        t("user"),
        t("db"),
        t("command"),
        t("state"),
        i("time"),
        t("current_statement"),
        t("execution_engine"),
        t("statement_latency"),
        n("progress"),
        t("lock_latency"),
        t("cpu_latency"),
        n("rows_examined"),
        n("rows_sent"),
        n("rows_affected"),
        n("tmp_tables"),
        n("tmp_disk_tables"),
        t("full_scan"),
        t("last_statement"),
        t("last_statement_latency"),
        t("current_memory"),
        t("last_wait"),
        t("last_wait_latency"),
        t("source"),
        t("trx_latency"),
        t("trx_state"),
        t("trx_autocommit"),
        t("pid"),
        t("program_name"),
    ],
);

/// What HELP shows: nothing.
pub const HELP_TOPIC: Table =
    table(MYSQL, "help_topic", &[n("help_topic_id"), t("name"), n("help_category_id"), t("description"), t("example"), t("url")]);
