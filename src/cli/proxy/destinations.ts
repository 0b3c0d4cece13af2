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

/** Where clouds answer a machine with its credentials. */
const METADATA_IPV4 = ['169.254.169.254', '100.100.100.200', '168.63.129.16', '192.0.0.192'];
const METADATA_IPV6 = ['fd00:ec2::254', 'fd20:ce::254'];
export const METADATA: readonly string[] = [...METADATA_IPV4, ...METADATA_IPV6];
const NEAR = new BlockList();
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ...METADATA_IPV4.map((address) => [address, 32] as const),
] as const)
  NEAR.addSubnet(net, prefix, 'ipv4');
for (const [net, prefix] of [
  ['::', 128],
  ['::1', 128],
  ['fe80::', 10],
  ['ff00::', 8],
  ['fd00:ec2::', 32],
  ...METADATA_IPV6.map((address) => [address, 128] as const),
  // What a gateway between the families takes for an address of this machine's link, or of its own.
  ...['0.0.0.0/104', '127.0.0.0/104', '169.254.0.0/112'].map((net) => {
    const [address, prefix] = net.split('/');
    return [`64:ff9b::${address}`, Number(prefix)] as const;
  }),
] as const)
  NEAR.addSubnet(net, prefix, 'ipv6');
