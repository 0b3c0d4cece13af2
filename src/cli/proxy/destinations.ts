import { lookup } from 'node:dns';
import { BlockList, connect, isIP, type LookupFunction, type Socket } from 'node:net';
import type { Tunnel } from './connect-head.ts';

/** Opens a connection to somewhere that is no target's. */
export type Reach = (place: Tunnel) => Socket;

/**
 * Reaches it directly, but never what is near: this machine, its link, where clouds answer with credentials of the machine, or nowhere. Clients reach that
 * by themselves, as they do without a proxy. It is decided about the address that is connected to. The socket's error has the code `NEAR` then.
 */
export function createReach(look: typeof lookup = lookup): Reach {
  const guarded: LookupFunction = (host, options, done) => {
    look(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, '', 0);
      const far = found.filter(({ address }) => !isNear(address));
      if (far.length === 0) return done(nearError(), '', 0);
      if (options.all === true) done(null, far);
      else done(null, far[0]?.address ?? '', far[0]?.family ?? 0);
    });
  };
  return ({ host, port }) => {
    const socket = connect({
      host,
      port,
      lookup: isIP(host) === 0 ? guarded : refuseNear,
      allowHalfOpen: true,
      noDelay: true,
    });
    socket.on('error', () => {}); // Whoever asked for it listens too.
    // An address is looked up by nobody.
    if (isIP(host) !== 0 && isNear(host)) socket.destroy(nearError());
    return socket;
  };
}

/** True for an address of this machine, of its link, or of no machine. */
export function isNear(address: string): boolean {
  const family = isIP(address);
  return family === 0 || NEAR.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

const refuseNear: LookupFunction = (_host, _options, done) => done(nearError(), '', 0);

function nearError(): NodeJS.ErrnoException {
  return Object.assign(new Error('an address of this machine or its link'), { code: 'NEAR' });
}

const NEAR = new BlockList();
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  NEAR.addSubnet(net, prefix, 'ipv4');
for (const [net, prefix] of [
  ['::', 128],
  ['::1', 128],
  ['fe80::', 10],
  ['ff00::', 8],
  // Clouds answer here as at 169.254.169.254.
  ['fd00:ec2::', 32],
] as const)
  NEAR.addSubnet(net, prefix, 'ipv6');
