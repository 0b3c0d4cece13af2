/** Suites that pytest runs: an environment with what they need, a run, and its report read. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { command, mustRun } from '../command.ts';
import { once } from '../sources.ts';
import type { Outcome } from '../suite.ts';

/** A Python with those requirements installed. */
export function pythonWith(cache: string, name: string, requirements: readonly string[]): Promise<string> {
  return once(cache, `${name}-python`, async (folder) => {
    await mustRun('/usr/bin/python3', ['-m', 'venv', folder], { cwd: folder });
    await mustRun(path.join(folder, 'bin/pip'), ['install', '--quiet', ...requirements], { cwd: folder });
    return path.join(folder, 'bin/python');
  });
}

/** Runs pytest in `cwd` over those files. */
export async function pytest(
  python: string,
  args: readonly string[],
  options: { cwd: string; work: string; env: Readonly<Record<string, string>> },
): Promise<ReadonlyMap<string, Outcome>> {
  const report = path.join(options.work, 'report.xml');
  const cache = `cache_dir=${path.join(options.work, 'cache')}`;
  const all = [
    '-m',
    'pytest',
    '-q',
    '--tb=native',
    '--continue-on-collection-errors',
    '-o',
    cache,
    `--junitxml=${report}`,
    ...args,
  ];
  const { stdout, stderr } = await command(python, all, { cwd: options.cwd, env: options.env, withinMs: RUN_MS_MAX });
  if (!fs.existsSync(report)) throw new Error(`pytest left no report:\n${stdout.slice(-4000)}${stderr.slice(-4000)}`);
  return readJunit(fs.readFileSync(report, 'utf8'));
}

/** Test cases of a JUnit report by name. */
export function readJunit(xml: string): Map<string, Outcome> {
  const outcomes = new Map<string, Outcome>();
  for (const [, attributes = '', body = ''] of xml.matchAll(/<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const attribute = (name: string) => plainText(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? '');
    const problem = /<(failure|error|skipped)\b([^>]*?)(?:\/>|>([\s\S]*?)<\/\1>)/.exec(body);
    const message = plainText(/\bmessage="([^"]*)"/.exec(problem?.[2] ?? '')?.[1] ?? '');
    const status = problem === null ? 'passed' : problem[1] === 'skipped' ? 'skipped' : 'failed';
    const text = problem === null ? '' : `${message}\n${plainText(problem[3] ?? '')}`;
    const name = `${attribute('classname')}::${attribute('name')}`;
    // A test with a fixture that fails at its end is told of twice.
    if (outcomes.get(name)?.status !== 'failed') outcomes.set(name, { status, text });
  }
  return outcomes;
}

function plainText(text: string): string {
  return text
    .replaceAll(/&#x([0-9A-Fa-f]+);/g, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&');
}

const RUN_MS_MAX = 60 * 60_000;
