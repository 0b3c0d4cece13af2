"""The official Python client of the SPIFFE Workload API, used as any service would use it: fetches, validates, then watches until the
X.509-SVID has rotated. Prints one JSON object a step; ends with 1 at the first that fails. The socket comes from
SPIFFE_ENDPOINT_SOCKET; the identity that is expected is the first argument."""

import json
import queue
import sys

from spiffe import JwtSource, JwtSvid, SpiffeId, WorkloadApiClient, X509Source


def main(want):
    with WorkloadApiClient() as client:
        fetch_x509(client, want)
        fetch_jwt(client, want)
        sources(want)
        watch_rotation(client, want)


def fetch_x509(client, want):
    svid = step("fetch-x509-svid", client.fetch_x509_svid)
    expect("x509-identity", svid.spiffe_id == want)
    bundles = step("fetch-x509-bundles", client.fetch_x509_bundles)
    bundle = bundles.get_bundle_for_trust_domain(want.trust_domain)
    expect("x509-authorities", bundle is not None and len(bundle.x509_authorities) > 0)
    context = step("fetch-x509-context", client.fetch_x509_context)
    expect("default-svid", context.default_svid.spiffe_id == want)


def fetch_jwt(client, want):
    svid = step("fetch-jwt-svid", lambda: client.fetch_jwt_svid({"aud1", "aud2"}))
    expect("jwt-identity", svid.spiffe_id == want)
    bundles = step("fetch-jwt-bundles", client.fetch_jwt_bundles)
    bundle = bundles.get_bundle_for_trust_domain(want.trust_domain)
    step("validate-jwt-locally", lambda: JwtSvid.parse_and_validate(svid.token, bundle, {"aud2"}))
    step("validate-jwt-remotely", lambda: client.validate_jwt_svid(svid.token, "aud1"))
    refusal("refuse-another-audience", lambda: client.validate_jwt_svid(svid.token, "another"))


def sources(want):
    with step("x509-source", lambda: X509Source(timeout_in_seconds=10)) as source:
        expect("x509-source-svid", source.get_x509_context().default_svid.spiffe_id == want)
    with step("jwt-source", lambda: JwtSource(timeout_in_seconds=10)) as source:
        expect("jwt-source-svid", source.fetch_svid({"aud1"}).spiffe_id == want)


def watch_rotation(client, want):
    updates = queue.Queue()
    handle = client.stream_x509_contexts(updates.put, updates.put)
    serials = set()
    try:
        while len(serials) < 2:
            update = updates.get(timeout=40)
            if isinstance(update, Exception):
                raise update
            if update.default_svid.spiffe_id != want:
                raise ValueError(f"identity is {update.default_svid.spiffe_id}")
            serials.add(update.default_svid.leaf.serial_number)
            if len(serials) == 1:
                emit({"step": "watching"})
    except Exception as error:  # Whatever went wrong is the answer of this step.
        fail("rotation", repr(error))
    finally:
        handle.cancel()
    emit({"step": "rotation", "ok": True})


def step(name, act):
    try:
        result = act()
    except Exception as error:  # Whatever went wrong is the answer of this step.
        fail(name, str(error))
    emit({"step": name, "ok": True})
    return result


def refusal(name, act):
    try:
        act()
    except Exception:  # Any refusal is what was hoped for.
        emit({"step": name, "ok": True})
        return
    fail(name, "was accepted")


def expect(name, holds):
    if not holds:
        fail(name, "is not as expected")
    emit({"step": name, "ok": True})


def fail(name, error):
    emit({"step": name, "ok": False, "error": error})
    sys.exit(1)


def emit(line):
    print(json.dumps(line), flush=True)


main(SpiffeId(sys.argv[1]))
