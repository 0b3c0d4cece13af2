import { toldText } from './told-text.ts';
import type { LinkVersion } from './version.ts';

/** What an agent says first. */
export interface LinkPreface {
  /** `aside`: no session is wanted, only a word said about one that there is, such as that its statement is to be cancelled. */
  readonly kind: 'session' | 'aside';
  /** The target's name. */
  readonly target: string;
  /** Undefined where the agent does not say. */
  readonly caller: LinkCaller | undefined;
}

/** What an agent knows of the process behind a session. Whoever reads it has the agent's word for it, and nothing else. */
export interface LinkCaller {
  /** The registration entry that gave the identity. */
  readonly entryId: string;
  /** The SPIFFE ID of the node. */
  readonly nodeId: string;
  readonly process: {
    readonly pid: number;
    readonly uid: number;
    readonly gid: number;
    /** Path of what it runs; undefined where the agent could not look. */
    readonly executable: string | undefined;
    /** When it was started, as its kernel says it; undefined where the agent does not. */
    readonly startTime?: string | undefined;
  };
  /** As `type:value`. */
  readonly selectors: readonly string[];
  /** There are so many more. */
  readonly selectorsLeftOut: number;
}

/**
 * Four letters for the kind and the version, the length of what follows (u16), and in version 1 the target's name alone; in version 2 fields,
 * each a byte for what it is, its length (u16) and its value.
 */
export function encodeLinkPreface(preface: LinkPreface, version: LinkVersion): Buffer {
  const target = Buffer.from(preface.target, 'utf8');
  const body = version === 1 ? target : Buffer.concat([field(TARGET, target), ...callerFields(preface.caller)]);
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(magicOf(preface.kind, version), 'latin1');
  header.writeUInt16BE(body.length, MAGIC_BYTES);
  return Buffer.concat([header, body]);
}

/** The preface at the start of `bytes`, and how many of them it has; `more` while it is incomplete, `wrong` when it is none of that version. */
export function parseLinkPreface(
  bytes: Buffer,
  version: LinkVersion,
): { readonly preface: LinkPreface; readonly bytes: number } | 'more' | 'wrong' {
  const magic = bytes.toString('latin1', 0, MAGIC_BYTES);
  const kind = KINDS.find((one) => magicOf(one, version).startsWith(magic));
  if (kind === undefined) return 'wrong';
  if (bytes.length < HEADER_BYTES) return 'more';
  const length = bytes.readUInt16BE(MAGIC_BYTES);
  if (length === 0 || length > (version === 1 ? TARGET_BYTES_MAX : BODY_BYTES_MAX)) return 'wrong';
  const end = HEADER_BYTES + length;
  if (bytes.length < end) return 'more';
  const body = bytes.subarray(HEADER_BYTES, end);
  const said = version === 1 ? { target: body.toString('utf8'), caller: undefined } : parseFields(body);
  return said === undefined ? 'wrong' : { preface: { kind, ...said }, bytes: end };
}

function parseFields(body: Buffer): Pick<LinkPreface, 'target' | 'caller'> | undefined {
  const fields = new Map<number, Buffer[]>();
  for (let at = 0; at < body.length; ) {
    const start = at + FIELD_HEADER_BYTES;
    if (start > body.length) return undefined;
    const [tag = 0, end] = [body[at], start + body.readUInt16BE(at + 1)];
    if (end > body.length) return undefined;
    const value = body.subarray(start, end);
    const values = fields.get(tag);
    if (values === undefined) fields.set(tag, [value]);
    else if (tag === SELECTOR || tag > TAG_MAX) values.push(value);
    else return undefined; // Two that can't both be meant.
    at = end;
  }
  const target = fields.get(TARGET)?.[0];
  if (target === undefined || target.length === 0 || target.length > TARGET_BYTES_MAX) return undefined;
  const caller = parseCaller(fields);
  return caller === 'wrong' ? undefined : { target: target.toString('utf8'), caller };
}

function parseCaller(fields: ReadonlyMap<number, readonly Buffer[]>): LinkCaller | undefined | 'wrong' {
  const known = [...fields.keys()].filter((tag) => tag !== TARGET && tag <= TAG_MAX);
  if (known.length === 0) return undefined;
  const text = (tag: number, bytesMax: number) => {
    const value = fields.get(tag)?.[0];
    return value === undefined ? undefined : toldText(value.toString('utf8'), bytesMax);
  };
  const number = (tag: number) => {
    const value = fields.get(tag)?.[0];
    return value?.length === NUMBER_BYTES ? value.readUInt32BE() : undefined;
  };
  const [entryId, nodeId] = [text(ENTRY, ENTRY_BYTES_MAX), text(NODE, NODE_BYTES_MAX)];
  const [pid, uid, gid] = [number(PID), number(UID), number(GID)];
  const leftOut = fields.has(SELECTORS_LEFT_OUT) ? number(SELECTORS_LEFT_OUT) : 0;
  if (entryId === undefined || nodeId === undefined || leftOut === undefined) return 'wrong';
  if (pid === undefined || uid === undefined || gid === undefined) return 'wrong';
  const all = fields.get(SELECTOR) ?? [];
  return {
    ...{ entryId, nodeId },
    process: {
      ...{ pid, uid, gid, executable: text(EXECUTABLE, EXECUTABLE_BYTES_MAX) },
      ...(fields.has(START_TIME) ? { startTime: text(START_TIME, START_TIME_BYTES_MAX) } : {}),
    },
    selectors: all.slice(0, SELECTORS_MAX).map((value) => toldText(value.toString('utf8'), SELECTOR_BYTES_MAX)),
    selectorsLeftOut: Math.min(leftOut + Math.max(all.length - SELECTORS_MAX, 0), NUMBER_MAX),
  };
}

function callerFields(caller: LinkCaller | undefined): Buffer[] {
  if (caller === undefined) return [];
  const { entryId, nodeId, process, selectors } = caller;
  const { pid, uid, gid, executable, startTime } = process;
  const text = (tag: number, told: string, bytesMax: number) => field(tag, Buffer.from(toldText(told, bytesMax)));
  const leftOut = caller.selectorsLeftOut + Math.max(selectors.length - SELECTORS_MAX, 0);
  return [
    text(ENTRY, entryId, ENTRY_BYTES_MAX),
    text(NODE, nodeId, NODE_BYTES_MAX),
    ...[numberField(PID, pid), numberField(UID, uid), numberField(GID, gid)],
    ...(executable === undefined ? [] : [text(EXECUTABLE, executable, EXECUTABLE_BYTES_MAX)]),
    ...(startTime === undefined ? [] : [text(START_TIME, startTime, START_TIME_BYTES_MAX)]),
    ...selectors.slice(0, SELECTORS_MAX).map((selector) => text(SELECTOR, selector, SELECTOR_BYTES_MAX)),
    ...(leftOut === 0 ? [] : [numberField(SELECTORS_LEFT_OUT, leftOut)]),
  ];
}

function field(tag: number, value: Buffer): Buffer {
  const header = Buffer.alloc(FIELD_HEADER_BYTES);
  header[0] = tag;
  header.writeUInt16BE(value.length, 1);
  return Buffer.concat([header, value]);
}

function numberField(tag: number, value: number): Buffer {
  const bytes = Buffer.alloc(NUMBER_BYTES);
  bytes.writeUInt32BE(value);
  return field(tag, bytes);
}

function magicOf(kind: LinkPreface['kind'], version: LinkVersion): string {
  return `${kind === 'session' ? 'CSL' : 'CSA'}${version}`;
}

const KINDS = ['session', 'aside'] as const;
const MAGIC_BYTES = 4;
const HEADER_BYTES = MAGIC_BYTES + 2;
const FIELD_HEADER_BYTES = 3;
const NUMBER_BYTES = 4;
const NUMBER_MAX = 2 ** 32 - 1;

const TARGET = 1;
const ENTRY = 2;
const NODE = 3;
const PID = 4;
const UID = 5;
const GID = 6;
const EXECUTABLE = 7;
const SELECTOR = 8;
const SELECTORS_LEFT_OUT = 9;
const START_TIME = 10;
/** Of what is known here; what is beyond it comes from a newer agent, and is passed over. */
const TAG_MAX = START_TIME;

/** Names of targets are shorter. */
const TARGET_BYTES_MAX = 255;
const ENTRY_BYTES_MAX = 256;
/** As long as a SPIFFE ID may be. */
const NODE_BYTES_MAX = 2_048;
const EXECUTABLE_BYTES_MAX = 1_024;
const START_TIME_BYTES_MAX = 64;
/** Those of the entry come first; a process with many groups has some more. */
const SELECTORS_MAX = 32;
const SELECTOR_BYTES_MAX = 256;
/** All of the above at their longest, and room for what is to come. */
const BODY_BYTES_MAX = 16 * 1024;
