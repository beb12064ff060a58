import java.math.BigDecimal;
import java.math.BigInteger;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.TimeZone;

/** JDBC. Arguments: client, port. Prints what programs_test.py expects. */
public class Client {
    static String url;

    static Connection connect(String options) throws SQLException {
        return DriverManager.getConnection(url + options);
    }

    static ResultSet ask(Connection connection, String sql, Object... values) throws SQLException {
        PreparedStatement statement = connection.prepareStatement(sql);
        for (int at = 0; at < values.length; at++) {
            statement.setObject(at + 1, values[at]);
        }
        ResultSet rows = statement.executeQuery();
        rows.next();
        return rows;
    }

    static String column(ResultSet rows, String name) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) {
            found.add(rows.getString(name));
        }
        return String.join(" ", found);
    }

    static String shown(Object value) {
        return value == null ? "NULL" : value instanceof byte[] bytes ? HexFormat.of().formatHex(bytes) : value.toString();
    }

    public static void main(String[] arguments) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        url = "jdbc:mariadb://127.0.0.1:" + arguments[1] + "/z4?user=root";
        Connection c = connect("");
        Connection prepared = connect("&useServerPrepStmts=true");
        System.out.println("connect " + ask(c, "SELECT DATABASE()").getString(1));
        System.out.println("tables " + column(c.getMetaData().getTables("z4", null, "%", new String[] {"TABLE"}), "TABLE_NAME"));
        System.out.println("columns " + column(c.getMetaData().getColumns("z4", null, "tasks", "%"), "COLUMN_NAME"));
        ResultSetMetaData look = ask(c, "SELECT * FROM tasks LIMIT 1").getMetaData();
        if (look.getColumnCount() != 11) {
            System.out.println("a look at tasks has " + look.getColumnCount() + " columns");
        }
        String tasks = "SELECT payload, last_retry, COUNT(*) OVER () FROM tasks WHERE namespace = ? AND deliver_at >= ? AND deliver_at < ?";
        Object[] bounds = {"welcome_emails", Timestamp.valueOf("2000-01-01 00:00:00"), "2100-01-01"};
        ResultSet rows = ask(prepared, tasks, bounds);
        System.out.println("query " + rows.getInt(3) + " " + shown(rows.getBytes(1)) + " " + shown(rows.getTimestamp(2)));
        System.out.println("int " + ask(prepared, "SELECT ?", -42).getLong(1));
        System.out.println("unsigned " + ask(prepared, "SELECT CAST(? AS UNSIGNED)", new BigInteger("18446744073709551615")).getObject(1));
        System.out.println("double " + ask(prepared, "SELECT ?", 1.5).getDouble(1));
        System.out.println("decimal " + ask(prepared, "SELECT CAST(? AS DECIMAL(10,2))", new BigDecimal("2.50")).getBigDecimal(1));
        System.out.println("text " + ask(prepared, "SELECT ?", "ünï").getString(1));
        for (Connection way : new Connection[] {c, prepared}) {
            byte[] bytes = ask(way, "SELECT ?", (Object) new byte[] {(byte) 0xff, 0}).getBytes(1);
            if (way == prepared || !shown(bytes).equals("ff00")) {
                System.out.println("bytes " + shown(bytes));
            }
        }
        Object date = ask(prepared, "SELECT CAST(? AS DATE)", java.sql.Date.valueOf("2024-01-02")).getObject(1);
        System.out.println("date " + date);
        Timestamp moment = Timestamp.valueOf("2024-01-02 03:04:05.678");
        System.out.println("datetime " + ask(connect("&useServerPrepStmts=true&useFractionalSeconds=true"), "SELECT CAST(? AS DATETIME(3))", moment).getTimestamp(1));
        PreparedStatement none = prepared.prepareStatement("SELECT ?");
        none.setNull(1, Types.VARCHAR);
        rows = none.executeQuery();
        rows.next();
        System.out.println("null " + shown(rows.getString(1)));
        c.setAutoCommit(false);
        c.setReadOnly(true);
        long three = ask(c, "SELECT 3").getLong(1);
        c.commit();
        c.setAutoCommit(true);
        System.out.println("transaction " + three);
        try {
            ask(c, "SELECT * FROM tasks");
        } catch (SQLException error) {
            System.out.println("error " + error.getErrorCode());
        }
        Connection killed = connect("");
        c.createStatement().execute("KILL " + ask(killed, "SELECT CONNECTION_ID()").getLong(1));
        if (killed.isValid(5)) {
            System.out.println("a killed connection answers");
        }
        System.out.println("reconnect " + ask(connect(""), "SELECT 4").getLong(1));
        Statement several = connect("&allowMultiQueries=true").createStatement();
        several.execute("SELECT 5; SELECT 6");
        several.getResultSet().next();
        long five = several.getResultSet().getLong(1);
        several.getMoreResults();
        several.getResultSet().next();
        System.out.println("multi " + five + " " + several.getResultSet().getLong(1));
        System.out.println("compressed " + ask(connect("&useCompression=true"), "SELECT REPEAT('abc', 100000)").getString(1).length());
    }
}
