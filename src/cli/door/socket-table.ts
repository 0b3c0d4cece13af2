/** What the kernel tells of the socket at the other end of a connection. */
export interface PeerSocket {
  /** The user as whom it was opened. */
  readonly uid: number;
  /** Its number among all sockets; undefined when no process has it open any more. */
  readonly inode: string | undefined;
}

/** Where a connection comes from. */
export interface Origin {
  /** Dotted. */
  readonly host: string;
  readonly port: number;
}

/** Finds the other ends of connections to a port of 127.0.0.1, in the order of `origins`; undefined for what there is not. @throws Error where it can't be told */
export type FindPeers = (origins: readonly Origin[], port: number) => readonly (PeerSocket | undefined)[];

/** Finds them in the kernel's tables, each read where those before lack one. */
export function findInTables(tables: readonly (() => string)[], order: 'BE' | 'LE'): FindPeers {
  return (origins, port) => {
    const found = new Map<string, PeerSocket>();
    const keys = origins.map((origin) => originKey(origin, order) ?? '');
    for (const table of tables) {
      if (keys.every((key) => found.has(key))) break;
      for (const [key, peer] of findPeers(table(), port, order)) found.set(key, found.has(key) ? NOBODY : peer);
    }
    return keys.map((key) => found.get(key));
  };
}

/**
 * Finds in the text of /proc/net/tcp, or of tcp6, the other ends of connections to 127.0.0.1:`port`, by their {@link originKey}. A program whose
 * sockets are of IPv6, as Java's are, is in tcp6 with IPv4's addresses in IPv6's. Lines of another form are passed over; one that is there twice
 * belongs to nobody.
 * @see proc_pid_net(5)
 */
export function findPeers(table: string, port: number, order: 'BE' | 'LE'): ReadonlyMap<string, PeerSocket> {
  const found = new Map<string, PeerSocket>();
  const goal = `${addressHex(LOOPBACK, order)}:${portHex(port)}`;
  for (const line of table.split('\n')) {
    if (!line.includes(`${goal} `)) continue;
    const [, from = '', to = '', , , , , uid = '', , inode = ''] = line.trim().split(/ +/);
    const [local, remote] = [withoutPrefix(from, order), withoutPrefix(to, order)];
    if (remote !== goal || !/^[0-9A-F]{8}:[0-9A-F]{4}$/.test(local) || !NUMBER.test(uid) || !NUMBER.test(inode))
      continue;
    found.set(local, found.has(local) ? NOBODY : { uid: Number(uid), inode: inode === '0' ? undefined : inode });
  }
  return found;
}

/** What {@link findPeers} calls it; undefined for what is no address of IPv4. */
export function originKey({ host, port }: Origin, order: 'BE' | 'LE'): string | undefined {
  return IPV4.test(host) ? `${addressHex(host, order)}:${portHex(port)}` : undefined;
}

/** The kernel prints an address as numbers of 32 bits, in the order of the machine's bytes. */
function addressHex(host: string, order: 'BE' | 'LE'): string {
  const bytes = Buffer.from(host.split('.').map(Number));
  return (order === 'LE' ? bytes.reverse() : bytes).toString('hex').toUpperCase();
}

function portHex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}

/** Of IPv4's address in IPv6's only the former is left; any other stays as it is. */
function withoutPrefix(address: string, order: 'BE' | 'LE'): string {
  const prefix = `${'0'.repeat(16)}${order === 'LE' ? 'FFFF0000' : '0000FFFF'}`;
  return address.startsWith(prefix) ? address.slice(prefix.length) : address;
}

const LOOPBACK = '127.0.0.1';
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;
const NUMBER = /^\d{1,20}$/;
const NOBODY: PeerSocket = { uid: -1, inode: undefined };
