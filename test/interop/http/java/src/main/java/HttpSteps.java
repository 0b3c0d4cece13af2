import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.zip.GZIPInputStream;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Does every step with java.net.http and prints one JSON object for each. */
final class HttpSteps {
  interface Step {
    List<Object> run() throws Exception;
  }

  private static final String BASE =
      System.getenv("COUNTERSIGN_URL") != null ? System.getenv("COUNTERSIGN_URL") : System.getenv("BASE");
  private static final byte[] BIG = "countersign ".repeat(250_000).getBytes(StandardCharsets.US_ASCII);
  private static final String[] FIELDS = {"content-type", "content-length", "etag", "x-own"};
  private static HttpClient client;
  private static HttpClient following;

  private static final Map<String, Step> STEPS =
      Map.ofEntries(
          Map.entry("get", () -> seen(ask(request("/v1/item")))),
          Map.entry("head", () -> seen(ask(request("/v1/item").method("HEAD", BodyPublishers.noBody())))),
          Map.entry("post", () -> seen(ask(request("/v1/echo")
              .header("content-type", "application/json")
              .POST(BodyPublishers.ofString("{\"name\":\"ünï\",\"n\":[1,2]}"))))),
          Map.entry("upload", () -> seen(ask(request("/v1/echo").PUT(whole())))),
          Map.entry("continue", () -> seen(ask(request("/v1/echo").expectContinue(true).PUT(whole())))),
          Map.entry("chunked", () -> seen(ask(request("/v1/echo")
              .POST(BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(BIG)))))),
          Map.entry("download", () -> seen(ask(request("/v1/files/big.bin")))),
          Map.entry("gzip", HttpSteps::gzip),
          Map.entry("redirect", () -> seen(following.send(request("/v1/moved").build(), BodyHandlers.ofByteArray()))),
          Map.entry("moved", () -> seen(ask(request("/v1/moved")), "location")),
          Map.entry("cookies", HttpSteps::cookies),
          Map.entry("range", () -> seen(ask(request("/v1/files/big.bin").header("range", "bytes=10-19")), "content-range")),
          Map.entry("conditional", HttpSteps::conditional),
          Map.entry("reuse", HttpSteps::reuse),
          Map.entry("concurrent", HttpSteps::concurrent),
          Map.entry("cancel", HttpSteps::cancel),
          Map.entry("timeout", () -> fails("timed out", request("/v1/silent").timeout(Duration.ofMillis(300)))),
          Map.entry("cut", () -> fails("broken", request("/v1/cut"))),
          Map.entry("sse", () -> seen(ask(request("/v1/events")), "content-type")),
          Map.entry("failure", () -> seen(ask(request("/v1/failure")))),
          Map.entry("denied", HttpSteps::denied),
          Map.entry("masked", () -> seen(ask(request("/v1/person")), "content-type")));

  public static void main(String[] arguments) throws Exception {
    client = builder().followRedirects(HttpClient.Redirect.NEVER).build();
    following = builder().followRedirects(HttpClient.Redirect.NORMAL).build();
    for (String step : System.getenv("STEPS").split(",")) {
      List<Object> value;
      try {
        value = STEPS.get(step).run();
      } catch (Exception error) {
        value = List.of("failed: " + error);
      }
      System.out.println("{\"step\":" + json(step) + ",\"value\":" + json(value) + "}");
    }
    System.exit(0);
  }

  private static HttpClient.Builder builder() throws Exception {
    HttpClient.Builder builder = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1);
    String folder = System.getenv("TLS_DIR");
    return folder == null ? builder : builder.sslContext(contextOf(Path.of(folder)));
  }

  private static SSLContext contextOf(Path folder) throws Exception {
    CertificateFactory certificates = CertificateFactory.getInstance("X.509");
    KeyStore own = KeyStore.getInstance("PKCS12");
    own.load(null, null);
    String pem = Files.readString(folder.resolve("key.pem")).replaceAll("-----[^-]+-----|\\s", "");
    PKCS8EncodedKeySpec key = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem));
    try (InputStream chain = Files.newInputStream(folder.resolve("svid.pem"))) {
      Certificate[] all = certificates.generateCertificates(chain).toArray(new Certificate[0]);
      own.setKeyEntry("svid", KeyFactory.getInstance("EC").generatePrivate(key), new char[0], all);
    }
    KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    keys.init(own, new char[0]);
    KeyStore roots = KeyStore.getInstance("PKCS12");
    roots.load(null, null);
    try (InputStream bundle = Files.newInputStream(folder.resolve("bundle.pem"))) {
      int at = 0;
      for (Certificate root : certificates.generateCertificates(bundle)) roots.setCertificateEntry("root" + at++, root);
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(roots);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
    return context;
  }

  private static HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create(BASE + path));
  }

  private static BodyPublisher whole() {
    return BodyPublishers.ofByteArray(BIG);
  }

  private static HttpResponse<byte[]> ask(HttpRequest.Builder request) throws Exception {
    return client.send(request.build(), BodyHandlers.ofByteArray());
  }

  private static List<Object> seen(HttpResponse<byte[]> answer, String... names) throws Exception {
    List<Object> value = new ArrayList<>();
    value.add(answer.statusCode());
    for (String name : names.length == 0 ? FIELDS : names) value.add(answer.headers().firstValue(name).orElse(null));
    byte[] body = answer.body();
    value.add(body.length > 200 ? sha(body) : new String(body, StandardCharsets.UTF_8));
    return value;
  }

  private static String sha(byte[] bytes) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes)).substring(0, 16);
  }

  private static List<Object> gzip() throws Exception {
    HttpResponse<byte[]> answer = ask(request("/v1/zipped").header("accept-encoding", "gzip"));
    String encoding = answer.headers().firstValue("content-encoding").orElse("none");
    byte[] body = new GZIPInputStream(new ByteArrayInputStream(answer.body())).readAllBytes();
    return List.of(answer.statusCode(), encoding, sha(body));
  }

  private static List<Object> cookies() throws Exception {
    String cookie = ask(request("/v1/cookie")).headers().firstValue("set-cookie").orElse("").split(";")[0];
    List<Object> value = new ArrayList<>(List.of(cookie));
    value.addAll(seen(ask(request("/v1/cookie").header("cookie", cookie))));
    return value;
  }

  private static List<Object> conditional() throws Exception {
    HttpResponse<byte[]> first = ask(request("/v1/files/small.txt"));
    HttpRequest.Builder again = request("/v1/files/small.txt")
        .header("if-modified-since", first.headers().firstValue("last-modified").orElse(""));
    first.headers().firstValue("etag").ifPresent(tag -> again.header("if-none-match", tag));
    HttpResponse<byte[]> second = ask(again);
    return List.of(second.statusCode(), second.body().length);
  }

  private static List<Object> reuse() throws Exception {
    LinkedHashSet<Object> bodies = new LinkedHashSet<>();
    for (int count = 0; count < 200; count++) bodies.add(new String(ask(request("/v1/item")).body(), StandardCharsets.UTF_8));
    return List.copyOf(bodies);
  }

  private static List<Object> concurrent() {
    List<CompletableFuture<HttpResponse<String>>> all = IntStream.range(0, 20)
        .mapToObj(at -> client.sendAsync(request("/v1/number/" + at).build(), BodyHandlers.ofString()))
        .toList();
    return all.stream().map(one -> (Object) one.join().body()).toList();
  }

  private static List<Object> cancel() throws Exception {
    HttpResponse<InputStream> answer = client.send(request("/v1/hang").build(), BodyHandlers.ofInputStream());
    byte[] first = new byte[100];
    int count = answer.body().read(first);
    answer.body().close();
    List<Object> value = new ArrayList<>(List.of(new String(first, 0, count, StandardCharsets.UTF_8), "cancelled"));
    value.addAll(seen(ask(request("/v1/item"))));
    return value;
  }

  private static List<Object> fails(String how, HttpRequest.Builder request) throws Exception {
    try {
      client.sendAsync(request.build(), BodyHandlers.ofByteArray()).get(60, TimeUnit.SECONDS);
    } catch (java.util.concurrent.ExecutionException error) {
      return List.of(how);
    }
    return List.of("whole");
  }

  private static List<Object> denied() throws Exception {
    HttpResponse<byte[]> answer = ask(request("/v1/item").DELETE());
    var reason = Pattern.compile("\"reason\":\"([^\"]+)\"").matcher(new String(answer.body(), StandardCharsets.UTF_8));
    return List.of(answer.statusCode(), answer.headers().firstValue("content-type").orElse(""), reason.find() ? reason.group(1) : "");
  }

  private static String json(Object value) {
    if (value == null) return "null";
    if (value instanceof Integer) return value.toString();
    if (value instanceof List<?> list) return "[" + String.join(",", list.stream().map(HttpSteps::json).toList()) + "]";
    StringBuilder text = new StringBuilder("\"");
    for (char sign : value.toString().toCharArray()) {
      if (sign == '"' || sign == '\\') text.append('\\').append(sign);
      else if (sign < 32) text.append(String.format("\\u%04x", (int) sign));
      else text.append(sign);
    }
    return text.append('"').toString();
  }
}
