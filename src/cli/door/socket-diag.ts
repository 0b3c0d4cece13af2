import { endianness } from 'node:os';
import koffi from 'koffi';
import type { FindPeers, Origin, PeerSocket } from './socket-table.ts';

/**
 * Asks the kernel for the other end of each connection by its address, in a moment whatever else the machine has open: its lists in /proc take tens
 * of milliseconds on a large one. Undefined where it does not answer so, which the socket that listens at `port` of 127.0.0.1 shows.
 * @see sock_diag(7)
 */
export function openSocketDiag(port: number): FindPeers | undefined {
  try {
    const ask = bindAsk();
    const listener = ask([encodeQuestion({ local: { host: LOOPBACK, port }, remote: { host: '0.0.0.0', port: 0 } })]);
    if (listener[0] === undefined || answerOf(listener[0])?.state !== LISTEN) return undefined;
    return (origins, to) => {
      const ends = origins.map((local) => ({ local, remote: { host: LOOPBACK, port: to } }));
      const questions = ends.map((pair) => encodeQuestion(pair));
      return ask(questions).map((message, index) => peerOf(message, questions[index]));
    };
  } catch {
    return undefined; // The C library can't be called here, or the kernel has no such interface: there are the lists.
  }
}

/** One question about a TCP connection of IPv4; one whose program uses IPv6 for it is found by that as well. */
export function encodeQuestion({ local, remote }: { local: Origin; remote: Origin }): Buffer {
  const bytes = Buffer.alloc(QUESTION_BYTES);
  put32(bytes, 0, QUESTION_BYTES); // struct nlmsghdr
  put16(bytes, 4, SOCK_DIAG_BY_FAMILY);
  put16(bytes, 6, NLM_F_REQUEST);
  bytes[16] = AF_INET; // struct inet_diag_req_v2
  bytes[17] = IPPROTO_TCP;
  put32(bytes, 20, 0xffff_ffff); // In any state.
  bytes.writeUInt16BE(local.port, ID_AT_ASKED);
  bytes.writeUInt16BE(remote.port, ID_AT_ASKED + 2);
  bytes.set(addressOf(local.host), ID_AT_ASKED + 4);
  bytes.set(addressOf(remote.host), ID_AT_ASKED + 20);
  bytes.fill(0xff, ID_AT_ASKED + 40, ID_AT_ASKED + 48); // No cookie.
  return bytes;
}

/** What an answer tells; undefined when there is no such connection. Where there is none the kernel may name a socket that listens. @throws Error for what is no answer to the question */
export function peerOf(message: Buffer, question: Buffer | undefined): PeerSocket | undefined {
  const answer = answerOf(message);
  if (answer === undefined || answer.state === LISTEN) return undefined;
  const asked = question?.subarray(ID_AT_ASKED, ID_AT_ASKED + 4);
  if (asked?.equals(message.subarray(ID_AT_TOLD, ID_AT_TOLD + 4)) !== true)
    throw new Error('the kernel has answered another question');
  return { uid: answer.uid, inode: answer.inode === 0 ? undefined : String(answer.inode) };
}

function answerOf(message: Buffer): { state: number; uid: number; inode: number } | undefined {
  const type = message.length < 20 ? 0 : get16(message, 4);
  if (type === NLMSG_ERROR) {
    const code = -(get32(message, 16) | 0);
    if (code === ENOENT) return undefined;
    throw new Error(`the kernel does not tell of sockets: error ${code}`);
  }
  if (type !== SOCK_DIAG_BY_FAMILY || message.length < ANSWER_BYTES)
    throw new Error('the kernel does not tell of sockets');
  return { state: message[17] ?? 0, uid: get32(message, 80), inode: get32(message, 84) };
}

/** Sends questions one by one: the kernel has answered each by the time that it is sent. */
function bindAsk(): (questions: readonly Buffer[]) => Buffer[] {
  const libc = koffi.load(null);
  const socket = libc.func('int socket(int, int, int)');
  const send = libc.func('long send(int, const void *, size_t, int)');
  const recv = libc.func('long recv(int, _Out_ void *, size_t, int)');
  const close = libc.func('int close(int)');
  return (questions) => {
    const fd: number = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) throw new Error(`no socket to ask the kernel by: errno ${koffi.errno()}`);
    try {
      return questions.map((question) => {
        const answer = Buffer.alloc(ANSWER_BYTES_MAX);
        if (Number(send(fd, question, question.length, 0)) !== question.length)
          throw new Error(`the kernel takes no question: errno ${koffi.errno()}`);
        const bytes = Number(recv(fd, answer, answer.length, MSG_DONTWAIT));
        if (bytes < 0) throw new Error(`the kernel gives no answer: errno ${koffi.errno()}`);
        return answer.subarray(0, bytes);
      });
    } finally {
      close(fd);
    }
  };
}

function addressOf(host: string): Buffer {
  const bytes = Buffer.from(host.split('.').map(Number));
  if (bytes.length !== 4) throw new Error(`${host} is no address of IPv4`);
  return bytes;
}

const isLittle = endianness() === 'LE';
const put16 = (bytes: Buffer, at: number, value: number) =>
  isLittle ? bytes.writeUInt16LE(value, at) : bytes.writeUInt16BE(value, at);
const put32 = (bytes: Buffer, at: number, value: number) =>
  isLittle ? bytes.writeUInt32LE(value, at) : bytes.writeUInt32BE(value, at);
const get16 = (bytes: Buffer, at: number) => (isLittle ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at));
const get32 = (bytes: Buffer, at: number) => (isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
const LOOPBACK = '127.0.0.1';
const AF_INET = 2;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0x8_0000;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
const NLMSG_ERROR = 2;
const MSG_DONTWAIT = 0x40;
const IPPROTO_TCP = 6;
const LISTEN = 10;
const ENOENT = 2;
const QUESTION_BYTES = 72;
/** Both ports, in the network's order; then the addresses. */
const ID_AT_ASKED = 24;
const ID_AT_TOLD = 20;
const ANSWER_BYTES = 88;
/** Attributes follow, which nobody asked for. */
const ANSWER_BYTES_MAX = 4096;
