/** What the folder of a small project says that it needs, installed beside it. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { commandIn, runTool } from './toolchain.ts';

/** The machine's own Python before any other: those of version managers lie in homes that other users may not enter. */
export const python = commandIn(['/usr/bin'], 'python3');
/** Maven, which brings what Java needs; undefined when it or Java is missing. */
export const maven = commandIn([], 'java') && commandIn([], 'mvn');

/**
 * Installs what its `package.json` names into `node_modules`, its `requirements.txt` into the environment `.venv`, its `pom.xml` into
 * `target/dependency`: once, and anew when one of these files has changed.
 */
export async function installProject(folder: string): Promise<void> {
  const inside = (name: string) => path.join(folder, name);
  const has = (name: string) => fs.existsSync(inside(name));
  const wanted = MANIFESTS.filter(has).map((name) => fs.readFileSync(inside(name), 'utf8'));
  const stamp = inside('target/installed');
  if (has('target/installed') && fs.readFileSync(stamp, 'utf8') === wanted.join()) return;
  for (const made of ['node_modules', '.venv', 'target']) fs.rmSync(inside(made), { recursive: true, force: true });
  if (has('package.json')) {
    const npm = commandIn([], 'npm') ?? 'npm';
    await runTool(npm, [
      'install',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
      '--no-package-lock',
      '--prefix',
      folder,
    ]);
  }
  if (has('requirements.txt')) {
    if (python === undefined) throw new Error('there is no python3: install Python 3.10 or later, with venv');
    await runTool(python, ['-m', 'venv', inside('.venv')]);
    const options = ['--quiet', '--only-binary', ':all:', '--requirement', inside('requirements.txt')];
    await runTool(inside('.venv/bin/pip'), ['install', ...options]);
  }
  if (has('pom.xml')) {
    if (maven === undefined) throw new Error('Java 17 and Maven are needed: install both');
    await runTool(maven, ['-q', '-B', '-f', inside('pom.xml'), 'dependency:copy-dependencies']);
  }
  fs.mkdirSync(inside('target'), { recursive: true });
  fs.writeFileSync(stamp, wanted.join());
}

/** Compiles a project with a `pom.xml`; resolves to the command line that runs a class of it. */
export async function compileJava(folder: string): Promise<readonly [string, ...string[]]> {
  await installProject(folder);
  await runTool(maven ?? 'mvn', ['-q', '-B', '-f', path.join(folder, 'pom.xml'), 'compile']);
  const target = path.join(folder, 'target');
  return [commandIn([], 'java') ?? 'java', '-cp', `${target}/classes:${target}/dependency/*`];
}

/** Python of a project that was installed. */
export function pythonOf(folder: string): string {
  return path.join(folder, '.venv/bin/python');
}

const MANIFESTS = ['package.json', 'requirements.txt', 'pom.xml'];
