import { isIPv4, isIPv6 } from 'node:net';

/** From where a sign-in is good: the very address, its network (IPv4 /24, IPv6 /64), or anywhere. */
export type AddressRule = 'address' | 'network' | 'anywhere';

/** An address as it is compared: without a zone, and of IPv4 as such, however the socket was opened. */
export function plainAddress(address: string): string {
  const [plain = ''] = address.toLowerCase().split('%');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)?.[1];
  return mapped ?? plain;
}

/** True when what began at `first` may go on from `now`. What is no address is equal to itself alone. */
export function addressIn(rule: AddressRule, first: string, now: string): boolean {
  if (rule === 'anywhere' || first === now) return true;
  if (rule === 'address') return false;
  if (isIPv4(first) && isIPv4(now)) return networkOfV4(first) === networkOfV4(now);
  return isIPv6(first) && isIPv6(now) && networkOfV6(first) === networkOfV6(now);
}

function networkOfV4(address: string): string {
  return address.slice(0, address.lastIndexOf('.'));
}

/** The first four groups. */
function networkOfV6(address: string): string {
  const [head = '', tail] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const left = groups(head);
  const right = groups(tail ?? '');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const all = [...left, ...Array.from({ length: zeros }, () => '0'), ...right];
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16))
    .join(':');
}
