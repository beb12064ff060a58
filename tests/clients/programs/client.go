// go-sql-driver. Arguments: client, port. Prints what programs_test.py expects.
package main

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func one(db *sql.DB, into interface{}, query string, values ...interface{}) {
	check(db.QueryRow(query, values...).Scan(into))
}

func shown(value interface{}) string {
	switch value := value.(type) {
	case nil:
		return "NULL"
	case []byte:
		return hex.EncodeToString(value)
	default:
		return fmt.Sprint(value)
	}
}

func main() {
	source := "root@tcp(127.0.0.1:" + os.Args[2] + ")/z4"
	db, err := sql.Open("mysql", source+"?parseTime=true")
	check(err)
	var text string
	one(db, &text, "SELECT DATABASE()")
	fmt.Println("connect", text)
	tables, err := db.Query("SHOW TABLES")
	check(err)
	names := []string{}
	for tables.Next() {
		check(tables.Scan(&text))
		names = append(names, text)
	}
	fmt.Println("tables", strings.Join(names, " "))
	look, err := db.Query("SELECT * FROM tasks LIMIT 1")
	check(err)
	names, err = look.Columns()
	check(err)
	look.Close()
	fmt.Println("columns", strings.Join(names, " "))
	day := func(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
	query := "SELECT payload, last_retry FROM tasks WHERE namespace = ? AND deliver_at >= ? AND deliver_at < ? ORDER BY deliver_at"
	rows, err := db.Query(query, "welcome_emails", day(2000), day(2100))
	check(err)
	count, first := 0, ""
	for rows.Next() {
		var payload []byte
		var retried interface{}
		check(rows.Scan(&payload, &retried))
		if count++; count == 1 {
			first = shown(payload) + " " + shown(retried)
		}
	}
	check(rows.Err())
	fmt.Println("query", count, first)
	var whole int64
	one(db, &whole, "SELECT ?", -42)
	fmt.Println("int", whole)
	var unsigned uint64
	one(db, &unsigned, "SELECT ?", uint64(18446744073709551615))
	fmt.Println("unsigned", unsigned)
	var double float64
	one(db, &double, "SELECT ?", 1.5)
	fmt.Println("double", double)
	one(db, &text, "SELECT CAST(? AS DECIMAL(10,2))", "2.50")
	fmt.Println("decimal", text)
	one(db, &text, "SELECT ?", "ünï")
	fmt.Println("text", text)
	var bytes []byte
	one(db, &bytes, "SELECT ?", []byte{255, 0})
	fmt.Println("bytes", shown(bytes))
	moment := time.Date(2024, 1, 2, 3, 4, 5, 678000000, time.UTC)
	var found time.Time
	one(db, &found, "SELECT CAST(? AS DATE)", moment)
	fmt.Println("date", found.Format("2006-01-02"))
	one(db, &found, "SELECT CAST(? AS DATETIME(3))", moment)
	fmt.Println("datetime", found.Format("2006-01-02 15:04:05.000"))
	var null interface{}
	one(db, &null, "SELECT ?", nil)
	fmt.Println("null", shown(null))
	transaction, err := db.Begin()
	check(err)
	check(transaction.QueryRow("SELECT 3").Scan(&whole))
	check(transaction.Commit())
	fmt.Println("transaction", whole)
	if _, err = db.Query("SELECT * FROM tasks"); err != nil {
		fmt.Println("error", err.(*mysql.MySQLError).Number)
	}
	one(db, &whole, "SELECT CONNECTION_ID()")
	other, err := sql.Open("mysql", source+"?multiStatements=true&interpolateParams=true")
	check(err)
	_, err = other.Exec(fmt.Sprint("KILL ", whole))
	check(err)
	// The pool may learn of it by asking.
	_ = db.Ping()
	one(db, &whole, "SELECT 4")
	fmt.Println("reconnect", whole)
	several, err := other.QueryContext(context.Background(), "SELECT 5; SELECT 6")
	check(err)
	fmt.Print("multi")
	for more := true; more; more = several.NextResultSet() {
		for several.Next() {
			check(several.Scan(&whole))
			fmt.Print(" ", whole)
		}
	}
	fmt.Println()
	one(other, &bytes, "SELECT ?", []byte{255, 0})
	fmt.Println("bytes", shown(bytes))
}
