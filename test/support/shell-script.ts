/**
 * Scripts that a user could type, with what they would see. A script is text: a line `$ command` (a line ending in `\` goes on in the next)
 * is followed by the expected output, standard output first, then standard error, then `[exit N]` unless N is 0. `web$ command` runs as
 * that user of the stack. In expected lines `<...>` stands for any text, and a line `<...>` alone for any lines; `/stack` is the
 * stack's folder. Lines with `#` explain. The terminal is wide, so a sentence is one line; what is broken at 80 columns is for
 * `surface.test.ts`, or a command that begins with COLUMNS=80.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { run, type User } from './processes.ts';
import { EXECUTABLE, type Stack } from './stack.ts';

export interface Step {
  readonly line: number;
  readonly user: string;
  readonly command: string;
  readonly expected: readonly string[];
}

/** Reads a script. */
export function parseScript(text: string): Step[] {
  const steps: { line: number; user: string; command: string; expected: string[] }[] = [];
  let open = false;
  for (const [index, line] of text.split('\n').entries()) {
    const last = steps.at(-1);
    const begin = /^([a-z]*)\$ (.*)$/.exec(line);
    if (open && last) last.command += `\n${line}`;
    else if (begin) steps.push({ line: index + 1, user: begin[1] ?? '', command: begin[2] ?? '', expected: [] });
    else if (!line.startsWith('#') && line !== '') last?.expected.push(line);
    open = (open || begin !== null) && line.endsWith('\\');
  }
  return steps;
}

/** Runs one step in a shell; returns what a user would see, one line each, empty lines left out. */
export async function runStep(stack: Stack, step: Step): Promise<string[]> {
  const user = userOf(stack, step.user);
  const folder = path.join(stack.folder.path, `home-${user ?? 'own'}`);
  if (!fs.existsSync(folder)) prepareHome(stack, folder, user);
  const args = ['-c', `cd '${folder}' && ${step.command.replaceAll(STACK, stack.folder.path)}`];
  const env = {
    PATH: `${path.join(stack.folder.path, 'bin')}:/usr/local/bin:/usr/bin:/bin`,
    COUNTERSIGN_CONFIG: stack.folder.config,
    COLUMNS: '500',
    NODE_COMPILE_CACHE: path.join(folder, '.cache'),
    HOME: folder,
  };
  const finished = await run('/bin/sh', args, { user, env });
  stack.canaries.sawRun(['sh', ...args], env, finished);
  const lines = `${finished.stdout}\n${finished.stderr}`.split('\n').map((line) => line.trimEnd());
  const shown = lines.filter((line) => line !== '').map((line) => line.replaceAll(stack.folder.path, STACK));
  return finished.code === 0 ? shown : [...shown, `[exit ${finished.code}]`];
}

/** The first difference between what was seen and what was expected; undefined when there is none. */
export function differenceOf(seen: readonly string[], expected: readonly string[]): string | undefined {
  if (matches(seen, expected)) return undefined;
  return `expected:\n${expected.map((line) => `  ${line}`).join('\n')}\nseen:\n${seen.map((line) => `  ${line}`).join('\n')}`;
}

function matches(seen: readonly string[], expected: readonly string[]): boolean {
  const [line, ...rest] = expected;
  if (line === undefined) return seen.length === 0;
  if (line === ANY) return seen.some((_, at) => matches(seen.slice(at), rest)) || matches([], rest);
  const [first, ...others] = seen;
  return first !== undefined && lineMatches(first, line) && matches(others, rest);
}

function lineMatches(seen: string, expected: string): boolean {
  const parts = expected.split(ANY).map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(seen);
}

function userOf(stack: Stack, name: string): User {
  switch (name) {
    case '':
    case 'operator':
      return stack.users.server;
    case 'gateway':
    case 'web':
    case 'stranger':
      return stack.users[name];
    default:
      throw new Error(`no user ${name} in a stack`);
  }
}

function prepareHome(stack: Stack, folder: string, user: User): void {
  stack.folder.privateFolder(path.basename(folder), user);
  stack.canaries.allowTraces(folder);
  const bin = path.join(stack.folder.path, 'bin');
  if (fs.existsSync(bin)) return;
  fs.mkdirSync(bin);
  fs.writeFileSync(path.join(bin, 'countersign'), `#!/bin/sh\nexec '${process.execPath}' '${EXECUTABLE}' "$@"\n`, {
    mode: 0o755,
  });
}

const ANY = '<...>';
/** How scripts name the stack's folder. */
const STACK = '/stack';
