import java.sql.DriverManager;
import java.util.logging.Level;
import java.util.logging.Logger;
import liquibase.Contexts;
import liquibase.Liquibase;
import liquibase.database.Database;
import liquibase.database.DatabaseFactory;
import liquibase.database.jvm.JdbcConnection;
import liquibase.resource.ClassLoaderResourceAccessor;

/** Liquibase: changes made, listed, rolled back and made again, in the login's schema and in one named. */
public class Main {
  public static void main(String[] args) throws Exception {
    Logger.getLogger("").setLevel(Level.OFF);
    System.setProperty("liquibase.analytics.enabled", "false");
    for (String schema : new String[] {"public", "elsewhere"}) {
      step("connect " + schema, () -> {
        var connection = DriverManager.getConnection(args[0] + "?currentSchema=" + schema, args[1], "unused");
        Database database = DatabaseFactory.getInstance().findCorrectDatabaseImplementation(new JdbcConnection(connection));
        database.setDefaultSchemaName(schema);
        Liquibase liquibase = new Liquibase("changes.xml", new ClassLoaderResourceAccessor(), database);
        step("update", () -> { liquibase.update(new Contexts()); return "done"; });
        step("status", () -> "" + liquibase.listUnrunChangeSets(new Contexts(), new liquibase.LabelExpression()).size());
        step("roll back", () -> { liquibase.rollback(2, ""); return "done"; });
        step("update again", () -> { liquibase.update(new Contexts()); return "done"; });
        step("validate", () -> { liquibase.validate(); return "done"; });
        step("locks", () -> "" + liquibase.listLocks().length);
        step("drop all", () -> { if (schema.equals("public")) liquibase.dropAll(); return "done"; });
        connection.close();
        return "closed";
      });
    }
    System.exit(0);
  }

  interface Act {
    String run() throws Exception;
  }

  static void step(String name, Act act) {
    try {
      System.out.println(name + ": " + act.run());
    } catch (Throwable error) {
      Throwable cause = error;
      while (cause.getCause() != null) cause = cause.getCause();
      System.out.println(name + " failed: " + cause.getMessage());
    }
  }
}
