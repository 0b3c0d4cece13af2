import { readFileSync } from 'node:fs';
import { codeOf } from '../std/index.ts';
import { ConfigError } from './errors.ts';

/** The text of the configuration file. @throws ConfigError ERR_CONFIG_FILE */
export function readConfigFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = codeOf(cause);
    const why =
      code === 'ENOENT'
        ? `there is no ${path}; write one with \`countersign init\`, or name another with --config`
        : code === 'EACCES'
          ? `${path} may not be read by this user; try with sudo, or as the user of the role`
          : `${path} is no file that can be read (${code ?? 'unknown error'})`;
    throw new ConfigError('ERR_CONFIG_FILE', why, { cause });
  }
}
