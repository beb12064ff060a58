use chrono::{NaiveDate, NaiveDateTime};
use mysql_async::prelude::{Query, Queryable, WithParams};
use mysql_async::{Conn, Error, Opts, Pool, Row, TxOpts, Value};

use crate::{TASKS, hex, shown};

pub async fn run(port: &str) -> Result<(), Box<dyn std::error::Error>> {
    let opts = Opts::from_url(&format!("mysql://root@127.0.0.1:{port}/z4"))?;
    let mut c = Conn::new(opts.clone()).await?;
    println!("connect {}", c.query_first::<String, _>("SELECT DATABASE()").await?.unwrap_or_default());
    println!("tables {}", c.query::<String, _>("SHOW TABLES").await?.join(" "));
    let statement = c.prep("SELECT * FROM tasks LIMIT 1").await?;
    let names: Vec<String> = statement.columns().iter().map(|column| column.name_str().into_owned()).collect();
    println!("columns {}", names.join(" "));
    let sql = format!("SELECT payload, last_retry FROM tasks WHERE {TASKS} ORDER BY deliver_at");
    let day = |year| NaiveDate::from_ymd_opt(year, 1, 1).expect("a day");
    let rows: Vec<Row> = c.exec(sql, ("welcome_emails", day(2000), day(2100))).await?;
    let payload: Vec<u8> = rows.first().and_then(|row| row.get(0)).ok_or("no rows")?;
    let last: Option<NaiveDateTime> = rows.first().and_then(|row| row.get(1)).ok_or("no rows")?;
    println!("query {} {} {}", rows.len(), hex(&payload), shown(last));
    println!("int {}", one::<i64>(&mut c, "SELECT ?", (-42).into()).await?);
    println!("unsigned {}", one::<u64>(&mut c, "SELECT ?", u64::MAX.into()).await?);
    println!("double {}", one::<f64>(&mut c, "SELECT ?", 1.5.into()).await?);
    println!("decimal {}", one::<String>(&mut c, "SELECT CAST(? AS DECIMAL(10,2))", "2.50".into()).await?);
    println!("text {}", one::<String>(&mut c, "SELECT ?", "ünï".into()).await?);
    println!("bytes {}", hex(&one::<Vec<u8>>(&mut c, "SELECT ?", vec![255_u8, 0].into()).await?));
    let date = NaiveDate::from_ymd_opt(2024, 1, 2).ok_or("a day")?;
    println!("date {}", one::<NaiveDate>(&mut c, "SELECT CAST(? AS DATE)", date.into()).await?);
    let moment = date.and_hms_milli_opt(3, 4, 5, 678).ok_or("a moment")?;
    println!("datetime {}", one::<NaiveDateTime>(&mut c, "SELECT CAST(? AS DATETIME(3))", moment.into()).await?);
    println!("null {}", shown(one::<Option<String>>(&mut c, "SELECT ?", Value::NULL).await?));
    let mut transaction = c.start_transaction(TxOpts::default()).await?;
    let three: Option<i64> = transaction.query_first("SELECT 3").await?;
    transaction.commit().await?;
    println!("transaction {}", three.unwrap_or_default());
    match c.query_drop("SELECT * FROM tasks").await {
        Err(Error::Server(error)) => println!("error {}", error.code),
        other => return Err(format!("no error: {other:?}").into()),
    }
    let pool = Pool::new(opts.clone());
    let killed = pool.get_conn().await?;
    c.query_drop(format!("KILL {}", killed.id())).await?;
    drop(killed);
    println!("reconnect {}", pool.get_conn().await?.query_first::<i64, _>("SELECT 4").await?.unwrap_or_default());
    pool.disconnect().await?;
    let mut several = "SELECT 5; SELECT 6".run(&mut c).await?;
    let (five, six): (Vec<i64>, Vec<i64>) = (several.collect().await?, several.collect().await?);
    println!("multi {} {}", five.first().ok_or("none")?, six.first().ok_or("none")?);
    let builder = mysql_async::OptsBuilder::from_opts(opts).compression(mysql_async::Compression::default());
    let mut squeezed = Conn::new(builder).await?;
    let long: Option<String> = squeezed.query_first("SELECT REPEAT('abc', 100000)").await?;
    println!("compressed {}", long.unwrap_or_default().len());
    Ok(())
}

async fn one<T: mysql_async::prelude::FromValue + Send + 'static>(
    c: &mut Conn,
    sql: &str,
    value: Value,
) -> Result<T, Box<dyn std::error::Error>> {
    let row: Option<Row> = sql.with(vec![value]).first(c).await?;
    Ok(row.and_then(|mut row| row.take(0)).ok_or("no value")?)
}
