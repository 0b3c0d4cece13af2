/**
 * `node user-file-system-worker.ts FOLDER FILE`: a file system in user space, mounted on FOLDER, that holds FILE as `program` and remembers nothing,
 * so that the kernel asks it each time. Stopped (SIGSTOP), it never answers. Writes `ready` when it is mounted; ends with 3 when it may not be.
 * @see linux/fuse.h
 */
import { openSync, readFileSync, readSync, writeSync } from 'node:fs';
import koffi from 'koffi';

const [folder = '', file = ''] = process.argv.slice(2);
const content = readFileSync(file);
const device = openSync('/dev/fuse', 'r+');
const mount = koffi.load(null).func('int mount(const char *, const char *, const char *, unsigned long, const char *)');
if (mount('test', folder, 'fuse.test', 0, `fd=${device},rootmode=40000,user_id=0,group_id=0,allow_other`) !== 0)
  process.exit(3);

const ROOT_NODE = 1n;
const PROGRAM_NODE = 2n;
const ENOENT = -2;
const ENOSYS = -38;

function attributes(node: bigint): Buffer {
  const out = Buffer.alloc(88);
  out.writeBigUInt64LE(node, 0);
  out.writeBigUInt64LE(node === ROOT_NODE ? 0n : BigInt(content.length), 8);
  out.writeUInt32LE(node === ROOT_NODE ? 0o40755 : 0o100755, 60);
  out.writeUInt32LE(1, 64);
  return out;
}

/** The answer to one request, or its error; undefined where none is wanted. */
function answer(opcode: number, node: bigint, body: Buffer): Buffer | number | undefined {
  switch (opcode) {
    case 1: {
      if (body.toString('latin1') !== 'program\0') return ENOENT;
      const head = Buffer.alloc(40);
      head.writeBigUInt64LE(PROGRAM_NODE, 0);
      return Buffer.concat([head, attributes(PROGRAM_NODE)]);
    }
    case 3:
      return Buffer.concat([Buffer.alloc(16), attributes(node)]);
    case 14:
      return Buffer.alloc(16);
    case 15: {
      const from = Number(body.readBigUInt64LE(8));
      return content.subarray(from, from + body.readUInt32LE(16));
    }
    case 17: {
      const out = Buffer.alloc(80);
      out.writeUInt32LE(4_096, 40);
      out.writeUInt32LE(255, 44);
      return out;
    }
    case 26: {
      const out = Buffer.alloc(64);
      out.writeUInt32LE(7, 0);
      out.writeUInt32LE(31, 4);
      out.writeUInt32LE(65_536, 20);
      return out;
    }
    case 18:
    case 25:
      return Buffer.alloc(0);
    case 2:
    case 36:
    case 42:
      return undefined;
    default:
      return ENOSYS;
  }
}

process.stdout.write('ready\n');
const request = Buffer.alloc(1024 * 1024);
for (;;) {
  const bytes = readSync(device, request);
  const said = answer(request.readUInt32LE(4), request.readBigUInt64LE(16), request.subarray(40, bytes));
  if (said === undefined) continue;
  const body = typeof said === 'number' ? Buffer.alloc(0) : said;
  const head = Buffer.alloc(16);
  head.writeUInt32LE(16 + body.length, 0);
  head.writeInt32LE(typeof said === 'number' ? said : 0, 4);
  request.copy(head, 8, 8, 16);
  writeSync(device, Buffer.concat([head, body]));
}
