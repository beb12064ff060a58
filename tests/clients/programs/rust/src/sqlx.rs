use chrono::{NaiveDate, NaiveDateTime};
use rust_decimal::Decimal;
use sqlx::mysql::{MySqlConnection, MySqlPool};
use sqlx::{Column, Connection, Executor, Row};

use crate::{TASKS, hex, shown};

pub async fn run(port: &str) -> Result<(), Box<dyn std::error::Error>> {
    let url = format!("mysql://root@127.0.0.1:{port}/z4");
    let mut c = MySqlConnection::connect(&url).await?;
    println!("connect {}", sqlx::query_scalar::<_, String>("SELECT DATABASE()").fetch_one(&mut c).await?);
    let tables: Vec<String> = sqlx::query_scalar("SHOW TABLES").fetch_all(&mut c).await?;
    println!("tables {}", tables.join(" "));
    let look = c.describe("SELECT * FROM tasks LIMIT 1").await?;
    let names: Vec<&str> = look.columns().iter().map(|column| column.name()).collect();
    println!("columns {}", names.join(" "));
    let day = |year| NaiveDate::from_ymd_opt(year, 1, 1).and_then(|day| day.and_hms_opt(0, 0, 0)).expect("a day");
    let sql = format!("SELECT payload, last_retry FROM tasks WHERE {TASKS} ORDER BY deliver_at");
    let rows = sqlx::query(&sql).bind("welcome_emails").bind(day(2000)).bind(day(2100)).fetch_all(&mut c).await?;
    let first = rows.first().ok_or("no rows")?;
    println!("query {} {} {}", rows.len(), hex(first.try_get("payload")?), shown(first.try_get::<Option<NaiveDateTime>, _>(1)?));
    println!("int {}", sqlx::query_scalar::<_, i64>("SELECT ?").bind(-42_i64).fetch_one(&mut c).await?);
    println!("unsigned {}", sqlx::query_scalar::<_, u64>("SELECT ?").bind(u64::MAX).fetch_one(&mut c).await?);
    println!("double {}", sqlx::query_scalar::<_, f64>("SELECT ?").bind(1.5_f64).fetch_one(&mut c).await?);
    let decimal = sqlx::query_scalar::<_, Decimal>("SELECT CAST(? AS DECIMAL(10,2))").bind(Decimal::new(250, 2));
    println!("decimal {}", decimal.fetch_one(&mut c).await?);
    println!("text {}", sqlx::query_scalar::<_, String>("SELECT ?").bind("ünï").fetch_one(&mut c).await?);
    println!("bytes {}", hex(&sqlx::query_scalar::<_, Vec<u8>>("SELECT ?").bind(vec![255_u8, 0]).fetch_one(&mut c).await?));
    let date = NaiveDate::from_ymd_opt(2024, 1, 2).ok_or("a day")?;
    println!("date {}", sqlx::query_scalar::<_, NaiveDate>("SELECT CAST(? AS DATE)").bind(date).fetch_one(&mut c).await?);
    let moment = date.and_hms_milli_opt(3, 4, 5, 678).ok_or("a moment")?;
    let datetime = sqlx::query_scalar::<_, NaiveDateTime>("SELECT CAST(? AS DATETIME(3))").bind(moment);
    println!("datetime {}", datetime.fetch_one(&mut c).await?);
    let null: Option<String> = sqlx::query_scalar("SELECT ?").bind(None::<String>).fetch_one(&mut c).await?;
    println!("null {}", shown(null));
    let mut transaction = c.begin().await?;
    let three: i64 = sqlx::query_scalar("SELECT 3").fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    println!("transaction {three}");
    match sqlx::query("SELECT * FROM tasks").fetch_all(&mut c).await {
        Err(sqlx::Error::Database(error)) => {
            println!("error {}", error.downcast_ref::<sqlx::mysql::MySqlDatabaseError>().number());
        }
        other => return Err(format!("no error: {other:?}").into()),
    }
    let pool = MySqlPool::connect(&url).await?;
    let id: u64 = sqlx::query_scalar("SELECT CONNECTION_ID()").fetch_one(&pool).await?;
    c.execute(format!("KILL {id}").as_str()).await?;
    println!("reconnect {}", sqlx::query_scalar::<_, i64>("SELECT 4").fetch_one(&pool).await?);
    let several = sqlx::raw_sql("SELECT 5; SELECT 6").fetch_all(&mut c).await?;
    let several: Vec<String> =
        several.iter().map(|row| row.try_get::<i64, _>(0).map(|n| n.to_string())).collect::<Result<_, _>>()?;
    println!("multi {}", several.join(" "));
    Ok(())
}
