import { isIPv6 } from 'node:net';
import { endianness } from 'node:os';
import { getSystemErrorMessage } from 'node:util';
import koffi from 'koffi';

/** Where doors that several processes share may be: an IP address, and a port other than 0. */
export interface PortToClaim {
  readonly address: string;
  readonly port: number;
}

/**
 * Takes a port for the processes of this user that ask to share it (`SO_REUSEPORT`), against everybody else who takes it so: of two that come at the
 * same moment one fails. Nobody is heard there by it. The answer gives the port back; so does the kernel, however this process ends.
 *
 * To share is asked for before a socket has its place, and is granted to any of the user. So the place is taken without it, by listening, which the kernel
 * grants to one; then what keeps others out is set for good, sharing is allowed, and the socket hears nobody any more but keeps its place.
 * @throws Error in words of the system where it is taken, not of this machine or not permitted
 * @see inet_csk_bind_conflict in Linux, socket(7)
 */
export function claimPort(where: PortToClaim): () => void {
  const libc = koffi.load(null);
  const call = (name: string, parameters: string, ...given: readonly unknown[]): number => {
    const answer: number = libc.func(`int ${name}(${parameters})`)(...given);
    if (answer < 0) throw new Error(getSystemErrorMessage(-koffi.errno()));
    return answer;
  };
  const place = socketAddress(where, call);
  const socket = call('socket', 'int, int, int', place.readUInt16LE(0), SOCK_STREAM | SOCK_CLOEXEC, 0);
  const close = () => void call('close', 'int', socket);
  const set = (level: number, option: number, value: 0 | 1) =>
    call('setsockopt', 'int, int, int, void *, unsigned int', socket, level, option, numberBytes(value), 4);
  try {
    if (isIPv6(where.address)) set(IPPROTO_IPV6, IPV6_V6ONLY, 0); // As Node listens.
    set(SOL_SOCKET, SO_REUSEADDR, 1); // What is left of connections of before holds no place.
    call('bind', 'int, void *, unsigned int', socket, place, place.length);
    call('listen', 'int, int', socket, 0);
    set(SOL_SOCKET, SO_REUSEADDR, 0);
    set(SOL_SOCKET, SO_REUSEPORT, 1);
    call('shutdown', 'int, int', socket, SHUT_RD);
  } catch (error) {
    close();
    throw error;
  }
  return close;
}

type Call = (name: string, parameters: string, ...given: readonly unknown[]) => number;

/** `struct sockaddr_in` or `sockaddr_in6`. */
function socketAddress({ address, port }: PortToClaim, call: Call): Buffer {
  if (endianness() !== 'LE') throw new Error('ports are claimed on little-endian machines alone');
  const [plain = '', scope] = address.split('%');
  const isSix = isIPv6(address);
  const [family, place, start, length] = isSix
    ? [AF_INET6, Buffer.alloc(28), 8, 16]
    : [AF_INET, Buffer.alloc(16), 4, 4];
  place.writeUInt16LE(family, 0);
  place.writeUInt16BE(port, 2);
  const bytes = Buffer.alloc(length);
  if (call('inet_pton', 'int, const char *, _Out_ void *', family, plain, bytes) !== 1)
    throw new Error(`${address} is no IP address`);
  bytes.copy(place, start);
  if (scope !== undefined) place.writeUInt32LE(call('if_nametoindex', 'const char *', scope), 24);
  return place;
}

function numberBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_REUSEPORT = 15;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const SHUT_RD = 0;
