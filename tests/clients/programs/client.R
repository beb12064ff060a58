# RMySQL (Debian has no RMariaDB), which prepares nothing on the server. Arguments: client, port. Prints what programs_test.py expects.
suppressMessages(library(DBI))
arguments <- commandArgs(trailingOnly = TRUE)
connect <- function() dbConnect(RMySQL::MySQL(), host = "127.0.0.1", port = as.integer(arguments[2]), user = "root", dbname = "z4")
one <- function(c, sql) suppressWarnings(dbGetQuery(c, sql))[1, 1]
say <- function(...) cat(paste(c(...), collapse = " "), "\n", sep = "")
c1 <- connect()
say("connect", one(c1, "SELECT DATABASE()"))
say("tables", sort(dbListTables(c1)))
say("columns", dbListFields(c1, "tasks"))
sql <- "SELECT HEX(payload), last_retry FROM tasks WHERE namespace = ?name AND deliver_at >= ?since AND deliver_at < ?until ORDER BY deliver_at"
rows <- dbGetQuery(c1, sqlInterpolate(c1, sql, name = "welcome_emails", since = "2000-01-01", until = "2100-01-01"))
say("query", nrow(rows), tolower(rows[1, 1]), if (is.na(rows[1, 2])) "NULL" else rows[1, 2])
values <- list(int = -42L, double = 1.5, text = "\u00fcn\u00ef", null = NA)
for (name in names(values)) {
  dbGetQuery(c1, "SET NAMES utf8mb4")
  found <- one(c1, sqlInterpolate(c1, "SELECT ?x", x = values[[name]]))
  say(name, if (is.na(found)) "NULL" else found)
}
invisible(dbBegin(c1))
three <- one(c1, "SELECT 3")
invisible(dbCommit(c1))
say("transaction", three)
failed <- tryCatch(dbGetQuery(c1, "SELECT * FROM tasks"), error = function(e) e)
say("error", dbGetException(c1)$errorNum)
killed <- connect()
invisible(dbGetQuery(c1, paste("KILL", one(killed, "SELECT CONNECTION_ID()"))))
ended <- tryCatch({ one(killed, "SELECT 1"); FALSE }, error = function(e) TRUE)
if (ended) say("reconnect", one(connect(), "SELECT 4")) else say("a killed connection answers")
