import { existsSync, readFileSync } from 'node:fs';
import { memberSchemas } from '../app/members.ts';
import { type Config, ConfigError, parseConfig } from '../config/index.ts';
import type { CliContext } from './command.ts';

/**
 * Reads the configuration file of this call.
 * @throws ConfigError when it can't be read, or holds anything wrong
 */
export function loadConfig(context: CliContext): Config {
  if (!existsSync(context.configPath)) {
    throw new ConfigError(
      'ERR_CONFIG_SYNTAX',
      `there is no ${context.configPath}; write one with \`countersign init\`, or name another with --config`,
    );
  }
  return parseConfig({
    file: context.configPath,
    text: readFileSync(context.configPath, 'utf8'),
    members: memberSchemas,
    env: context.env,
  });
}

/** The configuration when there is a file, else undefined: for commands that only want its defaults. */
export function loadConfigIfAny(context: CliContext): Config | undefined {
  return existsSync(context.configPath) ? loadConfig(context) : undefined;
}
