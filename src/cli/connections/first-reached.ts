import { connect } from 'node:net';
import { lookupOf } from '@countersign/sdk/client';
import { throwIfAborted } from '../../std/index.ts';
import type { ServerAddresses } from './with-rest.ts';

/** The first of them, in their order, that takes a connection; the first where none does, so that it is that which is told of. @throws the abort error */
export async function firstReached(addresses: ServerAddresses, signal: AbortSignal): Promise<ServerAddresses[0]> {
  const [first, ...others] = addresses;
  if (others.length === 0) return first;
  for (const address of addresses) {
    throwIfAborted(signal);
    if (await takesConnection(address, signal)) return address;
  }
  return first;
}

function takesConnection({ host, port }: ServerAddresses[0], signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const lookup = lookupOf(host);
    const socket = connect({
      ...{ host, port, signal, timeout: REACH_MS_MAX },
      ...(lookup === undefined ? {} : { lookup }),
    });
    const settle = (isTaken: boolean) => {
      socket.destroy();
      resolve(isTaken);
    };
    socket.on('timeout', () => settle(false));
    socket.on('connect', () => settle(true));
    socket.on('error', () => settle(false));
  });
}

const REACH_MS_MAX = 3_000;
