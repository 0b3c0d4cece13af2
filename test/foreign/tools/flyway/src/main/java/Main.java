import org.flywaydb.core.Flyway;

/** Flyway: migrations, their state, a repair, a clean; then the same into a schema of its own. */
public class Main {
  public static void main(String[] args) {
    java.util.logging.Logger.getLogger("").setLevel(java.util.logging.Level.OFF);
    for (String schema : new String[] {"public", "apart"}) {
      Flyway flyway =
          Flyway.configure()
              .dataSource(args[0], args[1], "unused")
              .defaultSchema(schema)
              .configuration(java.util.Map.of("flyway.postgresql.transactional.lock", "false"))
              .lockRetryCount(3)
              .cleanDisabled(false)
              .baselineOnMigrate(true)
              .baselineVersion("0")
              .load();
      step("migrate " + schema, () -> "" + flyway.migrate().migrationsExecuted);
      step("again", () -> "" + flyway.migrate().migrationsExecuted);
      step("validate", () -> "" + flyway.validateWithResult().validationSuccessful);
      step("info", () -> {
        StringBuilder all = new StringBuilder();
        for (var one : flyway.info().all()) all.append(one.getVersion()).append(' ').append(one.getState()).append(", ");
        return all.toString();
      });
      step("repair", () -> "" + flyway.repair().repairActions);
      if (schema.equals("apart")) step("clean", () -> "" + flyway.clean().schemasCleaned);
      else step("drop other", () -> { try (var connection = java.sql.DriverManager.getConnection(args[0], args[1], "unused"); var statement = connection.createStatement()) { statement.execute("drop schema if exists other cascade; drop procedure if exists fill()"); return "dropped"; } });
    }
    System.exit(0);
  }

  interface Act {
    String run() throws Exception;
  }

  static void step(String name, Act act) {
    try {
      System.out.println(name + ": " + act.run());
    } catch (Exception error) {
      System.out.println(name + " failed: " + error.getMessage());
    }
  }
}
