import { readFileSync } from 'node:fs';

/** How many files and sockets this process may have open; undefined where the system does not tell. Node has raised the soft limit to the hard one. */
export function descriptorsMax(): number | undefined {
  let text: string;
  try {
    text = readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return undefined; // Not Linux: then the limits in the configuration are all there is.
  }
  const limit = /^Max open files\s+(\d+)/m.exec(text)?.[1];
  return limit === undefined ? undefined : Number(limit);
}
