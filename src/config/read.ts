import { codeOf, messageOf } from '../std/index.ts';
import { ConfigError } from './errors.ts';

/**
 * The text of the configuration file. It names the folders of keys, what proves a node, and whom a role listens to, so `readTrusted` must refuse a
 * file that others than root and this user could change; it gives undefined when there is none.
 * @throws ConfigError ERR_CONFIG_FILE
 */
export function readConfigFile(path: string, readTrusted: (path: string) => Buffer | undefined): string {
  let bytes: Buffer | undefined;
  try {
    bytes = readTrusted(path);
  } catch (cause) {
    throw new ConfigError('ERR_CONFIG_FILE', whyNot(path, cause), { cause });
  }
  if (bytes) return bytes.toString('utf8');
  throw new ConfigError(
    'ERR_CONFIG_FILE',
    `there is no ${path}; write one with \`countersign init\`, or name another with --config`,
  );
}

function whyNot(path: string, error: unknown): string {
  // What the file system said, when it was that.
  const system = error instanceof Error ? codeOf(error.cause) : undefined;
  if (system === 'EACCES') return `${path} may not be read by this user; try with sudo, or as the user of the role`;
  if (system !== undefined) return `${path} is no file that can be read (${system})`;
  return `the configuration can not be trusted: ${messageOf(error)}`;
}
