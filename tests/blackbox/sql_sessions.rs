//! What an SQL session keeps between its statements, asked as drivers and dumps ask: variables of the system and of the user, SET with
//! expressions, locks. What would be wrong: a driver that does not get beyond its first statement, or that is told a value it did not set.

use crate::harness::Peer;
use crate::harness::mysql::{Rows, Sql};
use crate::harness::wait::{until, within};

async fn sql(peer: &Peer) -> Sql {
    within("an SQL login", Sql::connect(&peer.sql_address())).await.expect("logs in")
}

/// Rows between semicolons, values between commas, or the code of an error.
fn told(answer: Result<Rows, (u16, String)>) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
    match answer {
        Ok(rows) => {
            let rows: Vec<String> = rows.iter().map(|row| row.iter().map(value).collect::<Vec<_>>().join(",")).collect();
            rows.join(";")
        }
        Err((code, _)) => format!("error {code}"),
    }
}

/// Asks one after the other on one connection. An empty answer is OK, or no rows.
async fn all(sql: &mut Sql, statements: &[(&str, &str)]) {
    for (statement, expected) in statements {
        assert_eq!(told(sql.ask(statement).await), *expected, "{statement}");
    }
}

#[tokio::test]
async fn drivers_get_beyond_their_first_statements() {
    let peer = Peer::start().await;
    let mut sql = sql(&peer).await;
    let port = peer.sql_address().rsplit(':').next().expect("a port").to_owned();
    all(
        &mut sql,
        &[
            // sqlx.
            (
                "SET sql_mode=(SELECT CONCAT(@@sql_mode, ',PIPES_AS_CONCAT,NO_ENGINE_SUBSTITUTION')),time_zone='+00:00',\
                 NAMES utf8mb4 COLLATE utf8mb4_unicode_ci",
                "",
            ),
            ("SELECT @@sql_mode LIKE '%,PIPES_AS_CONCAT', @@time_zone, @@collation_connection", "1,+00:00,utf8mb4_unicode_ci"),
            // mysql_async.
            ("SELECT @@max_allowed_packet,@@wait_timeout,@@socket", "16777216,28800,"),
            // phpMyAdmin.
            ("SET lc_messages = 'de_DE'", ""),
            ("SELECT @@lc_messages", "de_DE"),
            // mariadb --safe-updates.
            ("SET sql_safe_updates=1,sql_select_limit=1000,max_join_size=1000000", ""),
            ("SELECT @@max_join_size, @@server_id, @@profiling, @@hostname", "1000000,1,0,z4"),
            // A dump.
            ("/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */", ""),
            ("SELECT @@sql_mode", "NO_AUTO_VALUE_ON_ZERO"),
            ("/*!40101 SET SQL_MODE=@OLD_SQL_MODE */", ""),
            ("SELECT @@sql_mode LIKE 'ONLY_FULL_GROUP_BY,%'", "1"),
            ("LOCK TABLES `tasks` READ /*!32311 LOCAL */", ""),
            ("UNLOCK TABLES", ""),
            ("SET @@session.max_join_size = DEFAULT, LOCAL sql_select_limit = DEFAULT", ""),
            ("SELECT @@max_join_size", "18446744073709551615"),
            ("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", ""),
            ("SELECT @@transaction_isolation, @@tx_isolation", "READ-COMMITTED,READ-COMMITTED"),
            ("SET timestamp = 1650103200.5", ""),
            ("SELECT NOW(), UNIX_TIMESTAMP()", "2022-04-16 10:00:00,1650103200"),
            ("SET timestamp = DEFAULT", ""),
            ("SELECT NOW() > '2023-01-01', @@timestamp > 1700000000", "1,1"),
        ],
    )
    .await;
    assert_eq!(told(sql.ask("SELECT @@port").await), port);
    // What is only set is taken, with a warning; what is read is there.
    all(
        &mut sql,
        &[
            ("SET no_such_thing = 1, time_zone = '+01:00'", ""),
            ("SHOW WARNINGS", "Warning,1193,Unknown system variable 'no_such_thing'"),
            ("SELECT @@time_zone", "+01:00"),
            ("SELECT @@no_such_thing", "error 1193"),
            ("SELECT @@warning_count, @@error_count", "1,1"),
            ("SET time_zone = 'nowhere', no_such_thing = 1", "error 1298"),
            ("SET version = 'x'", "error 1238"),
            ("SET GLOBAL max_join_size = 5", "error 1227"),
            ("SET time_zone = (SELECT 'x' FROM tasks)", "error 1175"),
            ("SHOW VARIABLES LIKE 'time\\_zone'", "time_zone,+01:00"),
            (
                "SHOW VARIABLES WHERE Variable_name IN ('socket', 'server_id', 'pseudo_thread_id')",
                "pseudo_thread_id,1;server_id,1;socket,",
            ),
        ],
    )
    .await;
    // SHOW VARIABLES and @@ agree on every one of them, but for the clock.
    let shown = sql.ask("SHOW VARIABLES").await.expect("rows");
    assert!(shown.len() > 250, "{} variables", shown.len());
    for row in shown {
        let (name, value) = (row[0].clone().expect("a name"), row[1].clone().expect("a value"));
        if name != "timestamp" && !name.ends_with("_count") {
            assert_eq!(told(sql.ask(&format!("SELECT @@{name}")).await), value, "{name}");
        }
    }
}

#[tokio::test]
async fn user_variables_keep_values_and_types() {
    let peer = Peer::start().await;
    let mut one = sql(&peer).await;
    all(
        &mut one,
        &[
            ("SELECT @a, @a IS NULL, CONCAT(@a, 'x')", "NULL,1,NULL"),
            ("SET @a = 1 + 2, @b := 'x''y', @c = 1.50, @d = 2e0, @e = NULL, @f = X'4142', @g = DATE'2024-01-02', @h = TRUE", ""),
            ("SELECT @a, @B, @c, @d, @e, @f, @g, @h, @`a`, @'a'", "3,x'y,1.50,2,NULL,AB,2024-01-02,1,3,3"),
            ("SELECT @a + 1, @c * 2, @b = 'x''y', @g + INTERVAL 1 DAY, LENGTH(@f)", "4,3.00,1,2024-01-03,2"),
            ("SET @a = @a + 1, @i = @a", ""),
            // Values are taken before any is set, as MySQL does.
            ("SELECT @a, @i", "4,3"),
            ("SELECT 5, 'five' INTO @n, @t", ""),
            ("SELECT @n, @t", "5,five"),
            ("SELECT 1 INTO @n FROM information_schema.schemata", "error 1172"),
            ("SELECT 1 INTO @n FROM information_schema.schemata WHERE schema_name = 'none'", ""),
            ("SHOW WARNINGS", "Warning,1329,No data - zero rows fetched, selected, or processed"),
            ("SELECT @n", "5"),
            ("SELECT 1, 2 INTO @n", "error 1222"),
            // Row by row.
            (
                "SELECT @rank := @rank + 1 AS r, x FROM (SELECT 'a' x UNION ALL SELECT 'b' UNION ALL SELECT 'c') t, (SELECT @rank := 0) r",
                "1,a;2,b;3,c",
            ),
            ("SELECT @rank", "3"),
            ("SELECT @rank := @rank * 10", "30"),
            ("SELECT @rank", "30"),
            ("SELECT @s := CONCAT('a', 1), @s", "a1,a1"),
            ("SELECT @p := 1.50, @p + 1, @u := 18446744073709551615, @u", "1.50,2.50,18446744073709551615,18446744073709551615"),
            ("SELECT @p, @p + 0.25, @u", "1.50,1.75,18446744073709551615"),
            ("DO @s := 'done'", ""),
            ("SELECT @s", "done"),
            // A statement that is asked again sees what was set in between.
            ("SELECT @a", "4"),
            ("SET @a = 'other'", ""),
            ("SELECT @a", "other"),
            ("SELECT COUNT(*) FROM tasks WHERE namespace = @a", "error 1175"),
            ("SELECT COUNT(*) FROM tasks WHERE namespace = @a AND deliver_at BETWEEN '2020-01-01' AND '2100-01-01'", "0"),
        ],
    )
    .await;
    // They are the session's alone, and bounded.
    let mut two = sql(&peer).await;
    all(&mut two, &[("SELECT @a", "NULL"), ("SET @big = REPEAT('x', 2000000)", "error 1041"), ("SELECT @big", "NULL")]).await;
}

#[tokio::test]
async fn sleep_and_locks_are_the_sessions_own() {
    let peer = Peer::start().await;
    let (mut one, mut two) = (sql(&peer).await, sql(&peer).await);
    all(
        &mut one,
        &[
            ("SELECT GET_LOCK('a', 10), IS_FREE_LOCK('A'), IS_USED_LOCK('a') = CONNECTION_ID()", "1,0,1"),
            ("SELECT IS_FREE_LOCK('b'), IS_USED_LOCK('b'), RELEASE_LOCK('b')", "1,NULL,NULL"),
            ("SELECT GET_LOCK('a', -1)", "1"),
            ("DO RELEASE_LOCK('a')", ""),
            ("SELECT IS_FREE_LOCK('a'), RELEASE_ALL_LOCKS(), IS_FREE_LOCK('a')", "0,1,1"),
            ("SELECT GET_LOCK('', 1)", "error 3057"),
            ("SELECT GET_LOCK(NULL, 1)", "error 3057"),
            ("SELECT SLEEP(0), SLEEP(0.01)", "0,0"),
            ("SELECT SLEEP(-1)", "error 1210"),
            ("SELECT SLEEP(NULL)", "error 1210"),
            ("SET max_execution_time = 100", ""),
            ("SELECT SLEEP(100)", "error 3024"),
            ("DO SLEEP(100)", "error 3024"),
            ("SET max_execution_time = 0", ""),
            ("SELECT GET_LOCK('mine', 0)", "1"),
        ],
    )
    .await;
    all(&mut two, &[("SELECT GET_LOCK('mine', 0)", "1")]).await;
    let id = told(one.ask("SELECT CONNECTION_ID()").await);
    let asleep = tokio::spawn(async move { (one.ask("SELECT SLEEP(1000)").await, one) });
    let shown = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id} AND command = 'Query'");
    until("it sleeps", async || (told(two.ask(&shown).await) == "1").then_some(())).await;
    two.ask(&format!("KILL QUERY {id}")).await.expect("killed");
    let (answer, mut one) = asleep.await.expect("no panic");
    assert_eq!(told(answer), "error 1317");
    all(&mut one, &[("SELECT RELEASE_LOCK('mine')", "1")]).await;
}
