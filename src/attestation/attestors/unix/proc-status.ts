import { readFileSync } from 'node:fs';
import { AttestationError } from '../../errors.ts';

/** Supplementary group ids of a process, in the kernel's order. @throws AttestationError ERR_ATTEST_WORKLOAD */
export function supplementaryGroups(pid: number): number[] {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch (cause) {
    throw new AttestationError('ERR_ATTEST_WORKLOAD', `process ${pid} can not be looked at`, { cause });
  }
  return parseGroups(status);
}

/** The numbers of the `Groups:` line of /proc/PID/status. @throws AttestationError ERR_ATTEST_WORKLOAD */
export function parseGroups(status: string): number[] {
  // The first line is the process's own name; the kernel escapes line breaks in it, so no process can add lines.
  const line = status.split('\n').find((text) => text.startsWith('Groups:'));
  if (line === undefined) throw new AttestationError('ERR_ATTEST_WORKLOAD', '/proc/PID/status has no Groups line');
  return line
    .slice('Groups:'.length)
    .split(/\s+/)
    .filter((text) => /^\d{1,10}$/.test(text))
    .map(Number);
}
