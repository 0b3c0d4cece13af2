/** The official Python client (`python/client.py`), in an environment of its own beside its source. */
import * as path from 'node:path';
import { installProject, pythonOf } from './project.ts';

/** Installs what it needs; resolves to the command line that runs it. */
export async function installPythonClient(): Promise<readonly [string, ...string[]]> {
  await installProject(SOURCES);
  return [pythonOf(SOURCES), '-B', path.join(SOURCES, 'client.py')];
}

const SOURCES = path.join(import.meta.dirname, 'python');
