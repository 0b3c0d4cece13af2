/** What both Node clients share: where to connect, the run through the steps, and how a value is shown. */
import * as fs from 'node:fs';
import * as readline from 'node:readline';

export const negotiation = setting('DB_NEGOTIATION') === 'direct' ? 'direct' : 'postgres';

/** A step's work; its result is lines of text. */
export type StepWork = () => Promise<readonly string[]>;

export const place = {
  host: process.env['DB_ADDRESS'] ?? setting('DB_HOST'),
  port: Number(setting('DB_PORT')),
  user: setting('DB_USER'),
  password: process.env['DB_PASSWORD'],
  database: setting('DB_NAME'),
};

/** For `node:tls`; undefined = no TLS. */
export const tls =
  process.env['DB_CERTIFICATE'] === undefined
    ? undefined
    : {
        cert: fs.readFileSync(setting('DB_CERTIFICATE')),
        key: fs.readFileSync(setting('DB_KEY')),
        ca: fs.readFileSync(setting('DB_ROOTS')),
        servername: setting('DB_HOST'),
      };

/** Runs the steps that were asked for and prints a line for each; ends with 1 at the first that fails. */
export async function runSteps(steps: Readonly<Record<string, StepWork>>): Promise<never> {
  for (const step of setting('STEPS').split(',')) {
    try {
      const work = steps[step];
      if (work === undefined) throw new Error('this client does not know the step');
      print({ step, ok: true, result: await work() });
    } catch (error) {
      print({ step, ok: false, error: error instanceof Error ? `${error.message} ${error.stack}` : String(error) });
      process.exit(1);
    }
  }
  process.exit(0);
}

/** Says that a statement is on its way which has to be cancelled, and waits until the target runs it. */
export async function untilRunning(): Promise<void> {
  print({ step: 'cancel', waiting: true });
  const input = readline.createInterface({ input: process.stdin });
  for await (const _line of input) return;
}

/** SQLSTATE with which that fails. */
export async function failure(work: PromiseLike<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return String(error.code);
    throw error;
  }
  throw new Error('it did not fail');
}

export function show(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (Buffer.isBuffer(value)) return value.toString('hex');
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

export function showRow(row: object): string {
  return Object.values(row).map(show).join('|');
}

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function print(line: object) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
