/** An address with the length of its network prefix: `bits` is 32 or 128. */
export interface IpRange {
  readonly bits: 32 | 128;
  readonly address: bigint;
  readonly prefix: number;
}

/** Parses an IPv4 or IPv6 address, alone or as a CIDR range, in the forms Cedar takes; undefined when it is neither. */
export function parseIp(text: string): IpRange | undefined {
  if (text.length > IP_TEXT_MAX) return undefined;
  const slash = text.indexOf('/');
  const host = slash < 0 ? text : text.slice(0, slash);
  const isV6 = host.includes(':');
  const bits = isV6 ? 128 : 32;
  const address = isV6 ? parseV6(host) : parseV4(host);
  const prefix = slash < 0 ? bits : parsePrefix(text.slice(slash + 1), bits);
  return address === undefined || prefix === undefined ? undefined : { bits, address, prefix };
}

/** True when every address of `inner` is in `outer`. */
export function inRange(inner: IpRange, outer: IpRange): boolean {
  if (inner.bits !== outer.bits || inner.prefix < outer.prefix) return false;
  const shift = BigInt(outer.bits - outer.prefix);
  return inner.address >> shift === outer.address >> shift;
}

/** @see RFC 1122 §3.2.1.3, RFC 4291 §2.5.3 */
export function isLoopback(range: IpRange): boolean {
  return inRange(range, range.bits === 32 ? LOOPBACK_V4 : LOOPBACK_V6);
}

/** @see RFC 5771, RFC 4291 §2.7 */
export function isMulticast(range: IpRange): boolean {
  return inRange(range, range.bits === 32 ? MULTICAST_V4 : MULTICAST_V6);
}

function parseV4(text: string): bigint | undefined {
  const match = V4.exec(text);
  if (match === null) return undefined;
  let address = 0n;
  for (const part of match.slice(1)) {
    if (Number(part) > 255) return undefined;
    address = (address << 8n) | BigInt(part);
  }
  return address;
}

/** Without an embedded IPv4 part: Cedar refuses those. */
function parseV6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [left = '', right] = halves;
  const head = groupsOf(left);
  const tail = right === undefined ? [] : groupsOf(right);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (right === undefined ? missing !== 0 : missing < 1) return undefined;
  let address = 0n;
  for (const group of [...head, ...Array.from({ length: missing }, () => '0'), ...tail])
    address = (address << 16n) | BigInt(`0x${group}`);
  return address;
}

function groupsOf(text: string): string[] | undefined {
  if (text === '') return [];
  const groups = text.split(':');
  return groups.every((group) => V6_GROUP.test(group)) ? groups : undefined;
}

function parsePrefix(text: string, bits: number): number | undefined {
  if (!PREFIX.test(text)) return undefined;
  const prefix = Number(text);
  return prefix <= bits ? prefix : undefined;
}

const V4 = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;
const V6_GROUP = /^[0-9a-fA-F]{1,4}$/;
const PREFIX = /^(?:0|[1-9]\d{0,2})$/;
/** Eight groups of four, seven colons, a slash and three digits. */
const IP_TEXT_MAX = 43;
const LOOPBACK_V4: IpRange = { bits: 32, address: 127n << 24n, prefix: 8 };
const LOOPBACK_V6: IpRange = { bits: 128, address: 1n, prefix: 128 };
const MULTICAST_V4: IpRange = { bits: 32, address: 224n << 24n, prefix: 4 };
const MULTICAST_V6: IpRange = { bits: 128, address: 0xff00n << 112n, prefix: 8 };
