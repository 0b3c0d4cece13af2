/** Commands of a foreign suite: their output is what is wanted, whatever they end with. */
import { spawn } from 'node:child_process';

export interface CommandOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Killed with its children after this time; half an hour. */
  readonly withinMs?: number;
}

export interface Ended {
  /** Exit code; 128 when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one to its end, with the environment of this process and more; nothing of PostgreSQL's variables comes through. */
export function command(file: string, args: readonly string[], options: CommandOptions): Promise<Ended> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'));
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: { ...Object.fromEntries(inherited), ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    // With its children: a build tool's tests are processes of their own.
    const kill = () => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
    };
    const end = setTimeout(kill, options.withinMs ?? COMMAND_MS_MAX);
    process.once('exit', kill);
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (piece: Buffer) => stdout.push(piece));
    child.stderr.on('data', (piece: Buffer) => stderr.push(piece));
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(end);
      process.off('exit', kill);
      resolve({ code: code ?? 128, stdout: text(stdout), stderr: text(stderr) });
    });
    child.stdin.on('error', () => {}); // A program that does not read its input ends all the same.
    child.stdin.end(options.stdin ?? '');
  });
}

/** Runs one that must succeed. @throws Error with what it printed */
export async function mustRun(file: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const { code, stdout, stderr } = await command(file, args, options);
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`.slice(-8000));
  return stdout;
}

/** Output may be in any encoding: what is not UTF-8 becomes what each byte is in Latin 1. */
function text(pieces: readonly Buffer[]): string {
  const all = Buffer.concat(pieces);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(all);
  } catch {
    return all.toString('latin1');
  }
}

const COMMAND_MS_MAX = 30 * 60_000;
