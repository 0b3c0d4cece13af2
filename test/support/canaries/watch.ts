/** Knows the secret values of a test and where each may be, and finds them anywhere else. */
import * as fs from 'node:fs';
import { codeOf } from '../../../src/std/index.ts';
import { type Form, formsOf } from './forms.ts';
import { createSearch, type Search } from './search.ts';
import { secretTraces, TRACE_BYTES_MAX, type Trace } from './traces.ts';

/** A value that must be seen in no place but those: a file, or a folder with all below it. */
export interface Canary {
  readonly name: string;
  readonly value: string | Uint8Array;
  readonly may: readonly string[];
}

/** Where something secret was; never what. */
export interface Leak {
  readonly name: string;
  readonly form: string;
  readonly place: string;
  readonly offset: number;
}

export interface Watch {
  /** From now on the value is looked for. Kept for the end of the whole run too, unless it is not of this run (`known`). */
  add(canary: Canary, options?: { known?: boolean }): void;
  /** Private keys and signed tokens may be there. */
  allowTraces(place: string): void;
  /** Looks at some bytes; `place` says in a report where they were. */
  look(place: string, bytes: string | Uint8Array): void;
  /** Looks at a whole file, however large. One that is gone, or not a file, is passed over. */
  lookFile(file: string): void;
  /** How many values and places there were, and what was found, each name once a place. */
  report(): {
    readonly values: number;
    readonly places: number;
    readonly bytes: number;
    readonly leaks: readonly Leak[];
  };
}

/** Creates a watch. `registry` is a file that the values of a whole run are collected in; `traces` also looks for keys and tokens. */
export function createWatch(options: { registry?: string | undefined; traces: boolean }): Watch {
  const canaries: Canary[] = [];
  const traces = options.traces ? secretTraces() : [];
  const tracePlaces: string[] = [];
  const leaks = new Map<string, Leak>();
  let hunt: Hunt | undefined;
  let [places, bytesSeen] = [0, 0];
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);

  const note = (target: Target, begin: string, where: { place: string; offset: number }) => {
    const { canary, trace, form } = target;
    const may = canary?.may ?? tracePlaces;
    if (may.some((one) => where.place === one || where.place.startsWith(`${one}/`))) return;
    if (trace && !trace.confirm(begin)) return;
    const name = canary?.name ?? trace?.name ?? '';
    const key = `${name}\n${where.place}`;
    if (!leaks.has(key)) leaks.set(key, { name, form, ...where });
  };
  /** `last` = no more bytes follow: else what begins in the last part is left for the next. */
  const lookAt = (place: string, bytes: Buffer, { base, last }: { base: number; last: boolean }) => {
    hunt ??= createHunt(canaries, traces);
    const { search, targets } = hunt;
    const end = last ? bytes.length : bytes.length - TRACE_BYTES_MAX;
    search(bytes, (needle, at) => {
      const target = targets[needle];
      if (target === undefined || at >= end) return;
      note(target, bytes.toString('latin1', at, at + TRACE_BYTES_MAX), { place, offset: base + at });
    });
  };
  return {
    add(canary, { known = false } = {}) {
      formsOf(bytesOf(canary.value)); // Refuses a value that is too short, here and not at the end of the test.
      if (canaries.some((one) => bytesOf(one.value).equals(bytesOf(canary.value)))) return;
      canaries.push(canary);
      hunt = undefined;
      if (options.registry !== undefined && !known) appendTo(options.registry, canary);
    },
    allowTraces: (place) => void tracePlaces.push(place),
    look(place, bytes) {
      const all = bytesOf(bytes);
      places += 1;
      bytesSeen += all.length;
      lookAt(place, all, { base: 0, last: true });
    },
    lookFile(file) {
      const handle = openIfFile(file);
      if (handle === undefined) return;
      places += 1;
      try {
        for (let [base, kept] = [0, 0]; ; ) {
          const read = readAt(handle, chunk.subarray(kept), base + kept);
          const filled = kept + read;
          lookAt(file, chunk.subarray(0, filled), { base, last: read === 0 });
          if (read === 0) return;
          bytesSeen += read;
          kept = Math.min(TRACE_BYTES_MAX, filled);
          chunk.copyWithin(0, filled - kept, filled);
          base += filled - kept;
        }
      } finally {
        fs.closeSync(handle);
      }
    },
    report: () => ({ values: canaries.length, places, bytes: bytesSeen, leaks: [...leaks.values()] }),
  };
}

/** The values that the tests of a run left in the registry. @throws Error when it is missing or damaged */
export function readRegistry(file: string): readonly Canary[] {
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  return lines.filter(Boolean).map((line) => {
    const entry: unknown = JSON.parse(line);
    if (!Array.isArray(entry) || entry.length !== 2) throw new Error(`${file} holds a line that is no canary`);
    return { name: String(entry[0]), value: Buffer.from(String(entry[1]), 'base64'), may: [] };
  });
}

/** One line a leak: name, form, place and offset. */
export function describeLeaks(leaks: readonly Leak[]): string {
  return leaks.map(({ name, form, place, offset }) => `${name} (${form}) in ${place} at ${offset}`).join('\n');
}

interface Target {
  readonly canary?: Canary;
  readonly trace?: Trace;
  readonly form: string;
}
interface Hunt {
  readonly search: Search;
  readonly targets: readonly Target[];
}

function createHunt(canaries: readonly Canary[], traces: readonly Trace[]): Hunt {
  const targets: Target[] = [];
  const needles: Buffer[] = [];
  const push = (forms: readonly Form[], of: { canary: Canary } | { trace: Trace }) => {
    for (const { name, bytes } of forms) {
      needles.push(bytes);
      targets.push({ ...of, form: name });
    }
  };
  for (const canary of canaries) push(formsOf(bytesOf(canary.value)), { canary });
  for (const trace of traces) push(trace.forms, { trace });
  return { search: createSearch(needles), targets };
}

/** One short line by one write, so processes that append at once do not mix theirs. */
function appendTo(registry: string, { name, value }: Canary): void {
  const line = JSON.stringify([name, bytesOf(value).toString('base64')]);
  fs.appendFileSync(registry, `${line}\n`, { mode: 0o600 });
}

/** Not blocking: a pipe has no end. */
function openIfFile(file: string): number | undefined {
  try {
    const handle = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOFOLLOW);
    if (fs.fstatSync(handle).isFile()) return handle;
    fs.closeSync(handle);
  } catch (error) {
    if (!NOTHING_THERE.has(String(codeOf(error)))) throw error;
  }
  return undefined;
}

/** 0 at the end of the file, and when it is one of a process that has ended since. */
function readAt(handle: number, into: Buffer, position: number): number {
  try {
    return fs.readSync(handle, into, 0, into.length, position);
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return 0;
    throw error;
  }
}

function bytesOf(value: string | Uint8Array): Buffer {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : Buffer.from(value);
}

/** Gone since the folder was listed, a process that has ended, a socket, a symbolic link: there is nothing to read. */
const NOTHING_THERE = new Set(['ENOENT', 'ENOTDIR', 'ESRCH', 'ENXIO', 'ELOOP']);
const CHUNK_BYTES = 4 * 1024 * 1024;
