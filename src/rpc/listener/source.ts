import { isIPv6 } from 'node:net';
import type { Peer } from '../call.ts';

/** Under what a peer's connections and calls are counted together: its address, or the network that one IPv6 host has to itself. */
export function sourceOf(peer: Peer): string {
  return peer.kind === 'tls' ? sourceOfAddress(peer.remoteAddress) : 'local';
}

/** The same for an address as node:net writes it. Whoever has one IPv6 address has 2^64 of them, so the first half counts. */
export function sourceOfAddress(address: string): string {
  const [plain = ''] = address.split('%');
  if (!isIPv6(plain)) return plain;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain);
  if (mapped?.[1] !== undefined) return mapped[1];
  const [head = '', tail] = plain.toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? 0 : tail.split(':').length;
    groups.push(...new Array<string>(Math.max(0, GROUPS - groups.length - after)).fill('0'), ...tail.split(':'));
  }
  const network = groups.slice(0, NETWORK_GROUPS).map((group) => Number.parseInt(group || '0', 16).toString(16));
  return `${network.join(':')}::/64`;
}

const GROUPS = 8;
const NETWORK_GROUPS = 4;
