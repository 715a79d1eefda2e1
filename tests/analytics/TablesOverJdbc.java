import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.util.Properties;

/** Prints what Flight SQL's JDBC driver finds at an address: tables, columns, and the rows of a query. */
public class TablesOverJdbc {
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("useEncryption", "false");
        if (arguments.length > 2) {
            settings.put("token", arguments[2]);
        }
        String address = "jdbc:arrow-flight-sql://" + arguments[0];
        try (Connection connection = DriverManager.getConnection(address, settings)) {
            System.out.println("product " + connection.getMetaData().getDatabaseProductName());
            try (ResultSet tables = connection.getMetaData().getTables(null, null, "led%", null)) {
                while (tables.next()) {
                    System.out.println("table " + tables.getString("TABLE_CAT") + "." + tables.getString("TABLE_SCHEM")
                        + "." + tables.getString("TABLE_NAME"));
                }
            }
            try (ResultSet columns = connection.getMetaData().getColumns(null, null, "ledgers", "base%")) {
                while (columns.next()) {
                    System.out.println("column " + columns.getString("COLUMN_NAME"));
                }
            }
            try (PreparedStatement asked = connection.prepareStatement(
                "select ledger_sequence from stellarrow.main.ledgers where ledger_sequence >= ? order by 1 limit 2")) {
                asked.setString(1, arguments[1]);
                try (ResultSet rows = asked.executeQuery()) {
                    while (rows.next()) {
                        System.out.println("row " + rows.getLong(1));
                    }
                }
            }
        }
    }
}
