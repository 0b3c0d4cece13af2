import { create } from '@bufbuild/protobuf';
import { createApiClient } from '@countersign/sdk/client';
import { Bundle } from '@countersign/sdk/contract';
import type { RpcClient } from '../../rpc/index.ts';
import { assert } from '../../std/index.ts';
import { type CliContext, type CliInput, textOption, UsageError } from '../command.ts';
import { type Login, readLogin } from '../people/login-file.ts';
import { createRestCalls } from './rest-calls.ts';
import { loginPlaces } from './with-rest.ts';

/**
 * Where somebody has logged in and no socket, server or identity is named: a client that calls as they, by REST. What REST does not offer is
 * refused, and nobody acts as another one than they are logged in as. @throws UsageError
 */
export async function loginClient(context: CliContext, input: CliInput): Promise<RpcClient | undefined> {
  if (['socket', 'server', 'identity'].some((name) => textOption(input, name) !== undefined)) return undefined;
  const login = await readLogin(context);
  return login === undefined ? undefined : restBacked(context, login);
}

function restBacked(context: CliContext, login: Login): RpcClient {
  const api = createApiClient(loginPlaces(context, login));
  const calls = createRestCalls();
  const call = async (...[method, request, { signal }]: Parameters<RpcClient['unary']>) => {
    const found = calls.get(method);
    if (found === undefined) throw notOffered(method, login);
    const given = create(method.input, request);
    // The table is by method: what it takes and gives is of that one.
    return create(method.output, (await found(given as never, { api, clock: context.clock, signal })) as never);
  };
  return {
    unary: call as RpcClient['unary'],
    async *serverStream(method, request, options) {
      // Of a call that REST answers at once.
      yield (await call(method as never, request as never, options)) as never;
    },
    bidi: () => {
      assert(false, 'no command of people streams both ways');
    },
    reconnect() {},
    async close() {},
  };
}

function notOffered(method: Parameters<RpcClient['unary']>[0], { name, server }: Login): UsageError {
  if (method === Bundle.method.getBundle)
    return new UsageError(
      `as ${name} at ${server} the trust domain is not known: give whole SPIFFE IDs, as spiffe://example.org/shop/web, or --socket on the server's machine`,
    );
  return new UsageError(
    `this needs the operator socket: REST, by which ${name} is logged in at ${server}, does not offer ${method.name}. Run it on the server's machine with --socket (/run/countersign/server/server.sock), or \`countersign logout\` first`,
  );
}
