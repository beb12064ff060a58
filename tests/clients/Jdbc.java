import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;

/** What tools built on JDBC do: metadata, typed results, prepared statements on the server, errors. Arguments: port, namespace. */
public class Jdbc {
    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:mariadb://127.0.0.1:" + arguments[0] + "/z4?user=root&useServerPrepStmts=true";
        try (Connection connection = DriverManager.getConnection(url)) {
            metadata(connection.getMetaData());
            typed(connection, arguments[1]);
            prepared(connection, arguments[1]);
            try (Statement statement = connection.createStatement()) {
                statement.executeUpdate("DELETE FROM tasks");
                check(false, "DELETE was taken");
            } catch (SQLException error) {
                check(error.getErrorCode() == 1290, "DELETE: " + error);
            }
            check(connection.isValid(5), "it is valid");
        }
        System.out.println("jdbc ok");
    }

    static void metadata(DatabaseMetaData metadata) throws SQLException {
        int tables = 0;
        try (ResultSet found = metadata.getTables("z4", null, "%", null)) {
            while (found.next()) {
                tables++;
            }
        }
        check(tables == 4, tables + " tables");
        int columns = 0;
        try (ResultSet found = metadata.getColumns("z4", null, "tasks", "%")) {
            while (found.next()) {
                columns++;
                if (found.getString("COLUMN_NAME").equals("deliver_at")) {
                    check(found.getInt("DATA_TYPE") == Types.TIMESTAMP, "deliver_at is a timestamp");
                }
            }
        }
        check(columns == 11, columns + " columns");
        try (ResultSet found = metadata.getCatalogs()) {
            check(found.next(), "there are databases");
        }
        try (ResultSet found = metadata.getPrimaryKeys("z4", null, "tasks")) {
            found.next();
        }
        try (ResultSet found = metadata.getIndexInfo("z4", null, "tasks", false, true)) {
            found.next();
        }
    }

    static void typed(Connection connection, String namespace) throws SQLException {
        String query = "SELECT id, deliver_at, attempts, metadata, payload, last_retry FROM tasks WHERE namespace = '" + namespace
            + "' AND deliver_at BETWEEN '2000-01-01' AND '2100-01-01' ORDER BY deliver_at";
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(query)) {
            ResultSetMetaData columns = rows.getMetaData();
            check(columns.getColumnType(2) == Types.TIMESTAMP, "deliver_at is " + columns.getColumnTypeName(2));
            check(columns.getColumnType(3) == Types.BIGINT, "attempts is " + columns.getColumnTypeName(3));
            check(!columns.isSigned(3), "attempts is unsigned");
            check(rows.next(), "there is a row");
            check(rows.getString(1).length() == 26, "an id");
            check(rows.getTimestamp(2) != null, "a time");
            check(rows.getString(4).contains("user_id"), "metadata");
            byte[] payload = rows.getBytes(5);
            check(payload.length == 2 && payload[0] == 0 && payload[1] == (byte) 0xff, "the payload as it was");
            rows.getTimestamp(6);
            check(rows.wasNull(), "no retry yet");
        }
    }

    static void prepared(Connection connection, String namespace) throws SQLException {
        String query = "SELECT COUNT(*), MIN(deliver_at), ? + 1, ? FROM tasks WHERE namespace = ? AND deliver_at >= ? AND deliver_at < ?";
        try (PreparedStatement statement = connection.prepareStatement(query)) {
            for (int turn = 0; turn < 3; turn++) {
                statement.setInt(1, turn);
                statement.setNull(2, Types.VARCHAR);
                statement.setString(3, namespace);
                statement.setTimestamp(4, Timestamp.valueOf("2000-01-01 00:00:00"));
                statement.setString(5, "2100-01-01");
                try (ResultSet rows = statement.executeQuery()) {
                    check(rows.next(), "there is a row");
                    check(rows.getInt(1) > 0, "tasks are counted");
                    check(rows.getTimestamp(2) != null, "the first due time");
                    check(rows.getInt(3) == turn + 1, "a number comes back");
                    check(rows.getString(4) == null, "NULL comes back");
                }
            }
        }
    }
}
