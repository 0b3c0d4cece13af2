import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The API of the tour, which wants a key with each request. */
export interface Api {
  readonly key: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Starts it on a port of 127.0.0.1; its key is random. */
export async function startApi(): Promise<Api> {
  const key = randomBytes(18).toString('base64url');
  const server = createServer((request, response) => {
    const isLetIn = request.headers.authorization === `Bearer ${key}`;
    const isThere = request.url === '/v1/customers/1';
    response.writeHead(isLetIn ? (isThere ? 200 : 404) : 401, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isLetIn && isThere ? CUSTOMER : { error: 'no such thing, or no key' }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // Bound to a port, not to a path.
  const { port } = server.address() as AddressInfo;
  return {
    key,
    port,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** What an operator declares of it: the target, as YAML. */
export function apiTarget({ port }: Pick<Api, 'port'>): string {
  return `kind: Target
name: api
spec:
  protocol: http
  url: http://127.0.0.1:${port}
  credential: { bearer: keystore:api-key }
  routes:
    - { name: customer, path: "/v1/customers/{id}" }
`;
}

/** And who may do what to it. */
export const API_POLICY = `// Who may ask the API for what. Everything else is refused.
@id("services-connect-api")
permit(
  principal in TrustDomain::"example.org",
  action == Action::"http:connect",
  resource in Target::"api"
);

@id("customer-without-ssn")
@mask("body.ssn:redact")
permit(
  principal in TrustDomain::"example.org",
  action in Action::"http:read",
  resource == Http::Route::"api/customer"
);
`;

const CUSTOMER = { id: 1, name: 'Ada Lovelace', ssn: '123-45-6789' };
