/** The official Python client (`python/client.py`), in an environment of its own beside its source. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { commandIn, runTool } from './toolchain.ts';

/** The machine's own Python before any other: those of version managers lie in homes that other users may not enter. */
export const python = commandIn(['/usr/bin'], 'python3');

/** Installs what it needs, once for each list of requirements; resolves to the command line that runs it. */
export async function installPythonClient(): Promise<readonly [string, ...string[]]> {
  if (python === undefined) throw new Error('there is no python3: install Python 3.10 or later, with venv');
  const requirements = path.join(SOURCES, 'requirements.txt');
  const wanted = fs.readFileSync(requirements, 'utf8');
  const done = path.join(ENVIRONMENT, 'installed.txt');
  if (!fs.existsSync(done) || fs.readFileSync(done, 'utf8') !== wanted) {
    await runTool(python, ['-m', 'venv', '--clear', ENVIRONMENT]);
    const pip = path.join(ENVIRONMENT, 'bin/pip');
    await runTool(pip, ['install', '--quiet', '--only-binary', ':all:', '--requirement', requirements]);
    fs.writeFileSync(done, wanted);
  }
  return [path.join(ENVIRONMENT, 'bin/python'), '-B', path.join(SOURCES, 'client.py')];
}

const SOURCES = path.join(import.meta.dirname, 'python');
const ENVIRONMENT = path.join(SOURCES, '.venv');
