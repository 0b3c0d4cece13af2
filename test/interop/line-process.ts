/** A client under test: a process that prints one JSON object a line, and may be told something in the same way. */
import { spawn } from 'node:child_process';
import * as readline from 'node:readline';
import type { User } from '../support/processes.ts';

export type Line = Readonly<Record<string, unknown>>;

export interface LineProcess extends AsyncDisposable {
  /** Writes one object as a line. */
  send(message: Line): void;
  /** The next line, in order. Rejects when the process ends first or `withinMs` (60 s) has passed. */
  next(withinMs?: number): Promise<Line>;
  /** Reads on until a line of that step comes. */
  until(step: string, withinMs?: number): Promise<Line>;
  /** All lines until the process ends by itself, and its exit code. */
  rest(): Promise<{ code: number; lines: readonly Line[]; stderr: string }>;
}

/** Starts a program as that user, in an environment of its own. */
export function startLineProcess(
  file: string,
  args: readonly string[],
  options: { user?: User; env?: Readonly<Record<string, string>> } = {},
): LineProcess {
  const child = spawn(file, args, {
    ...(options.user === undefined ? {} : { uid: options.user, gid: options.user }),
    cwd: '/',
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: '/nonexistent', LANG: 'C.UTF-8', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => {}); // It may end before it has read everything: its exit code tells.
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 128));
  });
  ended.catch(() => {}); // Whoever waits for a line or for the end gets it.
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (withinMs = 60_000): Promise<Line> => {
    const late = AbortSignal.timeout(withinMs);
    const line = await Promise.race([
      lines.next(),
      new Promise<never>((_, reject) => {
        late.addEventListener('abort', () => reject(new Error(`${file}: no line within ${withinMs} ms: ${stderr}`)));
      }),
    ]);
    if (line.done === true) throw new Error(`${file} ended with ${await ended}: ${stderr}`);
    return parseLine(line.value);
  };
  return {
    send: (message) => void child.stdin.write(`${JSON.stringify(message)}\n`),
    next,
    async until(step, withinMs) {
      for (;;) {
        const line = await next(withinMs);
        if (line['ok'] === false || line['step'] === step) return line;
      }
    },
    async rest() {
      const all: Line[] = [];
      for (let line = await lines.next(); line.done !== true; line = await lines.next())
        all.push(parseLine(line.value));
      return { code: await ended, lines: all, stderr };
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      child.kill('SIGKILL');
      await ended.catch(() => {}); // One that never started has nothing to wait for.
    },
  };
}

function parseLine(text: string): Line {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new Error(`a line is no object: ${text}`);
  return { ...value };
}
