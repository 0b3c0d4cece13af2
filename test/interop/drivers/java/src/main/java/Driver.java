import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/** pgjdbc: runs the steps it is asked for and prints one JSON object for each. */
final class Driver {
  interface Step {
    List<String> run(Connection connection) throws Exception;
  }

  interface Failing {
    void run() throws Exception;
  }

  private static final String KINDS = "select * from kinds order by id";
  private static final Map<String, Step> STEPS =
      Map.ofEntries(
          Map.entry("connect", c -> rows(c, "select current_database()")),
          Map.entry("simple", Driver::simple),
          Map.entry("parameters", Driver::parameters),
          Map.entry("types-text", c -> kinds("binaryTransfer", "false")),
          Map.entry("types-binary", c -> kinds("prepareThreshold", "-1")),
          Map.entry("types-own", Driver::typesOwn),
          Map.entry("prepared", Driver::prepared),
          Map.entry("pipeline", Driver::pipeline),
          Map.entry("transaction", Driver::transaction),
          Map.entry("copy-in", Driver::copyIn),
          Map.entry("copy-out", Driver::copyOut),
          Map.entry("cancel", Driver::cancel),
          Map.entry("listen", Driver::listen),
          Map.entry("million", Driver::million),
          Map.entry("denied", Driver::denied));

  public static void main(String[] arguments) throws Exception {
    try (Connection connection = connect()) {
      for (String name : System.getenv("STEPS").split(",")) {
        try {
          String result = STEPS.get(name).run(connection).stream().map(Driver::quote).collect(Collectors.joining(","));
          emit("{\"step\":" + quote(name) + ",\"ok\":true,\"result\":[" + result + "]}");
        } catch (Exception error) {
          emit("{\"step\":" + quote(name) + ",\"ok\":false,\"error\":" + quote(error.toString()) + "}");
          System.exit(1);
        }
      }
    }
  }

  /** With further properties, in pairs of name and value. */
  static Connection connect(String... more) throws SQLException {
    Map<String, String> environment = System.getenv();
    Properties properties = new Properties();
    properties.setProperty("user", environment.get("DB_USER"));
    if (environment.containsKey("DB_PASSWORD")) properties.setProperty("password", environment.get("DB_PASSWORD"));
    if (environment.containsKey("DB_CERTIFICATE")) {
      properties.setProperty("sslmode", "verify-full");
      properties.setProperty("sslNegotiation", environment.get("DB_NEGOTIATION"));
      properties.setProperty("sslcert", environment.get("DB_CERTIFICATE"));
      properties.setProperty("sslkey", environment.get("DB_KEY_PK8"));
      properties.setProperty("sslrootcert", environment.get("DB_ROOTS"));
    } else {
      properties.setProperty("sslmode", "disable");
    }
    for (int i = 0; i < more.length; i += 2) properties.setProperty(more[i], more[i + 1]);
    String place = environment.get("DB_HOST") + ":" + environment.get("DB_PORT") + "/" + environment.get("DB_NAME");
    return DriverManager.getConnection("jdbc:postgresql://" + place, properties);
  }

  static List<String> simple(Connection unused) throws Exception {
    try (Connection connection = connect("preferQueryMode", "simple")) {
      return rows(connection, "select id, name from items order by id");
    }
  }

  static List<String> parameters(Connection connection) throws Exception {
    String text = "select ?::int4 + 1, ?::text || '!', ?::bool, ?::text";
    try (PreparedStatement statement = connection.prepareStatement(text)) {
      statement.setInt(1, 41);
      statement.setString(2, "ünï");
      statement.setBoolean(3, true);
      statement.setNull(4, Types.VARCHAR);
      return read(statement.executeQuery());
    }
  }

  static List<String> kinds(String property, String value) throws Exception {
    try (Connection connection = connect(property, value)) {
      return rows(connection, KINDS);
    }
  }

  /** With all that JDBC lets programs ask of the catalog. */
  static List<String> typesOwn(Connection connection) throws Exception {
    DatabaseMetaData catalog = connection.getMetaData();
    List<String> found = new ArrayList<>(rows(connection, "select * from homes order by id"));
    for (ResultSet result :
        List.of(
            catalog.getSchemas(),
            catalog.getTables(null, "public", "%", null),
            catalog.getColumns(null, "public", "%", "%"),
            catalog.getPrimaryKeys(null, "public", "homes"),
            catalog.getImportedKeys(null, "public", "homes"),
            catalog.getIndexInfo(null, "public", "homes", false, false),
            catalog.getTablePrivileges(null, "public", "homes"),
            catalog.getUDTs(null, "public", "%", null),
            catalog.getFunctions(null, "public", "%"),
            catalog.getProcedures(null, "public", "%"),
            catalog.getTypeInfo())) {
      found.addAll(read(result));
    }
    return found;
  }

  /** Prepared at the server from its second use on. */
  static List<String> prepared(Connection connection) throws Exception {
    List<String> found = new ArrayList<>(threeItems(connection));
    try (Connection other = connect("prepareThreshold", "2")) {
      found.addAll(threeItems(other));
    }
    return found;
  }

  static List<String> threeItems(Connection connection) throws Exception {
    List<String> found = new ArrayList<>();
    try (PreparedStatement statement = connection.prepareStatement("select name from items where id = ?")) {
      for (int id = 1; id <= 3; id++) {
        statement.setInt(1, id);
        found.addAll(read(statement.executeQuery()));
      }
    }
    return found;
  }

  /** A batch has one Sync at its end: all of it is rolled back. */
  static List<String> pipeline(Connection connection) throws Exception {
    try (Statement statement = connection.createStatement()) {
      statement.addBatch("insert into loads (id) values (1)");
      statement.addBatch("insert into items values (1, 'twice', 0)");
      statement.addBatch("insert into loads (id) values (2)");
      List<String> found = new ArrayList<>();
      try {
        statement.executeBatch();
      } catch (BatchUpdateException error) {
        found.add(error.getSQLState());
      }
      found.addAll(rows(connection, "select count(*) from loads"));
      return found;
    }
  }

  static List<String> transaction(Connection connection) throws Exception {
    connection.setAutoCommit(false);
    List<String> found = new ArrayList<>();
    execute(connection, "insert into items values (100, 'gear', 1)");
    Savepoint savepoint = connection.setSavepoint("a");
    found.add(failure(() -> execute(connection, "insert into items values (1, 'twice', 1)")));
    connection.rollback(savepoint);
    execute(connection, "insert into items values (101, 'hinge', 1)");
    connection.commit();
    connection.setAutoCommit(true);
    found.addAll(rows(connection, "select count(*) from items where id >= 100"));
    execute(connection, "delete from items where id >= 100");
    return found;
  }

  static List<String> copyIn(Connection connection) throws Exception {
    var copy = connection.unwrap(PGConnection.class).getCopyAPI();
    String lines = IntStream.rangeClosed(1, 10_000).mapToObj(id -> id + "\tnote " + id + "\n").collect(Collectors.joining());
    String text = "copy loads (id, note) from stdin";
    copy.copyIn(text, new ByteArrayInputStream(lines.getBytes(StandardCharsets.UTF_8)));
    List<String> found = new ArrayList<>(rows(connection, "select count(*), sum(id) from loads"));
    execute(connection, "delete from loads");
    byte[] bad = "nothing\tof a number\n".getBytes(StandardCharsets.UTF_8);
    found.add(failure(() -> copy.copyIn(text, new ByteArrayInputStream(bad))));
    return found;
  }

  static List<String> copyOut(Connection connection) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    String text = "copy (select n, 'note ' || n from generate_series(1, 10000) n) to stdout";
    connection.unwrap(PGConnection.class).getCopyAPI().copyOut(text, out);
    return List.of(String.valueOf(out.size()));
  }

  static List<String> cancel(Connection connection) throws Exception {
    try (Statement statement = connection.createStatement()) {
      emit("{\"step\":\"cancel\",\"waiting\":true}");
      CompletableFuture<Void> asked =
          CompletableFuture.runAsync(
              () -> {
                try {
                  new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)).readLine();
                  statement.cancel();
                } catch (Exception error) {
                  throw new IllegalStateException(error);
                }
              });
      List<String> found = new ArrayList<>();
      found.add(failure(() -> statement.execute("select pg_sleep(60)")));
      asked.get();
      found.addAll(rows(connection, "select 1"));
      return found;
    }
  }

  static List<String> listen(Connection connection) throws Exception {
    execute(connection, "listen news");
    try (Connection other = connect()) {
      execute(other, "notify news, 'fresh'");
    }
    PGNotification[] heard = connection.unwrap(PGConnection.class).getNotifications(20_000);
    execute(connection, "unlisten news");
    return Arrays.stream(heard).map(one -> one.getName() + ":" + one.getParameter()).toList();
  }

  static List<String> million(Connection connection) throws Exception {
    connection.setAutoCommit(false);
    long count = 0;
    long sum = 0;
    try (Statement statement = connection.createStatement()) {
      statement.setFetchSize(5000);
      ResultSet result = statement.executeQuery("select n, md5(n::text) from generate_series(1, 1000000) n");
      while (result.next()) {
        count++;
        sum += result.getInt(1);
      }
    }
    connection.commit();
    connection.setAutoCommit(true);
    return List.of(String.valueOf(count), String.valueOf(sum));
  }

  static List<String> denied(Connection connection) throws Exception {
    List<String> found = new ArrayList<>();
    try (Connection simple = connect("preferQueryMode", "simple")) {
      found.add(failure(() -> rows(simple, "select * from private")));
    }
    found.add(failure(() -> rows(connection, "select * from private where id = 1")));
    found.addAll(rows(connection, "select 1"));
    return found;
  }

  static String failure(Failing work) throws Exception {
    try {
      work.run();
    } catch (SQLException error) {
      return error.getSQLState();
    }
    throw new IllegalStateException("it did not fail");
  }

  static void execute(Connection connection, String text) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute(text);
    }
  }

  static List<String> rows(Connection connection, String text) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(text)) {
      return read(statement.executeQuery());
    }
  }

  static List<String> read(ResultSet result) throws SQLException {
    List<String> rows = new ArrayList<>();
    int columns = result.getMetaData().getColumnCount();
    while (result.next()) {
      List<String> cells = new ArrayList<>();
      for (int i = 1; i <= columns; i++) cells.add(show(result.getObject(i)));
      rows.add(String.join("|", cells));
    }
    return rows;
  }

  static String show(Object value) throws SQLException {
    if (value == null) return "NULL";
    if (value instanceof byte[] bytes) return HexFormat.of().formatHex(bytes);
    if (value instanceof Array array) return Arrays.toString((Object[]) array.getArray());
    if (value instanceof Timestamp time) return time.toInstant().toString();
    return value.toString();
  }

  static String quote(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') quoted.append('\\').append(c);
      else if (c < ' ') quoted.append(String.format("\\u%04x", (int) c));
      else quoted.append(c);
    }
    return quoted.append('"').toString();
  }

  static void emit(String line) {
    System.out.write((line + "\n").getBytes(StandardCharsets.UTF_8), 0, (line + "\n").getBytes(StandardCharsets.UTF_8).length);
    System.out.flush();
  }
}
