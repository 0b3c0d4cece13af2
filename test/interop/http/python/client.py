"""Does every step with requests or httpx and prints one JSON object for each: client.py requests|httpx"""
import concurrent.futures
import hashlib
import json
import os
import ssl
import sys

BASE = os.environ.get("COUNTERSIGN_URL") or os.environ["BASE"]
TLS = os.environ.get("TLS_DIR")
SOCKET = os.environ.get("HTTP_SOCKET")
NAME = "gateway.test"
BIG = (b"countersign " * 250_000)[:3_000_000]
FIELDS = ["content-type", "content-length", "etag", "x-own"]


def with_requests():
    import requests
    from requests.adapters import HTTPAdapter

    class Named(HTTPAdapter):
        def init_poolmanager(self, *args, **more):
            super().init_poolmanager(*args, server_hostname=NAME, assert_hostname=NAME, **more)

    session = requests.Session()
    session.trust_env = False
    if TLS:
        session.mount("https://", Named(pool_maxsize=20))
        session.verify = TLS + "/bundle.pem"
        session.cert = (TLS + "/svid.pem", TLS + "/key.pem")

    def ask(path, method="GET", headers=None, body=None, follow=True, timeout=60, each=None):
        session.cookies.clear()
        answer = session.request(
            method, BASE + path, headers=headers, data=body, allow_redirects=follow, timeout=timeout, stream=each is not None
        )
        if each is not None:
            for chunk in answer.iter_content(None):
                if each(chunk):
                    answer.close()
                    return answer.status_code, answer.headers, b""
            return answer.status_code, answer.headers, b""
        return answer.status_code, answer.headers, answer.content

    return ask


def with_httpx():
    import httpx

    verify = True
    if TLS:
        verify = ssl.create_default_context(cafile=TLS + "/bundle.pem")
        verify.load_cert_chain(TLS + "/svid.pem", TLS + "/key.pem")
    transport = httpx.HTTPTransport(uds=SOCKET, verify=verify)
    client = httpx.Client(transport=transport, trust_env=False)
    more = {"sni_hostname": NAME} if TLS else {}

    def ask(path, method="GET", headers=None, body=None, follow=True, timeout=60, each=None):
        client.cookies.clear()
        request = client.build_request(method, BASE + path, headers=headers, content=body, timeout=timeout, extensions=None)
        request.extensions.update(more)
        answer = client.send(request, follow_redirects=follow, stream=each is not None)
        if each is not None:
            for chunk in answer.iter_bytes():
                if each(chunk):
                    break
            answer.close()
            return answer.status_code, answer.headers, b""
        return answer.status_code, answer.headers, answer.content

    return ask


ask = {"requests": with_requests, "httpx": with_httpx}[sys.argv[1]]()


def seen(answer, names=FIELDS):
    status, fields, body = answer
    shown = hashlib.sha256(body).hexdigest()[:16] if len(body) > 200 else body.decode()
    return [status] + [fields.get(name) for name in names] + [shown]


def pieces():
    for at in range(0, len(BIG), 100_000):
        yield BIG[at : at + 100_000]


def cookies():
    cookie = ask("/v1/cookie")[1]["set-cookie"].split(";")[0]
    return [cookie] + seen(ask("/v1/cookie", headers={"cookie": cookie}))


def conditional():
    fields = ask("/v1/files/small.txt")[1]
    headers = {"if-none-match": fields.get("etag", '"none"'), "if-modified-since": fields["last-modified"]}
    status, _, body = ask("/v1/files/small.txt", headers=headers)
    return [status, len(body)]


def reuse():
    return list({ask("/v1/item")[2].decode() for _ in range(200)})


def concurrent_numbers():
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        return list(pool.map(lambda at: ask(f"/v1/number/{at}")[2].decode(), range(20)))


def cancel():
    heard = []

    def each(chunk):
        heard.append(chunk.decode())
        return True

    ask("/v1/hang", each=each)
    return ["".join(heard), "cancelled"] + seen(ask("/v1/item"))


def fails(how, path, timeout=60):
    try:
        ask(path, timeout=timeout)
    except Exception:
        return [how]
    return ["whole"]


def denied():
    status, fields, body = ask("/v1/item", "DELETE")
    return [status, fields["content-type"], json.loads(body).get("reason")]


JSON = {"content-type": "application/json"}
STEPS = {
    "get": lambda: seen(ask("/v1/item")),
    "head": lambda: seen(ask("/v1/item", "HEAD")),
    "post": lambda: seen(ask("/v1/echo", "POST", JSON, '{"name":"ünï","n":[1,2]}'.encode())),
    "upload": lambda: seen(ask("/v1/echo", "PUT", None, BIG)),
    "chunked": lambda: seen(ask("/v1/echo", "POST", None, pieces())),
    "download": lambda: seen(ask("/v1/files/big.bin")),
    "gzip": lambda: seen(ask("/v1/zipped", headers={"accept-encoding": "gzip"}), ["content-type"]),
    "redirect": lambda: seen(ask("/v1/moved")),
    "moved": lambda: seen(ask("/v1/moved", follow=False), ["location"]),
    "cookies": cookies,
    "range": lambda: seen(ask("/v1/files/big.bin", headers={"range": "bytes=10-19"}), ["content-range"]),
    "conditional": conditional,
    "reuse": reuse,
    "concurrent": concurrent_numbers,
    "cancel": cancel,
    "timeout": lambda: fails("timed out", "/v1/silent", 0.3),
    "cut": lambda: fails("broken", "/v1/cut"),
    "sse": lambda: seen(ask("/v1/events"), ["content-type"]),
    "failure": lambda: seen(ask("/v1/failure")),
    "denied": denied,
    "masked": lambda: seen(ask("/v1/person"), ["content-type"]),
}
for step in os.environ["STEPS"].split(","):
    try:
        value = STEPS[step]()
    except Exception as error:
        value = [f"failed: {error!r}"]
    print(json.dumps({"step": step, "value": value}), flush=True)
