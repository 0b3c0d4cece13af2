import jakarta.persistence.*;
import java.math.BigDecimal;
import java.util.*;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.annotations.JdbcTypeCode;
import org.hibernate.cfg.Configuration;
import org.hibernate.type.SqlTypes;

/** Hibernate over HikariCP: a schema made and compared, entities, batches, large objects, locks, calls, scrolling. */
public class Main {
  public enum Mood { low, high }

  @Entity(name = "Customer")
  @Table(name = "customers")
  public static class Customer {
    @Id @GeneratedValue(strategy = GenerationType.SEQUENCE) Long id;
    @Column(unique = true, nullable = false) String name;
    @Enumerated(EnumType.STRING) Mood mood = Mood.low;
    @JdbcTypeCode(SqlTypes.JSON) Map<String, Object> about;
    @Lob java.sql.Blob picture;
    UUID key;
    String[] tags;
    @Version int version;
    @OneToMany(mappedBy = "customer", cascade = CascadeType.ALL) List<Order> orders = new ArrayList<>();
  }

  @Entity(name = "Ordered")
  @Table(name = "orders")
  public static class Order {
    @Id @GeneratedValue(strategy = GenerationType.IDENTITY) Long id;
    BigDecimal total;
    @ManyToOne Customer customer;
  }

  static SessionFactory open(String[] args, String mode, String schema) {
    Configuration configuration = new Configuration().addAnnotatedClass(Customer.class).addAnnotatedClass(Order.class);
    Map<String, String> settings = new TreeMap<>(Map.of(
        "hibernate.connection.url", args[0], "hibernate.connection.username", args[1], "hibernate.connection.password", "unused",
        "hibernate.hbm2ddl.auto", mode, "hibernate.jdbc.batch_size", "50", "hibernate.hikari.maximumPoolSize", "4",
        "hibernate.hikari.connectionTestQuery", "select 1", "hibernate.hikari.schema", schema,
        "hibernate.connection.provider_class", "org.hibernate.hikaricp.internal.HikariCPConnectionProvider",
        "hibernate.hikari.initializationFailTimeout", "5000"));
    settings.put("hibernate.hikari.connectionTimeout", "5000");
    settings.put("hibernate.hikari.connectionInitSql", "set application_name to 'hikari'");
    settings.forEach(configuration::setProperty);
    return configuration.buildSessionFactory();
  }

  public static void main(String[] args) {
    java.util.logging.Logger.getLogger("").setLevel(java.util.logging.Level.OFF);
    for (String schema : new String[] {"public", "elsewhere"}) step("in " + schema, () -> {
      try (SessionFactory made = open(args, "update", schema)) { step("made", () -> made.isOpen()); }
      try (SessionFactory factory = open(args, "validate", schema)) { work(factory); }
      try (SessionFactory factory = open(args, "create-drop", schema)) { return factory.fromSession(s -> s.createQuery("select count(*) from Customer", Long.class).getSingleResult()); }
    });
    System.exit(0);
  }

  static void work(SessionFactory factory) {
    step("persist", () -> factory.fromTransaction(s -> {
      Customer ada = new Customer();
      ada.name = "ada"; ada.about = Map.of("a", List.of(1, 2)); ada.tags = new String[] {"x"}; ada.key = new UUID(1, 2);
      ada.picture = s.getLobHelper().createBlob(new byte[100_000]);
      Order order = new Order(); order.total = new BigDecimal("2.50"); order.customer = ada; ada.orders.add(order);
      s.persist(ada);
      return ada.name;
    }));
    step("read", () -> factory.fromTransaction(s -> {
      Customer ada = s.createQuery("from Customer c left join fetch c.orders where c.name = 'ada'", Customer.class).getSingleResult();
      try { return ada.about + " " + ada.orders.size() + " " + ada.picture.length() + " " + ada.key + " " + String.join(",", ada.tags); } catch (java.sql.SQLException e) { throw new RuntimeException(e); }
    }));
    step("batch", () -> factory.fromTransaction(s -> {
      for (int n = 0; n < 2000; n++) { Customer one = new Customer(); one.name = "n" + n; s.persist(one); }
      return "done";
    }));
    step("bulk", () -> factory.fromTransaction(s -> s.createMutationQuery("update Customer set mood = high where name like 'n%'").executeUpdate()));
    step("scroll", () -> factory.fromTransaction(s -> { int count = 0; try (var rows = s.createQuery("from Customer", Customer.class).setFetchSize(100).scroll()) { while (rows.next()) count++; } return count; }));
    step("lock", () -> factory.fromTransaction(s -> s.createQuery("from Customer where name = 'ada'", Customer.class).setLockMode(LockModeType.PESSIMISTIC_WRITE).setTimeout(5).getSingleResult().mood));
    step("twice", () -> factory.fromTransaction(s -> { Customer ada = new Customer(); ada.name = "ada"; s.persist(ada); s.flush(); return "made"; }));
    step("savepoint", () -> factory.fromTransaction(s -> s.doReturningWork(connection -> {
      try (var statement = connection.createStatement()) {
        statement.execute("create temporary table brief (a int)");
        var savepoint = connection.setSavepoint();
        statement.execute("insert into brief values (1)");
        connection.rollback(savepoint);
        var rows = statement.executeQuery("select count(*) from brief");
        rows.next();
        return rows.getInt(1);
      }
    })));
    step("call", () -> factory.fromTransaction(s -> s.doReturningWork(connection -> {
      try (var statement = connection.createStatement()) { statement.execute("create or replace function twice(int) returns int language sql as 'select $1 * 2'"); }
      try (var call = connection.prepareCall("{? = call twice(?)}")) { call.registerOutParameter(1, java.sql.Types.INTEGER); call.setInt(2, 21); call.execute(); return call.getInt(1); }
    })));
    step("metadata", () -> factory.fromTransaction(s -> s.doReturningWork(connection -> {
      StringBuilder seen = new StringBuilder();
      try (var columns = connection.getMetaData().getColumns(null, connection.getSchema(), "customers", null)) { while (columns.next()) seen.append(columns.getString("COLUMN_NAME")).append(' ').append(columns.getString("TYPE_NAME")).append(", "); }
      try (var keys = connection.getMetaData().getImportedKeys(null, connection.getSchema(), "orders")) { while (keys.next()) seen.append(keys.getString("PKTABLE_NAME")); }
      return seen;
    })));
  }

  interface Act {
    Object run() throws Exception;
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
