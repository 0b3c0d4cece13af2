/**
 * `npm run check`: structure, generated files, lockfile, lint, types, unused exports. Prints every finding and ends with 1 when
 * there is one. `--fast` leaves out lint, types and unused exports.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { checkConsole } from './console-structure.ts';
import { generate } from './gen.ts';
import { checkStructure, type Finding } from './structure.ts';

const root = join(import.meta.dirname, '..');
const sources = readSources();
const findings: Finding[] = [
  ...checkStructure(sources),
  ...checkConsole(sources),
  ...(await checkGenerated()),
  ...checkLockfile(),
];
if (!process.argv.includes('--fast'))
  findings.push(
    ...runTool('lint', 'biome', ['check', '--error-on-warnings', '.']),
    ...runTool('types', 'tsc', ['-p', '.']),
    ...runTool('types', 'tsc', ['-p', 'console']),
    ...runTool('unused', 'knip', []),
  );
for (const { rule, file, message } of findings) process.stdout.write(`${rule}  ${file}: ${message}\n`);
process.stdout.write(findings.length === 0 ? 'check: nothing to report\n' : `check: ${findings.length} finding(s)\n`);
process.exitCode = findings.length === 0 ? 0 : 1;

function readSources(): Map<string, string> {
  const files = new Map<string, string>();
  for (const top of ['src', 'sdk/src', 'scripts', 'test', 'console/src']) {
    for (const entry of readdirSync(join(root, top), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile() && /\.tsx?$/.test(entry.name)) files.set(relative(root, path), readFileSync(path, 'utf8'));
    }
  }
  return files;
}

async function checkGenerated(): Promise<Finding[]> {
  const out: Finding[] = [];
  for (const [file, text] of await generate(root)) {
    const path = join(root, file);
    if (!existsSync(path) || readFileSync(path, 'utf8') !== text)
      out.push({ rule: 'generated', file, message: 'is not what `npm run gen` writes' });
  }
  return out;
}

/** `npm ci` fails elsewhere when a platform package is named by another package but has no entry of its own. */
function checkLockfile(): Finding[] {
  // The lockfile is npm's own format, version 3.
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { optionalDependencies?: Record<string, string>; resolved?: string; link?: boolean }>;
  };
  const names = new Set(Object.keys(lock.packages).map((path) => path.replace(/^.*node_modules\//, '')));
  const out: Finding[] = [];
  for (const [path, entry] of Object.entries(lock.packages)) {
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      if (!names.has(name))
        out.push({
          rule: 'lockfile',
          file: 'package-lock.json',
          message: `${path || 'the project'} names ${name}, which has no entry`,
        });
    }
    if (entry.resolved?.startsWith('http'))
      out.push({ rule: 'lockfile', file: 'package-lock.json', message: `${path} records a download address` });
  }
  return out;
}

function runTool(rule: string, tool: string, args: readonly string[]): Finding[] {
  const run = spawnSync(join(root, 'node_modules/.bin', tool), args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, FORCE_COLOR: '0' },
  });
  if (run.status === 0) return [];
  return [{ rule, file: tool, message: `\n${run.stdout}${run.stderr}` }];
}
