import { lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { checkFolderPath } from '../private-files/index.ts';
import { messageOf } from '../std/index.ts';
import { AgentError } from './errors.ts';

/** Tells by a file which process serves. */
export interface PidFile {
  /** Writes the process's own ID: whoever reads it finds the one before or this one, never a part. @throws AgentError ERR_AGENT_CONFIG */
  write(): void;
  /** Removes it, unless it names another process by now. */
  remove(): void;
}

/**
 * Creates one; without a path nothing is written.
 * @throws AgentError ERR_AGENT_CONFIG, PrivateFileError when others may write its folder, or the way to it
 */
export function createPidFile(path: string | undefined, pid: number): PidFile {
  if (path === undefined) return { write() {}, remove() {} };
  checkFolderPath(dirname(path));
  checkPlace(path);
  const text = `${pid}\n`;
  return {
    write() {
      const beside = join(dirname(path), `.${basename(path)}.${pid}`);
      try {
        rmSync(beside, { force: true });
        writeFileSync(beside, text, { mode: 0o644, flag: 'wx' });
        renameSync(beside, path);
      } catch (cause) {
        throw unwritable(path, cause);
      }
    },
    remove() {
      try {
        if (readFileSync(path, 'latin1') === text) rmSync(path);
      } catch {
        // Whoever reads it looks whether such a process is there.
      }
    },
  };
}

function checkPlace(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== false) return;
  throw unwritable(path, new Error('it is no plain file'));
}

function unwritable(path: string, cause: unknown): AgentError {
  return new AgentError('ERR_AGENT_CONFIG', `agent.pidFile ${path} can not be written: ${messageOf(cause)}`, { cause });
}
