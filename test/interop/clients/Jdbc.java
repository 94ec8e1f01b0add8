import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Timestamp;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;

/** Trino's JDBC driver: its own questions about tables, and the first statements of Metabase's driver. Prints one JSON object. */
public class Jdbc {
    static final List<String> answers = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        var properties = new Properties();
        properties.setProperty("user", "ann");
        properties.setProperty("password", args[1]);
        properties.setProperty("SSL", "true");
        properties.setProperty("SSLVerification", "NONE");
        try (var connection = java.sql.DriverManager.getConnection("jdbc:trino://" + args[0] + "/eventpile/default", properties)) {
            metadata(connection);
            metabase(connection);
            statements(connection);
        }
        System.out.println("{" + String.join(",", answers) + "}");
    }

    static void metadata(Connection connection) throws Exception {
        var metadata = connection.getMetaData();
        expect("catalogs", names(metadata.getCatalogs(), "TABLE_CAT"), "[eventpile, system]");
        expect("schemas", names(metadata.getSchemas("eventpile", "d%"), "TABLE_SCHEM"), "[default]");
        expect("tables", names(metadata.getTables("eventpile", "default", "%", new String[] {"TABLE"}), "TABLE_NAME"), "[events, quarantine]");
        expect("table types", names(metadata.getTableTypes(), "TABLE_TYPE"), "[TABLE, VIEW]");
        var columns = metadata.getColumns("eventpile", "default", "events", "event\\_time");
        if (!columns.next() || columns.getInt("DATA_TYPE") != java.sql.Types.TIMESTAMP || columns.getInt("NULLABLE") != 0) {
            throw new AssertionError("event_time is no timestamp");
        }
        answer("jdbc: columns", names(metadata.getColumns("eventpile", "default", "events", null), "COLUMN_NAME").size());
        if (names(metadata.getTypeInfo(), "TYPE_NAME").isEmpty()) throw new AssertionError("no types");
        if (metadata.getDatabaseProductVersion().isEmpty()) throw new AssertionError("no version");
        if (metadata.getPrimaryKeys("eventpile", "default", "events").next()) throw new AssertionError("a primary key");
    }

    /** As metabase-driver (starburst) asks when a database is added and synchronised. */
    static void metabase(Connection connection) throws Exception {
        expect("select 1", column(connection, "SELECT 1"), "[1]");
        expect("zone", column(connection, "SELECT current_timezone() as \"time-zone\""), "[UTC]");
        expect("schemas", column(connection, "SHOW SCHEMAS FROM \"eventpile\""), "[default, information_schema]");
        expect("tables", column(connection, "SHOW TABLES FROM \"eventpile\".\"default\""), "[events, quarantine]");
        try (var statement = connection.prepareStatement("SHOW TABLES FROM \"default\" LIKE 'events'"); var rows = statement.executeQuery()) {
            if (!rows.next()) throw new AssertionError("events may not be read");
        }
        if (!column(connection, "DESCRIBE \"eventpile\".\"default\".\"events\"").contains("event_id")) throw new AssertionError("no event_id");
        // A question of its editor: by day, filtered by parameters.
        var sql = "SELECT date_trunc('day', \"eventpile\".\"default\".\"events\".\"event_time\") AS \"event_time\", count(*) AS \"count\" "
            + "FROM \"eventpile\".\"default\".\"events\" WHERE \"eventpile\".\"default\".\"events\".\"event_time\" >= date_add('day', -30, now()) "
            + "AND \"eventpile\".\"default\".\"events\".\"event_name\" = ? "
            + "GROUP BY date_trunc('day', \"eventpile\".\"default\".\"events\".\"event_time\") ORDER BY date_trunc('day', \"eventpile\".\"default\".\"events\".\"event_time\") ASC";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            if (statement.getMetaData().getColumnCount() != 2) throw new AssertionError("two columns");
            statement.setString(1, "Order Completed");
            long sum = 0;
            try (var rows = statement.executeQuery()) {
                while (rows.next()) {
                    if (rows.getTimestamp("event_time") == null) throw new AssertionError("no day");
                    sum += rows.getLong("count");
                }
            }
            answer("jdbc: Metabase's question", sum);
        }
    }

    static void statements(Connection connection) throws Exception {
        answer("jdbc: count", Long.parseLong(column(connection, "SELECT count(*) FROM events").get(0)));
        var ids = new java.util.HashSet<>(column(connection, "SELECT event_id, properties, page_url FROM events"));
        answer("jdbc: every event, page by page", ids.size());
        try (var statement = connection.prepareStatement("SELECT count(*) FROM events WHERE event_time > ? AND revenue > ?")) {
            statement.setTimestamp(1, Timestamp.valueOf("2020-01-01 00:00:00"));
            statement.setDouble(2, 10.5);
            try (var rows = statement.executeQuery()) {
                rows.next();
                answer("jdbc: parameters", rows.getLong(1));
            }
        }
        try (var statement = connection.createStatement(); var rows = statement.executeQuery(
                "SELECT DECIMAL '1.50', TIMESTAMP '2026-01-02 03:04:05.000006', ARRAY['a'], MAP(ARRAY['k'], ARRAY['v']), NULL, 9007199254740993")) {
            rows.next();
            if (!rows.getBigDecimal(1).toString().equals("1.50")) throw new AssertionError("a decimal");
            if (!rows.getTimestamp(2).toString().equals("2026-01-02 03:04:05.000006")) throw new AssertionError("a time: " + rows.getTimestamp(2));
            if (!((Object[]) rows.getArray(3).getArray())[0].equals("a")) throw new AssertionError("a list");
            if (!((java.util.Map<?, ?>) rows.getObject(4)).get("k").equals("v")) throw new AssertionError("a map");
            if (rows.getObject(5) != null || rows.getLong(6) != 9007199254740993L) throw new AssertionError("a null, a number");
        }
        try {
            column(connection, "SELECT nope FROM events");
            throw new AssertionError("a wrong column is answered");
        } catch (java.sql.SQLException error) {
            if (!error.getMessage().contains("nope")) throw error;
        }
        connection.setSchema("information_schema");
        expect("another schema", column(connection, "SELECT count(*) FROM schemata"), "[2]");
    }

    static List<String> column(Connection connection, String sql) throws Exception {
        try (var statement = connection.createStatement(); var rows = statement.executeQuery(sql)) {
            var found = new ArrayList<String>();
            while (rows.next()) found.add(rows.getString(1));
            return found;
        }
    }

    static List<String> names(ResultSet rows, String column) throws Exception {
        var found = new ArrayList<String>();
        while (rows.next()) found.add(rows.getString(column));
        return found;
    }

    static void expect(String what, List<String> found, String expected) {
        if (!found.toString().equals(expected)) throw new AssertionError(what + ": " + found + ", expected " + expected);
    }

    static void answer(String what, long number) {
        answers.add("\"" + what + "\":[[" + number + "]]");
    }
}
