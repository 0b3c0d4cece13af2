import io.spiffe.bundle.jwtbundle.JwtBundleSet;
import io.spiffe.bundle.x509bundle.X509BundleSet;
import io.spiffe.spiffeid.SpiffeId;
import io.spiffe.svid.jwtsvid.JwtSvid;
import io.spiffe.svid.x509svid.X509SvidValidator;
import io.spiffe.workloadapi.DefaultJwtSource;
import io.spiffe.workloadapi.DefaultWorkloadApiClient;
import io.spiffe.workloadapi.DefaultX509Source;
import io.spiffe.workloadapi.Watcher;
import io.spiffe.workloadapi.WorkloadApiClient;
import io.spiffe.workloadapi.X509Context;
import java.math.BigInteger;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * The official Java client of the SPIFFE Workload API, used as any service would use it: fetches, validates, then watches until the
 * X.509-SVID has rotated. Prints one JSON object a step; ends with 1 at the first that fails. The socket comes from
 * SPIFFE_ENDPOINT_SOCKET; the identity that is expected is the first argument.
 */
public final class Client {
  public static void main(String[] arguments) {
    SpiffeId want = SpiffeId.parse(arguments[0]);
    WorkloadApiClient client = step("connect", DefaultWorkloadApiClient::newClient);
    fetchX509(client, want);
    fetchJwt(client, want);
    sources(want);
    step("rotation", () -> watchRotation(client, want));
    System.exit(0); // The client's threads would keep the process.
  }

  private static void fetchX509(WorkloadApiClient client, SpiffeId want) {
    X509Context context = step("fetch-x509-context", client::fetchX509Context);
    expect("x509-identity", context.getDefaultSvid().getSpiffeId().equals(want));
    X509BundleSet bundles = step("fetch-x509-bundles", client::fetchX509Bundles);
    step("verify-x509-svid", () -> {
      X509SvidValidator.verifyChain(context.getDefaultSvid().getChain(), bundles);
      return true;
    });
  }

  private static void fetchJwt(WorkloadApiClient client, SpiffeId want) {
    JwtSvid svid = step("fetch-jwt-svid", () -> client.fetchJwtSvid("aud1", "aud2"));
    expect("jwt-identity", svid.getSpiffeId().equals(want));
    JwtBundleSet bundles = step("fetch-jwt-bundles", client::fetchJwtBundles);
    step("validate-jwt-locally", () -> JwtSvid.parseAndValidate(svid.getToken(), bundles, Set.of("aud2")));
    step("validate-jwt-remotely", () -> client.validateJwtSvid(svid.getToken(), "aud1"));
    boolean accepted;
    try {
      client.validateJwtSvid(svid.getToken(), "another");
      accepted = true;
    } catch (Exception refused) {
      accepted = false;
    }
    expect("refuse-another-audience", !accepted);
  }

  private static void sources(SpiffeId want) {
    step("x509-source", () -> {
      try (var source = DefaultX509Source.newSource()) {
        return same(source.getX509Svid().getSpiffeId(), want);
      }
    });
    step("jwt-source", () -> {
      try (var source = DefaultJwtSource.newSource()) {
        return same(source.fetchJwtSvid("aud1").getSpiffeId(), want);
      }
    });
  }

  private static boolean watchRotation(WorkloadApiClient client, SpiffeId want) throws Exception {
    BlockingQueue<Object> updates = new LinkedBlockingQueue<>();
    client.watchX509Context(new Watcher<X509Context>() {
      @Override
      public void onUpdate(X509Context update) {
        updates.add(update);
      }

      @Override
      public void onError(Throwable error) {
        updates.add(error);
      }
    });
    Set<BigInteger> serials = new HashSet<>();
    while (serials.size() < 2) {
      Object update = updates.poll(40, TimeUnit.SECONDS);
      if (!(update instanceof X509Context context)) {
        throw new IllegalStateException(update == null ? "no rotation was seen" : update.toString());
      }
      same(context.getDefaultSvid().getSpiffeId(), want);
      serials.add(context.getDefaultSvid().getLeaf().getSerialNumber());
      if (serials.size() == 1) {
        System.out.println("{\"step\":\"watching\"}");
      }
    }
    return true;
  }

  private static boolean same(SpiffeId id, SpiffeId want) {
    if (!id.equals(want)) {
      throw new IllegalStateException("identity is " + id);
    }
    return true;
  }

  private static <T> T step(String name, Callable<T> act) {
    try {
      T result = act.call();
      System.out.println("{\"step\":\"" + name + "\",\"ok\":true}");
      return result;
    } catch (Exception error) {
      fail(name, causes(error));
      throw new AssertionError("not reached");
    }
  }

  private static void expect(String name, boolean holds) {
    if (!holds) {
      fail(name, "is not as expected");
    }
    System.out.println("{\"step\":\"" + name + "\",\"ok\":true}");
  }

  private static void fail(String name, String error) {
    String text = error.replaceAll("[^ -~]|[\"\\\\]", " ");
    System.out.println("{\"step\":\"" + name + "\",\"ok\":false,\"error\":\"" + text + "\"}");
    System.exit(1);
  }

  private static String causes(Throwable error) {
    List<String> texts = new java.util.ArrayList<>();
    for (Throwable at = error; at != null; at = at.getCause()) {
      texts.add(at.toString());
    }
    return String.join("; ", texts);
  }
}
