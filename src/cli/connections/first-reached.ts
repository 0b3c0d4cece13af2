import { lookupOf } from '@countersign/sdk/client';
import { throwIfAborted } from '../../std/index.ts';
import { takesConnection } from './takes-connection.ts';
import type { ServerAddresses } from './with-rest.ts';

/** The first of them, in their order, that takes a connection; the first where none does, so that it is that which is told of. @throws the abort error */
export async function firstReached(addresses: ServerAddresses, signal: AbortSignal): Promise<ServerAddresses[0]> {
  const [first, ...others] = addresses;
  if (others.length === 0) return first;
  for (const address of addresses) {
    throwIfAborted(signal);
    const { host, port } = address;
    const lookup = lookupOf(host);
    const at = { host, port, signal, timeout: REACH_MS_MAX, ...(lookup === undefined ? {} : { lookup }) };
    if (await takesConnection(at)) return address;
  }
  return first;
}

const REACH_MS_MAX = 3_000;
