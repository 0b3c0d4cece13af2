/** A program that answers each line of its input with some lines of output. */
import { spawn } from 'node:child_process';
import { processesOf } from '../../support/at-rest.ts';
import { own, runMark } from '../../support/owned.ts';

export interface Conversation {
  /**
   * Writes a line, and resolves to what the program prints until it is as long as that. When it ends, or two minutes pass, to what it has
   * printed and said by then.
   */
  ask(line: string, like: string): Promise<string>;
  /** It and what it has started. */
  processes(): readonly number[];
  /** Ends its input, and soon it and all that it has started. */
  end(): Promise<void>;
}

/** Starts it, in an environment of its own. */
export function startConversation(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Conversation {
  const child = spawn(file, args, {
    ...{ cwd: '/', env: { ...env, ...runMark() }, detached: true },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  own(child);
  let [printed, said] = ['', ''];
  let onChange = () => {};
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
    onChange();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  child.stdin.on('error', () => {}); // It may end before it has read everything: what it printed tells.
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('close', () => resolve());
  });
  return {
    async ask(line, like) {
      printed = '';
      const whole = new Promise<void>((resolve) => {
        onChange = () => printed.length >= like.length && resolve();
      });
      child.stdin.write(`${line}\n`);
      const late = new Promise((resolve) => AbortSignal.timeout(WITHIN_MS).addEventListener('abort', resolve));
      const isWhole = await Promise.race([whole.then(() => true), ended.then(() => false), late.then(() => false)]);
      return isWhole ? printed : `${printed}${said}`;
    },
    processes: () => (child.pid === undefined ? [] : processesOf(child.pid)),
    async end() {
      child.stdin.end();
      const late = new Promise((resolve) => AbortSignal.timeout(ENDS_MS_MAX).addEventListener('abort', resolve));
      await Promise.race([ended, late]);
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      await ended;
    },
  };
}

const WITHIN_MS = 120_000;
const ENDS_MS_MAX = 20_000;
