import { BlockList, isIP } from 'node:net';
import { plainHost } from './connect-head.ts';

/** What of a user's NO_PROXY stays, and which entries had to go since they would lead past us to a target's host. */
export interface NoProxy {
  readonly value: string;
  readonly dropped: readonly string[];
}

/** Clients go by themselves to what is near, and to what the user's own variable says, but for hosts of targets. */
export function noProxyOf(written: string | undefined, hosts: readonly string[], near: readonly string[]): NoProxy {
  const entries = (written ?? '').split(/[\s,]+/).filter((entry) => entry !== '');
  const dropped = entries.filter((entry) => hosts.some((host) => excludes(entry, host)));
  const kept = entries.filter((entry) => !dropped.includes(entry));
  return { value: [...new Set([...kept, ...near])].join(','), dropped };
}

/**
 * The same for Java, whose patterns may begin or end with `*` and know no networks: of these the ones that are whole numbers between dots are said so, and
 * others left out.
 */
export function javaNoProxyOf(value: string): string {
  const entries = value.split(',').filter((entry) => entry !== '');
  const patterns = entries.flatMap((entry) => {
    const net = netOf(entry);
    if (net !== undefined) return net.family === 'ipv4' && net.prefix % 8 === 0 ? wholeNumbers(net) : [];
    const name = nameIn(entry);
    if (isIP(name) === 6) return [`[${name}]`];
    if (!/^[a-z0-9._-]*$/.test(name)) return [];
    if (name === '') return ['*'];
    return isIP(name) === 4 ? [name] : [name, `*.${name}`];
  });
  return [...new Set(['localhost', '127.*', '[::1]', ...patterns])].join('|');
}

/** As the most generous client reads it: the name itself, all below it, whatever the port; an address by its network, or what it begins with. */
function excludes(entry: string, host: string): boolean {
  const net = netOf(entry);
  if (net !== undefined) {
    const family = isIP(host);
    if (family === 0) return false;
    const list = new BlockList();
    list.addSubnet(net.address, net.prefix, net.family);
    return list.check(host, family === 6 ? 'ipv6' : 'ipv4');
  }
  const name = nameIn(entry);
  if (isIP(host) === 4 && /^[\d.]+\*?$/.test(name) && /[.*]$/.test(entry))
    return host.startsWith(name.replace(/\*$/, ''));
  return name === '' || host === name || host.endsWith(`.${name}`);
}

interface Net {
  readonly address: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** Undefined for what is no network. */
function netOf(entry: string): Net | undefined {
  const [, written = '', digits = ''] = /^(.*)\/(\d{1,3})$/.exec(entry) ?? [];
  const address = written.replace(/^\[|\]$/g, '');
  const family = isIP(address);
  const prefix = Number(digits);
  if (digits === '' || family === 0 || prefix > (family === 4 ? 32 : 128)) return undefined;
  return { address, prefix, family: family === 4 ? 'ipv4' : 'ipv6' };
}

function wholeNumbers({ address, prefix }: Net): readonly string[] {
  const numbers = address.split('.').slice(0, prefix / 8);
  return [[...numbers, ...(prefix === 32 ? [] : ['*'])].join('.')];
}

/** The name or address of an entry, without what says that names below it are meant as well. */
function nameIn(entry: string): string {
  const text = entry.toLowerCase();
  const [, inside] = /^\[([^\]]*)\](?::\d+)?$/.exec(text) ?? [];
  const address = inside ?? text;
  if (isIP(address) === 6) return plainHost(`[${address}]`);
  return text
    .replace(/:\d+$/, '')
    .replace(/^\*?\.?/, '')
    .replace(/\.$/, '');
}
